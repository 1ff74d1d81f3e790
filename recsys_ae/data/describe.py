"""Ratings in numbers, and what they suggest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.filters import apply_filters, k_core
from recsys_ae.data.load import read_triples, to_ratings
from recsys_ae.data.ratings import Ratings, ways_out
from recsys_ae.data.schema import check_timestamps
from recsys_ae.errors import DataError, counted
from recsys_ae.types import Progress, unwatched

MAX_BARS = 20  # distinct values that a histogram tells apart
RANGES = 10
CORE = 5  # the k-core that is advised where many have fewer ratings


def describe_source(config: DataConfig, on_read: Progress = unwatched) -> dict[str, Any]:
    """What `describe` says of the ratings that the config names, and how they were read: reading {format,
    columns, ignored, feedback}, rows of the file, duplicates (rows whose pair occurs before; the last one is
    described unless the config says otherwise), and of the timestamps how many are missing. The range of the
    timestamps is that of the rows of the file. `on_read`: told how many bytes have been read, of how many."""
    triples = read_triples(config, on_read)
    times = triples.timestamps
    missing = np.zeros(len(triples), dtype=bool) if times is None else np.isnan(times) | (times < 0)
    is_settled = config.duplicates != "error"
    if not is_settled:
        config = config.model_copy(update={"duplicates": "last"})
    ratings = to_ratings(replace(triples, timestamps=None) if missing.any() else triples, config)
    n_duplicates = len(triples) - ratings.n_observed
    described = apply_filters(ratings, config.filters)
    found = describe(described, duplicates=0 if is_settled else n_duplicates)
    found |= {"reading": triples.reading.to_json(), "rows": len(triples), "duplicates": n_duplicates}
    if times is not None and missing.any():
        known = check_timestamps(np.where(missing, 0, times), triples.where)[~missing]
        found["timestamps"] = _span(known) | {"missing": int(np.count_nonzero(missing))}
    return found


def describe(ratings: Ratings, *, duplicates: int = 0) -> dict[str, Any]:
    """What JSON can hold: users, items, ratings, feedback, density, scale [low, high] or None, histogram,
    mean, zeros, negatives, ratings_per_user and ratings_per_item {min, median, mean, max}, long_tail (shares
    of the ratings, and users and items with one), timestamps {first, last (ISO 8601, UTC), missing} or None,
    fingerprint, advice. Raises DataError where nothing is observed.

    histogram: value -> count, values as text in ascending order; where more than 20 differ (listening
    counts), "low to high" -> count for about ten ranges of about equally many ratings. No range holds both
    negative and positive values, and zeros stand alone.

    `duplicates`: rows that repeat a pair, where it is to be advised what to do with them.
    """
    mean = ratings.mean()
    of_users = np.diff(ratings.matrix.indptr)
    of_items = np.bincount(ratings.columns, minlength=ratings.n_items)
    return {
        "users": ratings.n_users,
        "items": ratings.n_items,
        "ratings": ratings.n_observed,
        "feedback": ratings.feedback,
        "density": ratings.n_observed / (ratings.n_users * ratings.n_items),
        "scale": None if ratings.scale is None else list(map(float, ratings.scale)),
        "histogram": _histogram(ratings.values),
        "mean": mean,
        "zeros": int(np.count_nonzero(ratings.values == 0)),
        "negatives": int(np.count_nonzero(ratings.values < 0)),
        "ratings_per_user": _spread(of_users),
        "ratings_per_item": _spread(of_items),
        "long_tail": {
            "top_1_percent_of_items": _share_of_top(of_items, 0.01),
            "top_10_percent_of_items": _share_of_top(of_items, 0.1),
            "items_with_one_rating": int(np.count_nonzero(of_items == 1)),
            "users_with_one_rating": int(np.count_nonzero(of_users == 1)),
        },
        "timestamps": None if ratings.timestamps is None else _span(ratings.timestamps),
        "fingerprint": ratings.fingerprint(),
        "advice": list(_advice(ratings, of_users, of_items, duplicates)),
    }


def _histogram(values: np.ndarray) -> dict[str, int]:
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= MAX_BARS:
        return {_spelt(value): int(count) for value, count in zip(distinct, counts, strict=True)}
    bars: dict[str, int] = {}
    for part in (distinct < 0, distinct == 0, distinct > 0):
        bars |= _ranges(distinct[part], counts[part], len(values))
    return bars


def _ranges(distinct: np.ndarray, counts: np.ndarray, n_all: int) -> dict[str, int]:
    """Bars of values of one sign, of about a tenth of all `n_all` ratings each."""
    if not len(distinct):
        return {}
    n_bars = max(1, round(RANGES * counts.sum() / n_all))
    wanted = np.linspace(0, counts.sum(), n_bars + 1)[1:]
    ends = np.unique(np.searchsorted(np.cumsum(counts), wanted).clip(max=len(distinct) - 1))
    starts = np.append(0, ends[:-1] + 1)
    names = [
        _spelt(distinct[start]) if start == end else f"{_spelt(distinct[start])} to {_spelt(distinct[end])}"
        for start, end in zip(starts, ends, strict=True)
    ]
    sums = [int(counts[start : end + 1].sum()) for start, end in zip(starts, ends, strict=True)]
    return dict(zip(names, sums, strict=True))


def _spelt(value: np.float32) -> str:
    """The shortest text that no other float32 has."""
    short = f"{value:g}"
    return short if np.float32(short) == value else np.format_float_positional(value, trim="-")


def _spread(counts: np.ndarray) -> dict[str, float | int]:
    return {
        "min": int(counts.min()),
        "median": float(np.median(counts)),
        "mean": float(counts.mean()),
        "max": int(counts.max()),
    }


def _share_of_top(counts: np.ndarray, share: float) -> float:
    """Of all ratings, those of the most rated `share` of the items, one item at least."""
    n = max(1, round(share * len(counts)))
    return float(np.sort(counts)[-n:].sum() / counts.sum())


def _span(timestamps: np.ndarray) -> dict[str, Any]:
    if not len(timestamps):
        return {"first": None, "last": None, "missing": 0}
    first, last = (
        datetime.fromtimestamp(int(t), UTC).isoformat() for t in (timestamps.min(), timestamps.max())
    )
    return {"first": first, "last": last, "missing": 0}


def _advice(ratings: Ratings, of_users: np.ndarray, of_items: np.ndarray, duplicates: int) -> Iterator[str]:
    """One sentence for each thing to set, or to choose."""
    if duplicates:
        rows = counted(duplicates, "row")
        yield f"pairs are repeated, in {rows}: set data.duplicates to {ways_out(ratings.feedback)}"
    if ratings.feedback == "ratings" and ratings.scale is None:
        low, high = ratings.limits()
        there = (
            f", such as [{low:g}, {high:g}], the range that is there, if these are" if low < high else " to"
        )
        yield f"no scale is declared: set data.scale{there} the lowest and the highest possible ratings"
    if (rare := (of_users < CORE).mean()) > 0.1 or (of_items < CORE).mean() > 0.1:
        text = (
            f"{rare:.0%} of users and {(of_items < CORE).mean():.0%} of items have fewer than {CORE} ratings"
        )
        yield f"{text}: {_core_advice(ratings)}"
    if ratings.timestamps is not None and ratings.timestamps.min() < ratings.timestamps.max():
        yield "there are timestamps: split.kind=temporal tests as in production, on what came later"
    elif np.median(of_users) < CORE:
        yield "histories are short and have no timestamps: split.kind=random, the default, is what is left"
    if ratings.feedback == "ratings":
        yield (
            "these are ratings: i-autorec, u-autorec, bayesian-mf, biased-mf and biases predict them; als "
            "ranks, too"
        )
    else:
        yield (
            f"these are {ratings.feedback}: als, item-knn, ease, mult-vae and popularity are "
            "among the models for them"
        )


def _core_advice(ratings: Ratings) -> str:
    try:
        core = k_core(ratings, CORE)
    except DataError:
        return f"no {CORE}-core is left of them, so that only popularity and biases can be trusted"
    return (
        f"data.filters.core={CORE} keeps {core.n_observed:,} ratings of {core.n_users:,} users and "
        f"{core.n_items:,} items"
    )
