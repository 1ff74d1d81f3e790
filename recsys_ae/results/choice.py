"""Which model of a benchmark makes the lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from recsys_ae.errors import StorageError
from recsys_ae.metrics import higher_is_better, is_ranking_metric
from recsys_ae.results.result import RESULT, no_run, read_document

_MODEL = "model"


@dataclass(frozen=True, slots=True)
class Choice:
    """The best of the `n` models that were chosen by the same metric of lists. `score`: its validation score,
    the mean over seeds; `folder`: its model of the first seed."""

    name: str
    folder: Path
    metric: str
    score: float
    n: int


def is_benchmark(folder: Path) -> bool:
    """Whether the folder holds results of several models, and no model itself."""
    return (folder / RESULT).is_file() and not (folder / _MODEL).exists()


def best_ranker(folder: Path) -> Choice:
    """The model of a benchmark whose lists are best, by validation ratings: the test part chooses nothing.

    Models that were chosen by how well they predict ratings have no such score, and are left out. Raises
    StorageError for a folder that is no benchmark, where no model has such a score, and where scores are of
    several metrics, which cannot be compared.
    """
    try:
        scores = _validation_scores(read_document(folder)["models"])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise no_run(folder) from None
    by_metric = {metric for metric, _ in scores.values()}
    if len(by_metric) != 1:
        found = "none of its models" if not by_metric else f"by {' and by '.join(sorted(by_metric))} some"
        raise StorageError(
            f"{folder}: {found} were chosen by a metric of lists, so that none of them is the best; name the "
            f"folder of a model, such as {folder}/NAME/seed-0/{_MODEL}"
        )
    metric = by_metric.pop()
    best = max if higher_is_better(metric) else min
    name = best(scores, key=lambda name: scores[name][1])
    seeds = sorted((folder / name).glob("seed-*"), key=lambda path: int(path.name.partition("-")[2]))
    if not seeds:
        raise StorageError(f"{folder}: lacks the folder of its best model, {name}; run the benchmark again")
    return Choice(name, seeds[0] / _MODEL, metric, scores[name][1], len(scores))


def _validation_scores(models: list[Mapping[str, Any]]) -> dict[str, tuple[str, float]]:
    """Name -> metric and mean score, of the models that a metric of lists chose for every seed."""
    found = {}
    for model in models:
        chosen = model.get("validation", [])  # none where it failed
        keys = {each["metric"] for each in chosen}
        scores = [each["score"] for each in chosen]
        if model["error"] is None and len(keys) == 1 and None not in scores:
            key = keys.pop()
            if is_ranking_metric(key):
                found[model["name"]] = key, fmean(scores)
    return found
