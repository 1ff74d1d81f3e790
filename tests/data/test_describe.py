"""Numbers of a dataset against pandas."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from strategies import small_ratings

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.describe import describe, describe_source
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
    assert (found["zeros"], found["negatives"]) == ((cells == 0).sum(), (cells < 0).sum())
    by_item = dense.count().sort_values(ascending=False)
    assert found["long_tail"] == {
        "top_1_percent_of_items": pytest.approx(by_item.iloc[0] / len(cells)),
        "top_10_percent_of_items": pytest.approx(by_item.iloc[0] / len(cells)),  # of fewer than 15
        "items_with_one_rating": (by_item == 1).sum(),
        "users_with_one_rating": (dense.count(axis=1) == 1).sum(),
    }
    assert found["feedback"] == "ratings"
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


def test_no_range_mixes_zero_with_others():
    values = np.repeat(np.arange(-40, 61) / 4, 3)
    histogram = describe(Ratings.from_triples(np.arange(303), np.arange(303), values))["histogram"]
    assert histogram["0"] == 3
    assert sum(histogram.values()) == 303
    assert len(histogram) in range(9, 13)
    ends = [tuple(map(float, name.split(" to "))) for name in histogram]
    assert ends == sorted(ends)
    for name, (low, *high) in zip(histogram, ends, strict=True):
        assert low == 0 or low * high[-1] > 0
        assert histogram[name] == ((values >= low) & (values <= [low, *high][-1])).sum()


def test_twenty_values_have_a_bar_each():
    for n in (20, 21):
        values = np.arange(n) - 5
        histogram = describe(Ratings.from_triples(np.arange(n), np.arange(n), values))["histogram"]
        assert (list(histogram) == [str(value) for value in values]) == (n == 20)


def test_values_that_differ_little_keep_bars_of_their_own():
    values = [16_777_213, 16_777_214, 16_777_214, 0.1, 1 / 3, 1e-7]
    histogram = describe(Ratings.from_triples(range(6), range(6), values))["histogram"]
    assert sorted(histogram.values()) == [1, 1, 1, 1, 2]
    assert {np.float32(name) for name in histogram} == set(np.array(values, dtype=np.float32))


def source(tmp_path, text: str, **options) -> dict:
    (tmp_path / "a.csv").write_text(text)
    return json.loads(json.dumps(describe_source(DataConfig(source=str(tmp_path / "a.csv"), **options))))


def test_missing_timestamps_and_duplicates_are_counted_and_no_mistake(tmp_path):
    found = source(tmp_path, "user,item,rating,timestamp,x\n1,1,5,100,a\n1,1,3,,a\n1,2,0,-1,a\n2,2,4,300,a\n")
    assert (found["rows"], found["ratings"], found["duplicates"], found["zeros"]) == (4, 3, 1, 1)
    assert found["histogram"] == {"0": 1, "3": 1, "4": 1}  # of the pair that occurs twice the last one
    assert found["timestamps"] == {
        "first": "1970-01-01T00:01:40+00:00",
        "last": "1970-01-01T00:05:00+00:00",
        "missing": 2,
    }
    assert found["reading"] == {
        "format": "csv",
        "columns": {"user": "user", "item": "item", "rating": "rating", "timestamp": "timestamp"},
        "ignored": ["x"],
        "feedback": "ratings",
    }
    assert any("pairs are repeated, in 1 row:" in text for text in found["advice"])
    first = source(tmp_path, "user,item,rating\n1,1,5\n1,1,3\n", duplicates="first")
    assert (first["histogram"], first["duplicates"]) == ({"5": 1}, 1)
    assert not any("data.duplicates" in text for text in first["advice"])  # it is set
    assert any("bayesian-mf" in text for text in first["advice"])
    with pytest.raises(DataError, match=r"line 3: .*milliseconds must be divided by 1000"):
        source(tmp_path, "user,item,rating,timestamp\n1,1,5,\n1,2,5,1365029107000\n")
    nowhere = source(tmp_path, "user,item,rating,timestamp\n1,1,5,-1\n")
    assert nowhere["timestamps"] == {"first": None, "last": None, "missing": 1}


def test_a_column_of_one_value_is_ratings_all_the_same(tmp_path):
    found = source(tmp_path, "user,item,rating\n1,1,4\n2,1,4\n")
    assert (found["feedback"], found["histogram"]) == ("ratings", {"4": 2})
    events = source(tmp_path, "user,item\n1,1\n2,1\n")
    assert (events["feedback"], events["histogram"]) == ("events", {"1": 2})


def advice(ratings: Ratings) -> str:
    return " | ".join(describe(ratings)["advice"])


def test_advice_follows_from_the_numbers():
    cells = np.arange(20 * 20)
    users, items = cells // 20, cells % 20
    full = Ratings.from_triples(users, items, cells % 3, scale=(0, 2))
    assert "core" not in advice(full)
    assert "scale" not in advice(full)
    assert "temporal" not in advice(full)
    assert "data.scale, such as [0, 2]" in advice(full.with_scale(None))
    timed = Ratings.from_triples(users, items, cells % 3, timestamps=cells)
    assert "split.kind=temporal" in advice(timed)
    lonely = Ratings.from_triples(
        np.append(users, range(100, 110)), np.append(items, range(100, 110)), np.ones(410), feedback="events"
    )
    assert "data.filters.core=5 keeps 400 ratings of 20 users and 20 items" in advice(lonely)
    assert "these are events: als, item-knn, ease, mult-vae and popularity are among" in advice(lonely)
    alone = Ratings.from_triples(range(9), range(9), range(9))
    assert "no 5-core is left" in advice(alone)


def test_filmtrust_is_described_with_its_three_repeats(data_folder):
    found = describe_source(DataConfig(source="filmtrust"))
    assert (found["rows"], found["ratings"], found["duplicates"]) == (35_497, 35_494, 3)


def test_nothing_cannot_be_described():
    with pytest.raises(DataError, match="no ratings left"):
        describe(Ratings.from_triples([], [], []))


def test_no_scale_is_advised_that_cannot_be(tmp_path):
    """One value is no range."""
    one = source(tmp_path, "user,item,rating\n1,1,4\n")["advice"]
    assert "no scale is declared: set data.scale to the lowest and the highest possible ratings" in one
    two = source(tmp_path, "user,item,rating\n1,1,4\n1,2,5\n")["advice"]
    assert any("such as [4, 5], the range that is there, if these are the lowest" in text for text in two)
