"""What is said of the known datasets is true of those that are here."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from recsys_ae.data.configs import ColumnsConfig, DataConfig
from recsys_ae.data.datasets import DATASETS, data_folder, find, item_titles, known
from recsys_ae.data.datasets.places import BUNDLED
from recsys_ae.data.describe import describe
from recsys_ae.data.load import load_pair, load_ratings
from recsys_ae.errors import DataError

TWEETS = BUNDLED / "movietweetings-100k"
BOOKS = BUNDLED / "goodbooks-30core"
STARS = [1212, 1124, 1844, 3367, 6726, 12944, 22229, 24145, 14005, 12392]
HISTOGRAMS = {
    "ml-1m": [56174, 107557, 261197, 348971, 226310],
    "ml-100k": [6110, 11370, 27145, 34174, 21201],
    "movietweetings-100k": [12, *STARS],
    "ml-latest-small": [1370, 2811, 1791, 7551, 5550, 20047, 13136, 26818, 8551, 13211],
    "goodbooks-10k": [19529, 63124, 248169, 356608, 292048],
    "goodbooks-30core": [8952, 29667, 118202, 165995, 136011],
}


@pytest.mark.parametrize("name", DATASETS)
def test_entries_are_whole(name):
    entry = DATASETS[name]
    assert entry.terms
    assert "\n" not in entry.terms
    assert entry.published.startswith("https://")
    assert entry.archive or entry.bundled or entry.note
    if entry.archive:
        assert re.fullmatch("[0-9a-f]{64}", entry.archive.sha256)
        assert entry.archive.members[0] in {file.name for file in entry.files}


@pytest.mark.parametrize("name", [*HISTOGRAMS, "filmtrust", "lastfm-hetrec"])
def test_counts_and_scales(name, data_folder):
    entry = DATASETS[name]
    if not (entry.bundled or (data_folder / name).is_dir()):
        pytest.skip(f"{name} is not in RECSYS_AE_DATA")
    found = describe(
        load_ratings(DataConfig(source=name, duplicates="last" if name == "filmtrust" else "error"))
    )
    assert (found["users"], found["items"], found["ratings"]) == (entry.users, entry.items, entry.ratings)
    assert found["scale"] == (list(entry.scale) if entry.scale else None)
    assert sum(found["histogram"].values()) == entry.ratings
    if name in HISTOGRAMS:
        assert list(found["histogram"].values()) == HISTOGRAMS[name]


def test_filmtrust_names_the_first_of_its_repeated_pairs(data_folder):
    rows = pd.read_csv(data_folder / "filmtrust" / "ratings.txt", header=None)
    line = np.flatnonzero(rows.duplicated([0, 1]))[0] + 1
    with pytest.raises(DataError, match=rf"ratings.txt, line {line}: user .* \(3 ratings repeat a pair\)"):
        load_ratings(DataConfig(source="filmtrust"))


def test_ml_1m_is_read_without_its_partly_unknown_timestamps(data_folder):
    assert load_ratings(DataConfig(source="ml-1m")).timestamps is None
    with pytest.raises(DataError, match=r"the timestamp is -1 \(and 345859 more like it\)"):
        load_ratings(DataConfig(source="ml-1m", columns=ColumnsConfig(timestamp="timestamp")))


def test_ml_1m_has_the_order_within_each_user(data_folder):
    ratings = load_ratings(DataConfig(source="ml-1m", columns=ColumnsConfig(timestamp="seq")))
    for user in range(0, ratings.n_users, 997):
        part = slice(*ratings.matrix.indptr[user : user + 2])
        assert sorted(ratings.timestamps[part]) == list(range(part.stop - part.start))


def test_ml_1m_in_its_official_layout_is_the_same(data_folder, tmp_path, monkeypatch):
    table = pd.read_parquet(data_folder / "ml-1m" / "ratings.parquet")
    (tmp_path / "ml-1m").mkdir()
    columns = [table[name].astype(int).astype(str) for name in ("user", "item", "rating", "seq")]
    text = columns[0].str.cat(columns[1:], sep="::")
    (tmp_path / "ml-1m" / "ratings.dat").write_text("\n".join(text) + "\n")
    with_times = load_ratings(
        DataConfig(source="ml-1m", columns=ColumnsConfig(timestamp="seq"))
    ).fingerprint()
    monkeypatch.setenv("RECSYS_AE_DATA", str(tmp_path))
    official = load_ratings(DataConfig(source="ml-1m"))
    assert official.fingerprint() == with_times
    assert official.scale == (1, 5)


def test_predefined_parts_of_ml_100k(data_folder):
    ratings, test = load_pair(DataConfig(source="ml-100k"), "u1.base", "u1.test")
    whole = load_ratings(DataConfig(source="ml-100k"))
    assert ratings.fingerprint() == whole.fingerprint()
    assert ratings.scale == whole.scale == (1, 5)
    expected = pd.read_csv(data_folder / "ml-100k" / "u1.test", sep="\t", header=None).sort_values([0, 1])
    part = ratings.keep(test)
    assert part.users.ids[part.rows()].tolist() == expected[0].tolist()
    assert part.items.ids[part.columns].tolist() == expected[1].tolist()
    assert part.values.tolist() == expected[2].tolist()


# The bundled datasets


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    monkeypatch.delenv("RECSYS_AE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_the_bundled_ratings_need_no_folder(no_data):
    found = describe(load_ratings(DataConfig(source="movietweetings-100k")))
    assert (found["users"], found["items"], found["ratings"]) == (16_554, 10_506, 100_000)
    assert found["histogram"] == {str(value): count for value, count in enumerate([12, *STARS])}
    assert found["scale"] == [0, 10]
    assert found["timestamps"]["first"].startswith("2013-02-28")


def test_the_bundled_ids_keep_their_zeros(no_data):
    items = load_ratings(DataConfig(source="movietweetings-100k")).items.ids
    assert {len(item) for item in items} == {7}
    assert any(item.startswith("0") for item in items)


def test_every_bundled_item_has_a_title(no_data):
    titles = item_titles("movietweetings-100k")
    assert set(titles) == set(load_ratings(DataConfig(source="movietweetings-100k")).items.ids)
    assert titles["0002844"] == "Fantômas - À l'ombre de la guillotine (1913)"


def test_the_bundle_is_small_and_has_its_licence():
    assert sum(path.stat().st_size for path in TWEETS.iterdir()) < 900_000
    assert (
        (TWEETS / "LICENSE").read_text().startswith("The MIT License (MIT)\n\nCopyright (c) 2013 Simon Dooms")
    )
    assert sum(path.stat().st_size for path in BOOKS.iterdir()) < 1_200_000
    terms = (BOOKS / "LICENSE").read_text()
    for named in ("CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0/", "Zygmunt", "changed"):
        assert named in terms


def test_the_bundled_books_are_the_30_core_of_the_original_with_its_titles(data_folder):
    if not (data_folder / "goodbooks-10k").is_dir():
        pytest.skip("goodbooks-10k is not in RECSYS_AE_DATA")
    whole = load_ratings(DataConfig(source="goodbooks-10k", filters={"core": 30}))
    assert load_ratings(DataConfig(source="goodbooks-30core")).fingerprint() == whole.fingerprint()
    original = pd.read_csv(data_folder / "goodbooks-10k" / "books.csv").set_index("id").loc[whole.items.ids]
    books = pd.read_parquet(BOOKS / "books.parquet").set_index("id")
    assert books["title"].tolist() == original["title"].tolist()
    assert books["authors"].tolist() == original["authors"].tolist()
    np.testing.assert_array_equal(books["year"], original["original_publication_year"])


def test_the_bundle_is_the_original_entry_by_entry(data_folder):
    original = data_folder / "movietweetings-100k"
    lines = (original / "ratings.dat").read_text().splitlines()
    rows = pq.read_table(TWEETS / "ratings.parquet").to_pylist()
    assert {f"{r['user']}::{r['item']}::{r['rating']:g}::{r['timestamp']}" for r in rows} == set(lines)
    assert len(rows) == len(lines)
    movies = [line.split("::")[:2] for line in (original / "movies.dat").read_text().splitlines()]
    assert [list(row.values()) for row in pq.read_table(TWEETS / "movies.parquet").to_pylist()] == movies
    assert (TWEETS / "LICENSE").read_bytes() == (original / "LICENSE").read_bytes()


# Titles and places


@pytest.mark.parametrize(
    ("name", "item", "title"),
    [
        ("ml-100k", 1175, "Hugo Pool (1997)"),
        ("ml-1m", 73, "Misérables, Les (1995)"),
        ("ml-latest-small", 1, "Toy Story (1995)"),
        ("goodbooks-10k", 2, "Harry Potter and the Sorcerer's Stone (Harry Potter, #1)"),
        ("goodbooks-30core", 2, "Harry Potter and the Sorcerer's Stone (Harry Potter, #1)"),
        ("lastfm-hetrec", 1, "MALICE MIZER"),
        ("movietweetings-100k", "0004936", "The Bank (1915)"),
    ],
)
def test_titles(name, item, title, data_folder):
    titles = item_titles(name)
    assert titles[item] == title
    if name != "filmtrust":
        assert set(load_ratings(DataConfig(source=name)).items.ids) <= set(titles)


def test_titles_lie_beside_the_ratings_and_lines_without_one_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_AE_DATA", str(tmp_path))
    folder = tmp_path / "movietweetings-100k"
    folder.mkdir()
    (folder / "ratings.dat").write_text("1::2::3\n")
    assert item_titles("movietweetings-100k")["0004936"] == "The Bank (1915)", "else those of the package"
    (folder / "movies.dat").write_text("1::Heat (1995)::Crime\n\n2\n3::Ronin\n::Nobody's::Drama\n")
    assert item_titles("movietweetings-100k") == {1: "Heat (1995)", 3: "Ronin"}


def test_no_titles(no_data):
    assert item_titles("filmtrust") is None
    assert item_titles("ml-1m") is None
    assert item_titles("ratings.csv") is None


def test_folders_are_looked_through_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RECSYS_AE_DATA", str(tmp_path / "data"))
    assert data_folder() == tmp_path / "data"
    assert find("ml-100k") is None
    assert find("movietweetings-100k") == TWEETS / "ratings.parquet"
    for place in (tmp_path / "cache" / "recsys_ae", tmp_path / "data"):
        (place / "ml-100k").mkdir(parents=True)
        (place / "ml-100k" / "u.data").write_text("1\t2\t3\t4\n")
        assert find("ml-100k") == place / "ml-100k" / "u.data"
    monkeypatch.delenv("RECSYS_AE_DATA")
    assert data_folder() is None
    assert find("ml-100k") == tmp_path / "cache" / "recsys_ae" / "ml-100k" / "u.data"


def test_unknown_names_are_answered_with_close_ones():
    with pytest.raises(DataError, match=r"'ml-2m' is no known dataset; perhaps ml-.* is meant; known are"):
        known("ml-2m")


@pytest.mark.parametrize("name", ["~a\0b/x.csv", "x" * 300])
def test_what_no_file_can_be_called_is_refused(name):
    with pytest.raises(DataError, match="is no name of a file"):
        load_ratings(DataConfig(source=name))


def test_a_path_is_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ml-1m.csv").write_text("user,item\n1,2\n")
    assert load_ratings(DataConfig(source="ml-1m.csv")).n_observed == 1
