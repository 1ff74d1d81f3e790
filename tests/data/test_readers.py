"""The same ratings, written in every layout, are read as the same ratings."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from recsys_ae.data.configs import ColumnsConfig, DataConfig
from recsys_ae.data.load import load_ratings
from recsys_ae.data.readers.layout import text_layout
from recsys_ae.data.readers.text import read_slowly, read_text
from recsys_ae.training.interrupts import Terminated, terminated

ROWS = [(1, "0012", 4.0, 100), (1, "7", 0.0, 101), (20, "7", 2.5, 90), (3, "0012", 5.0, 100)]
FRAME = pd.DataFrame(ROWS, columns=["user", "item", "rating", "timestamp"])


def lines(separator: str, *, header: str = "", end: str = "\n") -> str:
    return "".join(f"{line}{end}" for line in ([header] if header else [])) + "".join(
        separator.join(f"{value:g}" if isinstance(value, float) else str(value) for value in row) + end
        for row in ROWS
    )


TEXTS = {
    "ratings.dat": lines("::"),
    "u.data": lines("\t"),
    "u1.base": lines("\t", end="\r\n"),
    "ratings.csv": lines(",", header="userId,movieId,rating,timestamp"),
    "windows.csv": "\ufeff" + lines(",", header="user_id,item_id,score,time", end="\r\n"),
    "quoted.csv": lines(",", header='"User ID","bookId","Rating","timestamp"').replace("0012", '"0012"'),
    "blank.csv": "\n" + lines(",", header="user,item,rating,timestamp").replace("\n", "\n\n"),
    "spaces_between.csv": " \n" + lines(",", header="user,item,rating,timestamp").replace("\n", "\n  \t\n"),
    "spaces_at_the_end.csv": lines(",", header="user,item,rating,timestamp") + "   ",
    "spaces_at_the_end.dat": lines("::") + " \n\n  \n",
    "spaces_at_the_end.tsv": lines("\t", header="userID\titemID\tstars\ttimestamp") + "\t\n",
    "no_end.csv": lines(",", header="user,item,rating,timestamp").rstrip("\n"),
    "spaces.csv": lines(", ", header="user, item, rating, timestamp"),
    "ratings.tsv": lines("\t", header="userID\titemID\tstars\ttimestamp"),
    "headerless.txt": lines(","),
    "ml.inter": lines("\t", header="user_id:token\titem_id:token\trating:float\ttimestamp:float"),
    "inter.txt": lines("\t", header="user_id:token\titem_id:token\trating:float\ttimestamp:float"),
}


def check(path: Path, **options) -> None:
    ratings = load_ratings(DataConfig(source=str(path), **options))
    found = pd.DataFrame(
        {
            "user": ratings.users.ids[ratings.rows()],
            "item": ratings.items.ids[ratings.columns],
            "rating": ratings.values.astype(np.float64),
            "timestamp": ratings.timestamps,
        }
    )
    expected = FRAME.sort_values(["user", "item"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert (ratings.feedback, ratings.scale, ratings.limits()) == ("ratings", None, (0.0, 5.0))


@pytest.mark.parametrize("name", TEXTS)
def test_text_layouts(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(TEXTS[name].encode())
    check(path)


@pytest.mark.parametrize(
    ("name", "format"), [("ratings.dat", "movielens"), ("u.data", "tab"), ("headerless.txt", "csv")]
)
def test_named_formats_need_no_suffix(name, format, tmp_path):
    path = tmp_path / "file"
    path.write_text(TEXTS[name])
    check(path, format=format)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-8-sig"])
def test_encodings_can_be_named(encoding, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("user,item,rating\nJosé,Amélie,4\nZoë,Amélie,3\n", encoding=encoding)
    ratings = load_ratings(DataConfig(source=str(path), encoding=encoding))
    assert ratings.users.ids.tolist() == ["José", "Zoë"]
    assert ratings.items.ids.tolist() == ["Amélie"]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"item": FRAME["item"].astype("category")},
        {"user": FRAME["user"].astype(np.float64)},
        {"user": FRAME["user"].astype(str)},
        {"rating": FRAME["rating"].astype(np.float16)},
        {"timestamp": pd.to_datetime(FRAME["timestamp"], unit="s", utc=True)},
        {"timestamp": FRAME["timestamp"] + 0.5},
    ],
    ids=lambda change: next(iter(change), "plain"),
)
def test_parquet(change, tmp_path):
    path = tmp_path / "ratings.parquet"
    FRAME.assign(extra="x", **change).to_parquet(path)
    check(path)


def test_dates_are_midnights(tmp_path):
    path = tmp_path / "ratings.parquet"
    FRAME.assign(timestamp=[pd.Timestamp("1970-01-02").date()] * 4).to_parquet(path)
    assert set(load_ratings(DataConfig(source=str(path))).timestamps) == {86_400}


def test_sparse_matrices_keep_their_zeros(tmp_path):
    path = tmp_path / "ratings.npz"
    matrix = sparse.csr_array(([3.0, 0.0, -1.0], ([0, 2, 2], [1, 1, 3])), shape=(5, 9))
    sparse.save_npz(path, matrix)
    ratings = load_ratings(DataConfig(source=str(path)))
    assert ratings.users.ids.tolist() == [0, 2]
    assert ratings.items.ids.tolist() == [1, 3]
    assert ratings.values.tolist() == [3.0, 0.0, -1.0]
    assert (ratings.feedback, ratings.scale, ratings.limits()) == ("ratings", None, (-1.0, 3.0))


@pytest.mark.parametrize("format", ["csc", "coo"])
def test_other_sparse_formats_are_the_same(format, tmp_path):
    matrix = sparse.random_array((20, 10), density=0.3, rng=np.random.default_rng(0), format="csr")
    prints = []
    for kind in ("csr", format):
        sparse.save_npz(tmp_path / f"{kind}.npz", matrix.asformat(kind))
        prints.append(load_ratings(DataConfig(source=str(tmp_path / f"{kind}.npz"))).fingerprint())
    assert prints[0] == prints[1]


@pytest.mark.parametrize(
    ("name", "text"),
    [("pairs.csv", "user,item\n1,2\n1,3\n"), ("pairs.dat", "1::2\n1::3\n"), ("pairs.data", "1\t2\n1\t3\n")],
)
def test_no_ratings_are_events(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    ratings = load_ratings(DataConfig(source=str(tmp_path / name)))
    assert ratings.values.tolist() == [1.0, 1.0]
    assert (ratings.feedback, ratings.scale) == ("events", None)


def test_columns_can_be_named_and_left_out(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("when,what,who,stars,rating\n5,a,x,4,100\n6,b,x,3,200\n")
    columns = ColumnsConfig(user="who", item="what", rating="stars", timestamp="when")
    named = load_ratings(DataConfig(source=str(path), columns=columns))
    assert (named.values.tolist(), named.timestamps.tolist()) == ([4.0, 3.0], [5, 6])
    without = columns.model_copy(update={"rating": "", "timestamp": ""})
    left_out = load_ratings(DataConfig(source=str(path), columns=without))
    assert (left_out.values.tolist(), left_out.timestamps, left_out.feedback) == ([1.0, 1.0], None, "events")


def test_what_the_fast_reader_refuses_is_read_all_the_same(tmp_path):
    colon = tmp_path / "ratings.dat"
    colon.write_text("a:b::x::5\na:b::y:z::3\n")
    ratings = load_ratings(DataConfig(source=str(colon)))
    assert (ratings.users.ids.tolist(), ratings.items.ids.tolist()) == (["a:b"], ["x", "y:z"])
    breaks = tmp_path / "reviews.csv"
    breaks.write_text('user,item,text,rating\n1,2,"first\nsecond, ""third""",4\n1,3,short,2\n')
    assert load_ratings(DataConfig(source=str(breaks))).values.tolist() == [4.0, 2.0]


FIELDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\0\t:\ufffd", exclude_categories=["Cs", "Cc", "Z"]),
    min_size=1,
)


@given(
    st.lists(st.tuples(FIELDS, FIELDS, st.floats(-9, 9, width=32)), min_size=1, max_size=8),
    st.sampled_from(["::", "\t"]),
)
def test_the_fast_and_the_slow_reader_agree(tmp_path_factory, rows, separator):
    path = tmp_path_factory.mktemp("agree") / "ratings"
    path.write_bytes("".join(separator.join([u, i, repr(v)]) + "\n" for u, i, v in rows).encode())
    format = "movielens" if separator == "::" else "tab"
    fast = read_text(path, format, ColumnsConfig(), None)
    slow = read_slowly(text_layout(path, format, "utf-8"), {"user": 0, "item": 1, "rating": 2})
    assert [fast.users[row] for row in range(len(fast))] == [
        user.strip() for user in slow["user"].to_pylist()
    ]
    assert [fast.items[row] for row in range(len(fast))] == [
        item.strip() for item in slow["item"].to_pylist()
    ]
    assert fast.values.tolist() == slow["rating"].to_pylist() == [value for _, _, value in rows]
    assert fast.where(len(rows) - 1) == f"{path}, line {len(rows)}"


def test_no_signal_is_lost_in_a_reader(tmp_path):
    path, draws = tmp_path / "ratings.csv", np.random.default_rng(0)
    path.write_text(TEXTS["ratings.csv"])

    def read_until_a_signal_comes() -> None:
        threading.Timer(draws.uniform(0, 0.01), os.kill, (os.getpid(), signal.SIGTERM)).start()
        until = time.monotonic() + 10
        while time.monotonic() < until:
            load_ratings(DataConfig(source=str(path)))

    for _ in range(60):
        with pytest.raises(Terminated), terminated():
            read_until_a_signal_comes()
