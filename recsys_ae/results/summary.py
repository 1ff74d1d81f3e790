"""The few figures that stand for a whole benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from recsys_ae.metrics import higher_is_better
from recsys_ae.results.result import VALIDATION, tracked

BEST = "best/"


def parent_metrics(document: Mapping[str, Any]) -> dict[str, float]:
    """What the parent run of a benchmark is told, from the JSON document: of each metric by which models were
    chosen the best validation score, "best/validation/rmse", and what that model reached in the test,
    "best/rmse". All other figures are those of the nested runs."""
    found: dict[str, float | None] = {}
    for key, row in _winners(document).items():
        found[f"{BEST}{VALIDATION}{key}"] = _score(row)
        (name,) = tracked({key: 0.0})
        found[f"{BEST}{key}"] = row["metrics"].get(name)
    return {name: value for name, value in found.items() if value is not None}


def parent_tags(document: Mapping[str, Any]) -> dict[str, str]:
    """Which models these are, and which failed."""
    failed = [row["name"] for row in document["models"] if row.get("error") is not None]
    winners = {f"{BEST}{key}": row["name"] for key, row in _winners(document).items()}
    return winners | ({"failed": ", ".join(failed)} if failed else {})


def _winners(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Validation metric -> the model with the best mean score, of those that were chosen by it. The test part
    chooses nothing."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in document["models"]:
        score = _score(row)
        if score is None:
            continue
        key = row["validation"][0]["metric"]
        best = _score(found[key]) if key in found else None
        sign = -1 if higher_is_better(key) is False else 1
        if best is None or sign * score > sign * best:
            found[key] = row
    return found


def _score(row: Mapping[str, Any]) -> float | None:
    """The mean validation score of a model over seeds; None where one of them has none."""
    scores = [validation["score"] for validation in row.get("validation", [])]
    return fmean(scores) if scores and None not in scores else None
