"""Numbers of a dataset against pandas."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from strategies import small_ratings

from recsys_ae.data.describe import describe
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError


@given(small_ratings(min_observed=1))
def test_numbers_are_those_of_pandas(ratings):
    found = json.loads(json.dumps(describe(ratings)))
    dense = pd.DataFrame(np.nan, range(ratings.n_users), range(ratings.n_items))
    for row, column, value in zip(ratings.rows(), ratings.columns, ratings.values, strict=True):
        dense.iloc[row, column] = value
    cells = dense.stack().dropna()
    assert (found["users"], found["items"], found["ratings"]) == (*dense.shape, len(cells))
    assert found["density"] == pytest.approx(dense.notna().to_numpy().mean())
    assert found["mean"] == pytest.approx(cells.mean())
    assert {
        float(value): count for value, count in found["histogram"].items()
    } == cells.value_counts().to_dict()
    assert list(map(float, found["histogram"])) == sorted(map(float, found["histogram"]))
    for axis, name in ((1, "ratings_per_user"), (0, "ratings_per_item")):
        counts = dense.count(axis=axis)
        expected = {
            "min": counts.min(),
            "median": counts.median(),
            "mean": counts.mean(),
            "max": counts.max(),
        }
        assert found[name] == pytest.approx(expected)
    assert found["scale"] == list(ratings.scale)
    if ratings.timestamps is None:
        assert found["timestamps"] is None
    else:
        last = pd.Timestamp(ratings.timestamps.max(), unit="s", tz="UTC")
        assert pd.Timestamp(found["timestamps"]["last"]) == last


def test_many_values_are_counted_in_ranges():
    values = np.random.default_rng(0).integers(1, 100_000, 500)
    ratings = Ratings.from_triples(np.arange(500), np.arange(500), values)
    histogram = describe(ratings)["histogram"]
    assert len(histogram) == 10
    for name, count in histogram.items():
        low, high = map(float, name.split(" to "))
        assert count == ((values >= low) & (values <= high)).sum()
    assert sum(histogram.values()) == 500


def test_nothing_cannot_be_described():
    with pytest.raises(DataError, match="no ratings left"):
        describe(Ratings.from_triples([], [], []))
