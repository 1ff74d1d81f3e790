"""Columns without a name are never left out in silence where they may hold the ratings."""

from __future__ import annotations

import pandas as pd
import pytest

from recsys_ae.data.configs import ColumnsConfig, DataConfig
from recsys_ae.data.load import read_triples
from recsys_ae.errors import DataError

N = 50
FRAME = pd.DataFrame(
    {"user": range(N), "item": [i % 7 for i in range(N)], "rating": [i % 5 + 1 for i in range(N)]}
)
WRITERS = {
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    "parquet": lambda frame, path: frame.to_parquet(path, index=False),
}


def written(frame: pd.DataFrame, suffix: str, folder) -> str:
    path = folder / f"ratings.{suffix}"
    WRITERS[suffix](frame, path)
    return str(path)


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(
    ("frame", "place"),
    [
        (FRAME.rename(columns={"rating": ""}), 3),
        (FRAME.assign(**{" ": "", "": 7}).drop(columns=""), 4),
        (FRAME.rename(columns={"rating": ""})[["", "user", "item"]], 1),
    ],
    ids=["ratings", "beside", "first"],
)
def test_a_column_without_a_name_is_named_by_its_place(frame, place, suffix, tmp_path):
    path = written(frame, suffix, tmp_path)
    with pytest.raises(DataError, match=f"column {place} of {frame.shape[1]} has no name; give it one"):
        read_triples(DataConfig(source=path))
    assert len(read_triples(DataConfig(source=path, feedback="events"))) == N
    named = ColumnsConfig(rating="rating" if "rating" in frame else "")
    assert len(read_triples(DataConfig(source=path, columns=named))) == N


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("first", [range(N), range(1, N + 1), [f"row {i}" for i in range(N)]], ids=str)
def test_the_index_of_a_table_stays_unnamed(first, suffix, tmp_path):
    frame = pd.concat([pd.Series(first, name=""), FRAME], axis=1)
    found = read_triples(DataConfig(source=written(frame, suffix, tmp_path)))
    assert found.values.tolist() == FRAME.rating.tolist()
    events = read_triples(DataConfig(source=written(frame.drop(columns="rating"), suffix, tmp_path)))
    assert (events.values, len(events)) == (None, N)


def test_an_index_in_another_order_stays_beside_named_ratings(tmp_path):
    frame = FRAME.sample(frac=1, random_state=0)
    frame.to_csv(tmp_path / "a.csv")
    found = read_triples(DataConfig(source=str(tmp_path / "a.csv")))
    assert found.values.tolist() == frame.rating.tolist()
    frame[["user", "item"]].to_csv(tmp_path / "b.csv")
    with pytest.raises(DataError, match="column 1 of 3 has no name"):
        read_triples(DataConfig(source=str(tmp_path / "b.csv")))
