"""Every broken input gets one sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from recsys_ae.data.configs import DataConfig, FiltersConfig
from recsys_ae.data.load import load_pair, load_ratings
from recsys_ae.errors import ConfigError, DataError

HEADER = "user,item,rating,timestamp\n"
GOOD = "1,10,4,100\n"
Broken = tuple[str, bytes | str, dict, str]  # file, content, options, what the sentence must say

TEXT_FILES: list[Broken] = [
    (
        "repeat.csv",
        HEADER + GOOD + "2,10,4,1\n1,10,3,5\n",
        {},
        "repeat.csv, line 4: user 1 has rated item 10 before, at .*line 2; set dupl",
    ),
    ("repeat.dat", "1::2::3::4\n1::2::3::5\n", {}, "repeat.dat, line 2: user 1 has rated item 2 before"),
    ("nan.csv", HEADER + GOOD + "2,10,NaN,1\n", {}, r"nan.csv, line 3: the rating is not a number \(nan\)"),
    ("inf.data", "1\t2\t3\n1\t3\t-inf\n", {}, "inf.data, line 2: the rating is -inf, ratings must be finite"),
    ("huge.csv", HEADER + "2,10,1e60,1\n", {}, r"huge.csv, line 2: the rating is 1e\+60"),
    ("score.csv", HEADER + GOOD + "2,10,1_0,1\n", {}, "score.csv, line 3: the rating '1_0' is not a number"),
    ("word.csv", HEADER + GOOD + "2,10,good,1\n", {}, "word.csv, line 3: the rating 'good' is not a number"),
    ("word.dat", "1::2::3::4\n1::3::NA::5\n", {}, "word.dat, line 2: the rating 'NA' is not a number"),
    (
        "comma.tsv",
        "user\titem\trating\n1\t2\t3,5\n",
        {},
        "comma.tsv, line 2: the rating '3,5' is not a number",
    ),
    ("norating.csv", HEADER + GOOD + "2,10,,1\n", {}, "norating.csv, line 3: the rating is empty"),
    ("nouser.csv", HEADER + GOOD + ",10,3,1\n", {}, "nouser.csv, line 3: the user id is empty"),
    (
        "noitem.dat",
        "1::2::3::4\n1::  ::3::5\n",
        {},
        "noitem.dat, line 2: the item id is empty; give each rating an item",
    ),
    (
        "nocolumn.csv",
        "user,score\n1,2\n",
        {},
        "no column that is usually called item for the item; its columns are 'user', 'score'",
    ),
    (
        "notnamed.csv",
        HEADER + GOOD,
        {"columns": {"rating": "stars"}},
        "no column 'stars' for the rating; its columns are 'user', 'item', 'rating', 'timestamp'",
    ),
    (
        "twice.csv",
        "user,userId,item\n1,2,3\n",
        {},
        "'user', 'userId' could all hold the user; choose one with columns.user",
    ),
    (
        "same.csv",
        "user,user,item\n1,2,3\n",
        {"columns": {"user": "user"}},
        "the columns 'user', 'user' could all hold the user; rename one of them$",
    ),
    ("tabs.data", "1\t2\t3\n\t\t\n", {}, "tabs.data, line 2: the rating is empty"),
    (
        "after.csv",
        HEADER + "\n  \n" + GOOD + " \n" + GOOD[:-1] + ",5\n",
        {},
        "after.csv, line 6: has 5 fields",
    ),
    ("commas.csv", HEADER + GOOD + ",,\n", {}, "commas.csv, line 3: has 3 fields instead of 4"),
    ("late.csv", HEADER + "\n  \n" + GOOD + " \n2,10,nan,1\n", {}, "late.csv, line 6: the rating is not a"),
    ("semicolons.csv", "user;item;rating\n1;2;3\n", {"format": "csv"}, "its columns are 'user;item;rating'"),
    ("empty.csv", "", {}, "empty.csv: is empty"),
    ("blank.dat", "\n\n  \n", {}, "blank.dat: is empty"),
    ("header.csv", HEADER, {}, "header.csv: holds no ratings"),
    (
        "outside.csv",
        HEADER + GOOD + "2,10,6,1\n2,11,0,1\n",
        {"scale": (1, 5)},
        "outside.csv, line 3: the rating is 6, 0 at line 4, outside the scale 1 to 5",
    ),
    (
        "latin.csv",
        "user,item,rating\nJosé,2,3\n".encode("latin-1"),
        {},
        "latin.csv, line 2: is no text in utf-8; set encoding to that of the file, such as latin-1",
    ),
    ("latin.dat", "1::Amélie::3\n".encode("latin-1"), {}, "latin.dat, line 1: is no text in utf-8"),
    ("utf16.csv", (HEADER + GOOD).encode("utf-16"), {}, "utf16.csv, line 1: is no text in utf-8"),
    (
        "ascii.csv",
        "user,item,rating\nJosé,2,3\n",
        {"encoding": "ascii"},
        "ascii.csv, line 2: is no text in ascii",
    ),
    ("codec.csv", HEADER + GOOD, {"encoding": "utf-99"}, "cannot be read with the encoding 'utf-99'"),
    ("short.csv", HEADER + GOOD + "2,10,4\n", {}, "short.csv, line 3: has 3 fields instead of 4"),
    ("long.dat", "1::2::3::4\n1::3::4::5::6\n", {}, "long.dat, line 2: has 5 fields instead of 4"),
    (
        "wide.dat",
        "1::2::3::4::5\n",
        {},
        "wide.dat, line 1: has 5 fields; the format 'movielens' has user, item",
    ),
    ("single.dat", "1:2:3\n", {"format": "movielens"}, "single.dat, line 1: has 1 fields"),
    ("quote.csv", HEADER + '1,"10,4,100\n', {}, "quote.csv, line 2: a quote opens here and is not closed"),
    ("unknown.txt", "1 2 3\n", {}, "'1 2 3' fits no known format; name one of movielens, tab, csv"),
    (
        "plain.inter",
        "user_id\titem_id\n1\t2\n",
        {},
        "plain.inter, line 1: no typed header such as 'user_id:token'",
    ),
    (
        "minus.csv",
        HEADER + GOOD + "1,11,3,-1\n",
        {},
        r'minus.csv, line 3: the timestamp is -1, and not a Unix second .*columns.timestamp: ""',
    ),
    (
        "date.csv",
        HEADER + "1,11,3,03/04/2013\n",
        {},
        "date.csv, line 2: the timestamp '03/04/2013' is neither Unix seconds nor a date such as 2013-04-03",
    ),
    ("notime.csv", HEADER + GOOD + "1,11,3,\n", {}, "notime.csv, line 3: the timestamp is missing"),
    (
        "millis.csv",
        HEADER + "1,11,3,1365029107000\n",
        {},
        "millis.csv, line 2: .*milliseconds must be divided by 1000",
    ),
    (
        "implicit.csv",
        "user,item\n1,2\n",
        {"scale": (0, 1)},
        "a scale is declared, but there is no column of ratings",
    ),
    ("text.parquet", "no parquet", {}, "text.parquet: is no whole parquet file"),
    ("text.npz", "no zip", {}, "text.npz: is no sparse matrix saved by scipy"),
    ("empty.npz", "", {}, "empty.npz: is no sparse matrix saved by scipy"),
    ("some.csv", HEADER + GOOD, {"filters": {"core": 2}}, "the filter 'core 2' leaves none of 1 ratings"),
    ("most.csv", HEADER + GOOD, {"filters": {"threshold": 4.5}}, "the filter 'threshold 4.5' leaves none"),
]


def sentence_of(source: object, **options) -> str:
    with pytest.raises(DataError) as raised:
        load_ratings(DataConfig(source=str(source), **options))
    text = str(raised.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


@pytest.mark.parametrize(
    ("name", "content", "options", "expected"), TEXT_FILES, ids=[f[0] for f in TEXT_FILES]
)
def test_broken_files(name, content, options, expected, tmp_path):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert re.search(expected, sentence_of(path, **options))


FRAME = pd.DataFrame({"user": [1, 2], "item": ["a", "b"], "rating": [4.0, 3.0], "timestamp": [5, 6]})
PARQUET_FILES = [
    ({"rating": [4.0, None]}, "row 2: the rating is empty"),
    ({"rating": [4.0, np.inf]}, "row 2: the rating is inf"),
    (
        {"rating": ["4", "five"]},
        r"column 'rating': holds (large_)?string \('4' in row 1\) where ratings must be numbers",
    ),
    ({"user": [1, None]}, "row 2: the user id is empty"),
    ({"item": ["a", None]}, "row 2: the item id is empty"),
    ({"item": [["a"], ["b"]]}, "column 'item': holds list<.*ids must be whole numbers or text"),
    ({"timestamp": ["now", "then"]}, "row 1: the timestamp 'now' is neither Unix seconds nor a date"),
    ({"timestamp": [[5], [6]]}, "column 'timestamp': holds list<.*where timestamps must be"),
    ({"timestamp": [5, -1]}, "row 2: the timestamp is -1"),
    ({"user": [1, 1], "item": ["a", "a"]}, "row 2: user 1 has rated item 'a' before, at .*row 1"),
]


@pytest.mark.parametrize(("change", "expected"), PARQUET_FILES, ids=[f[1][:40] for f in PARQUET_FILES])
def test_broken_parquet(change, expected, tmp_path):
    FRAME.assign(**change).to_parquet(tmp_path / "ratings.parquet")
    assert re.search("ratings.parquet, " + expected, sentence_of(tmp_path / "ratings.parquet"))


def test_parquet_without_rows_or_columns(tmp_path):
    FRAME.iloc[:0].to_parquet(tmp_path / "rows.parquet")
    assert "rows.parquet: holds no ratings" in sentence_of(tmp_path / "rows.parquet")
    FRAME[["user", "rating"]].to_parquet(tmp_path / "columns.parquet")
    assert "its columns are 'user', 'rating'" in sentence_of(tmp_path / "columns.parquet")


def test_parquet_cut_short(tmp_path):
    path = tmp_path / "ratings.parquet"
    FRAME.to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    assert "is no whole parquet file" in sentence_of(path)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (sparse.csr_array((3, 4)), "holds no ratings"),
        (sparse.dia_array(np.eye(3)), "holds a dia matrix; save a csr, csc or coo matrix"),
        (sparse.csr_array(np.eye(2) * 1j), "holds values of type complex128"),
        (
            sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(2, 2)),
            "row 0, column 1: user 0 has rated item 1 before",
        ),
        (sparse.csr_array(([1.0, np.nan], ([0, 1], [1, 0]))), "row 1, column 0: the rating is not a number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_broken_matrices(matrix, expected, tmp_path):
    sparse.save_npz(tmp_path / "ratings.npz", matrix)
    assert expected in sentence_of(tmp_path / "ratings.npz")


def test_other_npz_files(tmp_path):
    np.savez(tmp_path / "arrays.npz", a=np.arange(3))
    assert "is no sparse matrix saved by scipy" in sentence_of(tmp_path / "arrays.npz")


@pytest.mark.parametrize("suffix", ["parquet", "npz", "csv", "dat"])
@given(
    damage=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=3)), min_size=1, max_size=3
    )
)
def test_damaged_files_are_read_or_refused(suffix, damage, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / f"ratings.{suffix}"
    if suffix == "parquet":
        FRAME.to_parquet(path)
    elif suffix == "npz":
        sparse.save_npz(path, sparse.csr_array(np.eye(4)))
    else:
        path.write_text(HEADER + GOOD if suffix == "csv" else GOOD.replace(",", "::"))
    content = bytearray(path.read_bytes())
    for place, insert in damage:
        start = int(place * len(content))
        content[start : start + 2] = insert
    path.write_bytes(content)
    told = str(path)
    try:
        load_ratings(DataConfig(source=str(path)))
    except DataError as error:
        told = str(error)
    assert told.startswith(str(path))
    assert "\n" not in told


def test_files_that_are_none(tmp_path):
    assert "is a folder without files of ratings; name the file" in sentence_of(tmp_path)
    assert "no such file" in sentence_of(tmp_path / "missing.csv")
    assert "neither a file nor a known dataset; perhaps ml-100k" in sentence_of("ml100k")
    assert "known are movietweetings-100k, goodbooks-30core, ml-100k" in sentence_of("qwertyuiop")


def test_known_datasets_that_are_not_here_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_AE_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert "ml-20m is not on this machine" in sentence_of("ml-20m")
    assert "recsys-ae data fetch ml-20m" in sentence_of("ml-20m")
    assert "unpack ratings.txt by hand" in sentence_of("filmtrust")


def pair(tmp_path: Path, train: str, test: str, **options):
    (tmp_path / "all.csv").write_text(train)
    (tmp_path / "test.csv").write_text(test)
    return load_pair(DataConfig(source=str(tmp_path / "all.csv"), **options), "all.csv", "test.csv")


def test_broken_pairs(tmp_path):
    with pytest.raises(DataError, match=r"test.csv: user 1, item 10 is in .*all.csv too \(1 such pairs\)"):
        pair(tmp_path, HEADER + GOOD, HEADER + "2,10,3,5\n" + GOOD)
    with pytest.raises(DataError, match=r"test.csv, line 3: user 3 has rated item 10 before"):
        pair(tmp_path, HEADER + GOOD, HEADER + "3,10,3,5\n3,10,3,5\n")
    with pytest.raises(ConfigError, match="filters cannot be used with a predefined split"):
        pair(tmp_path, HEADER + GOOD, HEADER + "3,10,3,5\n", filters=FiltersConfig(core=2))
    with pytest.raises(DataError, match=r"other.csv: no such file"):
        load_pair(DataConfig(source=str(tmp_path / "all.csv")), "all.csv", "other.csv")


def test_a_scale_must_ascend():
    with pytest.raises(ValueError, match="the lowest rating must be below the highest"):
        DataConfig(source="x", scale=(5, 1))
