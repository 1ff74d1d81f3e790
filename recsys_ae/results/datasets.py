"""The ratings of a run, as a tracker is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recsys_ae.data.ids import IdMap
from recsys_ae.settings.configs import ExperimentConfig
from recsys_ae.tracking.tracker import DatasetRecord


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of the ratings of a run before it, and after it from its folder. `values`: of all that
    the model may read; `feedback`: None in results of older programs."""

    users: IdMap
    items: IdMap
    values: np.ndarray
    is_timed: bool
    feedback: str | None


def datasets_of(
    config: ExperimentConfig,
    known: Known,
    counts: Mapping[str, float],
    training_fingerprint: str,
    split_fingerprint: str,
) -> Iterator[DatasetRecord]:
    """The ratings that a run trains on, and those of its test, if it has one, under the fingerprint of the
    split: divided otherwise, they are another test. `counts`: users, items,
    train_ratings, holdout_ratings, as far as they are known."""
    sizes = {name: int(counts[name]) for name in ("users", "items") if name in counts}
    n_ratings = {part: int(counts.get(f"{part}_ratings", 0)) for part in ("train", "holdout")}
    training = DatasetRecord(
        name=config.data.name,
        fingerprint=training_fingerprint,
        profile={**sizes, "ratings": n_ratings["train"], **_profile(known)},
        source=config.data.label,
        split=config.split.kind,
        split_fingerprint=split_fingerprint,
        columns=_columns(known),
    )
    yield training
    if n_ratings["holdout"]:
        profile = {**sizes, "ratings": n_ratings["holdout"]}
        yield replace(training, fingerprint=split_fingerprint, profile=profile, context="test")


def _columns(known: Known) -> dict[str, str]:
    types = {"user": _id_type(known.users), "item": _id_type(known.items), "rating": "float"}
    return {**types, "timestamp": "long"} if known.is_timed else types


def _id_type(ids: IdMap) -> str:
    return "long" if np.issubdtype(ids.ids.dtype, np.integer) else "string"


def _profile(known: Known) -> dict[str, Any]:
    """How full the matrix is, and what its values are."""
    values, n_cells = known.values, len(known.users) * len(known.items)
    found: dict[str, Any] = {"feedback": known.feedback} if known.feedback else {}
    if len(values) and n_cells:
        found |= {"density": len(values) / n_cells}
        found |= {"lowest": float(values.min()), "highest": float(values.max())}
    return found
