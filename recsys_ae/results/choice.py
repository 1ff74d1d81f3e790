"""Which model of a benchmark makes the lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from recsys_ae.errors import StorageError
from recsys_ae.metrics import higher_is_better, is_ranking_metric
from recsys_ae.results.result import REPORT, RESULT, no_run, read_document

_MODEL = "model"


@dataclass(frozen=True, slots=True)
class Choice:
    """The best of the `n` models that have validation scores by the same metric of lists. `score`: that of
    this one, the mean over seeds; `folder`: its model of the first seed."""

    name: str
    folder: Path
    metric: str
    score: float
    n: int


def is_benchmark(folder: Path) -> bool:
    """Whether the folder holds results of several models, and neither a model nor the report of one."""
    return (folder / RESULT).is_file() and not any((folder / name).exists() for name in (_MODEL, REPORT))


def best_ranker(folder: Path) -> Choice:
    """The model of a benchmark whose lists are best, by validation ratings: the test part chooses nothing.

    Models that were chosen by how well they predict ratings are told apart by their lists, too. Raises
    StorageError for a folder that is no benchmark, where no model has such a score, and where scores are of
    several metrics, which cannot be compared.
    """
    try:
        scores = validation_scores(read_document(folder)["models"], is_ranking_metric)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise no_run(folder) from None
    best = first_of(scores)
    if best is None:
        by_metric = {metric for metric, _ in scores.values()}
        found = "none of its models" if not by_metric else f"by {' and by '.join(sorted(by_metric))} some"
        raise StorageError(
            f"{folder}: {found} were chosen by a metric of lists, so that none of them is the best; name the "
            f"folder of a model, such as {folder}/NAME/seed-0/{_MODEL}"
        )
    seeds = sorted((folder / best).glob("seed-*"), key=lambda path: int(path.name.partition("-")[2]))
    if not seeds:
        raise StorageError(f"{folder}: lacks the folder of its best model, {best}; run the benchmark again")
    return Choice(best, seeds[0] / _MODEL, *scores[best], len(scores))


def first_of(scores: Mapping[str, tuple[str, float]]) -> str | None:
    """The name with the best score, the first of equal ones; None where there is none, or where the scores
    are of several metrics, which cannot be compared."""
    metrics = {metric for metric, _ in scores.values()}
    if len(metrics) != 1:
        return None
    best = max if higher_is_better(metrics.pop()) else min
    return best(scores, key=lambda name: scores[name][1])


def validation_scores(
    models: Iterable[Mapping[str, Any]], wanted: Callable[[str], bool]
) -> dict[str, tuple[str, float]]:
    """Name -> metric and mean score, of the models (as in a benchmark's document) that have a score by a
    `wanted` metric for every seed: by that which chose them, or else by another."""
    found = {}
    for model in models:
        chosen = model.get("validation", [])  # none where it failed
        pairs = [pair for each in chosen if (pair := _score(each, wanted)) is not None]
        keys = {key for key, _ in pairs}
        if model["error"] is None and len(keys) == 1 and len(pairs) == len(chosen):
            found[model["name"]] = keys.pop(), fmean(score for _, score in pairs)
    return found


def _score(validation: Mapping[str, Any], wanted: Callable[[str], bool]) -> tuple[str, float] | None:
    """Metric and score of a chosen model. Results of older versions have but that which chose it."""
    scores = {validation["metric"]: validation["score"], **validation.get("also", {})}
    return next(((key, score) for key, score in scores.items() if wanted(key) and score is not None), None)
