"""Ratings in numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from recsys_ae.data.ratings import Ratings

MAX_BARS = 50  # distinct values that a histogram tells apart


def describe(ratings: Ratings) -> dict[str, Any]:
    """What JSON can hold: users, items, ratings, density, scale [low, high] or None, histogram, mean,
    ratings_per_user and ratings_per_item {min, median, mean, max}, timestamps {first, last} (ISO 8601, UTC)
    or None, fingerprint. Raises DataError where nothing is observed.

    histogram: value -> count, values as text in ascending order; where more than 50 differ (listening
    counts), "low to high" -> count for up to ten ranges of about equally many ratings.
    """
    mean = ratings.mean()
    return {
        "users": ratings.n_users,
        "items": ratings.n_items,
        "ratings": ratings.n_observed,
        "density": ratings.n_observed / (ratings.n_users * ratings.n_items),
        "scale": None if ratings.scale is None else list(map(float, ratings.scale)),
        "histogram": _histogram(ratings.values),
        "mean": mean,
        "ratings_per_user": _spread(np.diff(ratings.matrix.indptr)),
        "ratings_per_item": _spread(np.bincount(ratings.columns, minlength=ratings.n_items)),
        "timestamps": None if ratings.timestamps is None else _span(ratings.timestamps),
        "fingerprint": ratings.fingerprint(),
    }


def _histogram(values: np.ndarray) -> dict[str, int]:
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= MAX_BARS:
        return {f"{value:g}": int(count) for value, count in zip(distinct, counts, strict=True)}
    wanted = np.linspace(0, counts.sum(), 11)[1:]
    ends = np.unique(np.searchsorted(np.cumsum(counts), wanted).clip(max=len(distinct) - 1))
    starts = np.append(0, ends[:-1] + 1)
    return {
        f"{distinct[start]:g} to {distinct[end]:g}": int(counts[start : end + 1].sum())
        for start, end in zip(starts, ends, strict=True)
    }


def _spread(counts: np.ndarray) -> dict[str, float | int]:
    return {
        "min": int(counts.min()),
        "median": float(np.median(counts)),
        "mean": float(counts.mean()),
        "max": int(counts.max()),
    }


def _span(timestamps: np.ndarray) -> dict[str, str]:
    first, last = (
        datetime.fromtimestamp(int(t), UTC).isoformat() for t in (timestamps.min(), timestamps.max())
    )
    return {"first": first, "last": last}
