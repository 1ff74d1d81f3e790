"""The few figures that stand for a whole benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recsys_ae.metrics import is_ranking_metric, is_rating_metric
from recsys_ae.results.benchmark import STOPPED
from recsys_ae.results.choice import first_of, validation_scores
from recsys_ae.results.result import VALIDATION, tracked

BEST = "best/"


def parent_metrics(document: Mapping[str, Any]) -> dict[str, float]:
    """What the parent run of a benchmark is told, from the JSON document: of each metric by which models were
    chosen the best validation score, "best/validation/rmse", and what that model reached in the test,
    "best/rmse". All other figures are those of the nested runs."""
    found: dict[str, float | None] = {}
    for key, row in _winners(document).items():
        found[f"{BEST}{VALIDATION}{key}"] = row["score"]
        (name,) = tracked({key: 0.0})
        found[f"{BEST}{key}"] = row["metrics"].get(name)
    return {name: value for name, value in found.items() if value is not None}


def parent_tags(document: Mapping[str, Any]) -> dict[str, str]:
    """Which models these are, which failed, and which were not run as the benchmark was stopped."""
    errors = {row["name"]: row.get("error") for row in document["models"]}
    stopped = [name for name, error in errors.items() if error == STOPPED]
    failed = [name for name, error in errors.items() if error not in (None, STOPPED)]
    winners = {f"{BEST}{key}": row["name"] for key, row in _winners(document).items()}
    lacking = {"failed": ", ".join(failed), "not_run": ", ".join(stopped)}
    return winners | {word: names for word, names in lacking.items() if names}


def _winners(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Validation metric -> the model that is first by it: one of predicted ratings, one of lists. The test
    part chooses nothing."""
    rows = {row["name"]: row for row in document["models"]}
    found = {}
    for wanted in (is_rating_metric, is_ranking_metric):
        scores = validation_scores(rows.values(), wanted)
        first = first_of(scores)
        if first is not None:
            found[scores[first][0]] = rows[first] | {"score": scores[first][1]}
    return found
