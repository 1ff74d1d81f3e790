"""What goes by the name of a known dataset is that dataset."""

from __future__ import annotations

import struct
from hashlib import blake2b
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.datasets import DATASETS
from recsys_ae.data.datasets.places import BUNDLED
from recsys_ae.data.load import load_pair, load_ratings
from recsys_ae.errors import DataError

TWEETS = BUNDLED / "movietweetings-100k"


def copied(folder: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ratings that are called like the bundled ones, in a folder of datasets."""
    path = folder / "movietweetings-100k" / "ratings.dat"
    path.parent.mkdir()
    path.write_text("".join(lines))
    monkeypatch.setenv("RECSYS_AE_DATA", str(folder))
    return path


@pytest.fixture
def tweets() -> list[str]:
    table = pq.read_table(TWEETS / "ratings.parquet").to_pylist()
    return ["::".join(str(row[name]) for name in ("user", "item", "rating")) + "\n" for row in table]


def test_other_ratings_under_a_known_name_are_refused(tweets, tmp_path, monkeypatch):
    path = copied(tmp_path, tweets[:50_000], monkeypatch)
    with pytest.raises(
        DataError, match=r"ratings.dat: has 50,000 rows of .* users and .* items, but movietw"
    ) as said:
        load_ratings(DataConfig(source="movietweetings-100k"))
    assert "has 100,000 of 16,554 and 10,506" in str(said.value)
    assert load_ratings(DataConfig(source=str(path))).n_observed == 50_000, "by their path they are one's own"


def test_one_item_too_many_is_noticed(tweets, tmp_path, monkeypatch):
    user, item, rating = tweets[0].split("::")
    copied(tmp_path, [f"{user}::{item}x::{rating}", *tweets[1:]], monkeypatch)
    with pytest.raises(DataError, match="has 100,000 rows of 16,554 users and 10,507 items"):
        load_ratings(DataConfig(source="movietweetings-100k"))


@pytest.mark.parametrize(
    ("column", "said"),
    [(2, "but other ratings; get it again"), (1, "but other pairs of users and items; get")],
)
def test_other_ratings_in_the_same_numbers_are_noticed(column, said, tweets, tmp_path, monkeypatch):
    rows = [line.strip().split("::") for line in tweets]
    first, last = rows[0][column], rows[-1][column]
    assert first != last
    rows[0][column], rows[-1][column] = last, first
    path = copied(tmp_path, ["::".join(row) + "\n" for row in rows], monkeypatch)
    with pytest.raises(DataError, match=f"ratings.dat: has as many rows, users and items as movie.*{said}"):
        load_ratings(DataConfig(source="movietweetings-100k"))
    assert load_ratings(DataConfig(source=str(path))).n_observed == 100_000


def test_the_order_of_the_rows_does_not_matter(tweets, tmp_path, monkeypatch):
    copied(tmp_path, tweets[::-1], monkeypatch)
    assert load_ratings(DataConfig(source="movietweetings-100k")).n_observed == 100_000
    assert load_ratings(DataConfig(source="movietweetings-100k", feedback="events")).n_observed == 100_000


def by_hand(rows: list[tuple[str, str, float]]) -> tuple[str, str]:
    """The content of rows, in whole numbers."""
    most, sums = 2**64 - 1, [0, 0]

    def hashed(text: str, role: bytes) -> int:
        return int.from_bytes(blake2b(text.encode(), digest_size=8, person=role).digest(), "little")

    def mixed(word: int) -> int:
        word = (word + 0x9E3779B97F4A7C15) & most
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & most
        word = (word ^ (word >> 27)) * 0x94D049BB133111EB & most
        return word ^ (word >> 31)

    for user, item, rating in rows:
        pair = mixed(hashed(user, b"user") + mixed(hashed(item, b"item")) & most)
        bits = int.from_bytes(struct.pack("<d", rating), "little")
        sums = [sums[0] + pair & most, sums[1] + mixed(pair + mixed(bits) & most) & most]
    return f"{sums[0]:016x}", f"{sums[1]:016x}"


def test_the_content_of_the_bundle_is_that_of_its_rows():
    table = pq.read_table(TWEETS / "ratings.parquet").to_pylist()
    assert DATASETS["movietweetings-100k"].content == by_hand(
        [(str(row["user"]), row["item"], float(row["rating"])) for row in table]
    )


def test_all_ratings_of_a_known_dataset_set_to_one_are_refused(data_folder, tmp_path, monkeypatch):
    rows = pd.read_csv(data_folder / "ml-100k" / "u.data", sep="\t", header=None)
    (tmp_path / "ml-100k").mkdir()
    rows[2] = 1
    rows.to_csv(tmp_path / "ml-100k" / "u.data", sep="\t", header=False, index=False)
    monkeypatch.setenv("RECSYS_AE_DATA", str(tmp_path))
    with pytest.raises(DataError, match="items as ml-100k, but other ratings"):
        load_ratings(DataConfig(source="ml-100k"))


def test_parts_of_a_known_dataset_are_all_of_it(tweets, tmp_path, monkeypatch):
    folder = copied(tmp_path, tweets, monkeypatch).parent
    (folder / "a.dat").write_text("".join(tweets[:70_000]))
    (folder / "b.dat").write_text("".join(tweets[70_000:]))
    assert load_pair(DataConfig(source="movietweetings-100k"), "a.dat", "b.dat")[0].n_observed == 100_000
    (folder / "b.dat").write_text("".join(tweets[70_000:-1]))
    with pytest.raises(DataError, match="has 99,999 rows"):
        load_pair(DataConfig(source="movietweetings-100k"), "a.dat", "b.dat")
    assert load_pair(DataConfig(source=str(folder)), "a.dat", "b.dat")[0].n_observed == 99_999
