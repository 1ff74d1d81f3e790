"""Ratings that come from several files, from tables in memory and from matrices."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse
from strategies import grid

import recsys_ae as ra
from recsys_ae.data.configs import DataConfig
from recsys_ae.data.load import load_pair, load_ratings
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError, DataError

RNG = np.random.default_rng(3)
CELLS = RNG.permutation(30 * 20)[:200]
FRAME = pd.DataFrame(
    {
        "user": CELLS // 20,
        "item": CELLS % 20,
        "rating": RNG.integers(0, 11, 200) / 2,
        "timestamp": 1_365_000_000 + RNG.integers(0, 10**6, 200),
    }
)
WHOLE = Ratings.from_triples(FRAME.user, FRAME.item, FRAME.rating, timestamps=FRAME.timestamp)
PARTS = [FRAME[:70], FRAME[70:75], FRAME[75:75], FRAME[75:]]


def write_parts(folder: Path, suffix: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"part-{number}.{suffix}" for number in range(len(PARTS))]
    for path, part in zip(paths, PARTS, strict=True):
        part.to_parquet(path) if suffix == "parquet" else part.to_csv(path, index=False)
    return paths


@pytest.mark.parametrize("suffix", ["parquet", "csv", "csv.gz"])
def test_parts_are_read_as_one(suffix, tmp_path):
    paths = write_parts(tmp_path / "parts", suffix)
    (tmp_path / "parts" / "_SUCCESS").touch()
    (tmp_path / "parts" / ".part-0.csv.crc").write_text("x")
    (tmp_path / "parts" / "README").write_text("not ratings")
    named = [tmp_path / "parts", tmp_path / "parts" / "part-*", [str(path) for path in paths]]
    for source in named:
        found = ra.load(source)
        assert found.fingerprint() == WHOLE.fingerprint()
        assert found.n_observed == len(FRAME)


def test_parts_in_folders_of_a_folder_are_read_too(tmp_path):
    write_parts(tmp_path / "year=2013" / "month=04", "parquet")
    assert ra.load(tmp_path).fingerprint() == WHOLE.fingerprint()


def test_an_offender_is_named_with_its_own_file_and_line(tmp_path):
    paths = write_parts(tmp_path, "csv")
    with paths[3].open("a") as file:
        file.write("1,2,nan,5\n")
    with pytest.raises(
        DataError, match=rf"^{paths[3]}, line {len(PARTS[3]) + 2}: the rating is not a number"
    ):
        ra.load(tmp_path)
    paths[3].write_text(f"user,item,rating,timestamp\n{FRAME.user[70]},{FRAME.item[70]},3,5\n")
    with pytest.raises(DataError, match=rf"^{paths[3]}, line 2: .* before, at {paths[1]}, line 2"):
        ra.load(tmp_path)


def test_one_part_of_text_ids_makes_all_of_them_text(tmp_path):
    (tmp_path / "a.csv").write_text("user,item,rating\n7,1,3\n")
    (tmp_path / "b.csv").write_text("user,item,rating\n007,1,3\n")
    assert ra.load(tmp_path).users.ids.tolist() == ["007", "7"]
    assert ra.load(tmp_path / "a.csv").users.ids.tolist() == [7]


def refused(source, **options) -> str:
    with pytest.raises(DataError) as raised:
        ra.load(source, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_parts_that_do_not_fit_are_refused(tmp_path):
    write_parts(tmp_path / "a", "csv")
    (tmp_path / "a" / "tags.csv").write_text("user,item,tag,timestamp\n1,2,dull,5\n")
    assert "parts must have the same columns" in refused(tmp_path / "a")
    write_parts(tmp_path / "b", "csv")
    write_parts(tmp_path / "b", "parquet")
    assert "a folder with files of several kinds (4 .csv, 4 .parquet)" in refused(tmp_path / "b")
    (tmp_path / "c").mkdir()
    assert "is a folder without files of ratings" in refused(tmp_path / "c")
    assert "no file matches this pattern" in refused(tmp_path / "c" / "*.csv")
    assert "named twice" in refused([tmp_path / "a" / "part-0.csv"] * 2)
    with pytest.raises(ConfigError, match="lists ml-100k, the name of a dataset"):
        ra.load(["a.csv", "ml-100k"])


class Exported:
    """A table that nothing is known of but that it hands itself to Arrow, as those of polars do."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


ARROW = pa.Table.from_pandas(FRAME, preserve_index=False)
TEXT = FRAME.assign(user=FRAME.user.astype(str), item=FRAME.item.astype("category"))
VIEWS = pa.table({name: column.cast(pa.string_view()) if name in ("user", "item") else column
                  for name, column in zip(ARROW.column_names, pa.Table.from_pandas(
                      FRAME.astype({"user": str, "item": str})).columns, strict=False)})  # fmt: skip
TABLES = {
    "pandas": FRAME,
    "shuffled": FRAME.sample(frac=1, random_state=1),
    "named index": FRAME.set_index(["user", "item"]),
    "text": TEXT,
    "objects": FRAME.astype(object),
    "moments": FRAME.assign(timestamp=pd.to_datetime(FRAME.timestamp, unit="s")),
    "zones": FRAME.assign(
        timestamp=pd.to_datetime(FRAME.timestamp, unit="s", utc=True).dt.tz_convert("Asia/Tokyo")
    ),
    "arrow": ARROW,
    "exported": Exported(ARROW),
    "views": Exported(VIEWS),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_in_memory_are_the_same_ratings(name):
    assert ra.load(TABLES[name]).fingerprint() == WHOLE.fingerprint()


def test_tables_in_memory_are_read_by_the_rules_for_files():
    plays = FRAME.rename(columns={"rating": "plays"})
    assert "the table: 'plays' may hold ratings or counts" in refused(plays)
    counts = ra.load(plays, feedback="counts")
    assert (counts.feedback, counts.values.sum()) == ("counts", FRAME.rating.sum())
    named = ra.load(
        FRAME.set_axis(list("abcd"), axis=1),
        columns=dict(zip(("user", "item", "rating", "timestamp"), "abcd", strict=True)),
    )
    assert named.fingerprint() == WHOLE.fingerprint()
    assert "the table, row 3: the rating is empty" in refused(
        FRAME.assign(rating=FRAME.rating.where(FRAME.index != 3))
    )
    mixed = pd.DataFrame({"user": [1, "x"], "item": [2, 3], "rating": [1, 2]})
    assert ra.load(mixed).users.ids.tolist() == ["1", "x"]
    assert "holds no ratings" in refused(FRAME[:0])
    for nothing in (3, {"user": [1]}, np.eye(3)):
        assert "give a path, the name of a dataset, a pandas, polars or Arrow table" in refused(nothing)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_matrices_keep_their_stored_zeros(kind):
    ratings = grid()
    matrix = sparse.coo_array((ratings.values, (ratings.rows(), ratings.columns)), shape=(12, 15)).asformat(
        kind
    )
    found = ra.load(matrix)
    assert found.n_observed == ratings.n_observed
    assert (found.values == ratings.values).all()
    assert (found.values == 0).sum() > 10
    assert found.feedback == "ratings"
    assert ra.load(matrix, feedback="counts").feedback == "counts"
    ones = matrix.copy()
    ones.data = np.ones_like(ones.data)
    assert ra.load(ones).feedback == "events"
    assert ra.load(ones, feedback="ratings").feedback == "ratings"
    assert "holds a dia matrix" in refused(sparse.dia_array(np.eye(3)))


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["170.0", "7", "8"], "'170.0' among these numbers is not whole"),
        (["1", "2", "3"], None),
        (["1.5", "x", "2"], None),  # names
        (["007", "1", "2"], None),
        (["1.0.1", "1", "2"], None),
    ],
)
def test_numbers_with_a_fraction_as_ids_of_a_text_file_are_named(ids, said, tmp_path, caplog):
    """They stay texts, as they do in tables that tell texts from numbers."""
    path = tmp_path / "ratings.csv"
    path.write_text("user,item,rating\n" + "".join(f"{id},{row},3\n" for row, id in enumerate(ids)))
    found = load_ratings(DataConfig(source=str(path))).users.ids.tolist()
    assert sorted(map(str, found)) == sorted(ids)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [said in warning for warning in warnings] == ([True] if said else [])
    caplog.clear()
    pq.write_table(pa.table({"user": ids, "item": range(3), "rating": [3.0] * 3}), tmp_path / "a.parquet")
    load_ratings(DataConfig(source=str(tmp_path / "a.parquet")))
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_what_was_read_as_what_is_logged(tmp_path, caplog):
    FRAME.assign(title="x").to_csv(tmp_path / "a.csv", index=False)
    with caplog.at_level(logging.INFO, logger="recsys_ae.data.load"):
        ra.load(tmp_path / "a.csv")
        ra.load(FRAME[["user", "item"]].drop_duplicates())
    first, second = (record.getMessage() for record in caplog.records)
    assert first == (
        f"{tmp_path / 'a.csv'} (csv): 200 ratings from 'rating', user from 'user', item from 'item', "
        "timestamp from "
        "'timestamp'; ignored: 'title'"
    )
    assert second.startswith(
        "DataFrame (table): 200 events (each row counts 1; no column is read as ratings)"
    )


@pytest.mark.parametrize("factor", [1e-3, 0.2, 20, 1e6])
def test_a_scale_is_compared_in_the_precision_of_the_data(factor, tmp_path):
    stars = np.array([1, 2, 3, 4, 5], dtype=np.float32)
    frame = pd.DataFrame({"user": range(5), "item": 0, "rating": stars * np.float32(factor)})
    frame.to_parquet(tmp_path / "a.parquet")
    scale = (1 * factor, 5 * factor)
    assert ra.load(tmp_path / "a.parquet", scale=scale).scale == scale
    frame.assign(rating=frame.rating * np.float32(1.001)).to_parquet(tmp_path / "a.parquet")
    assert "outside the scale" in refused(tmp_path / "a.parquet", scale=scale)


def test_of_ratings_and_counts_in_one_file_the_asked_ones_are_read():
    both = FRAME.assign(plays=FRAME.rating + 100, year=1995, mark=7.5)
    assert ra.load(both).fingerprint() == WHOLE.fingerprint()
    assert ra.load(both, feedback="ratings").fingerprint() == WHOLE.fingerprint()
    assert ra.load(both, feedback="counts").values.min() >= 100
    assert set(ra.load(both, feedback="events").values.tolist()) == {1.0}
    film = FRAME.drop(columns="rating").rename(columns={"item": "movieId"}).assign(film=1.5)
    assert ra.load(film).feedback == "events", "a second name of the item is no rating"


def test_scale_and_feedback_are_part_of_the_fingerprint():
    prints = [
        ra.load(FRAME, **options).fingerprint()
        for options in ({}, {"scale": (0, 5)}, {"scale": (0, 10)}, {"feedback": "counts"})
    ]
    assert len(set(prints)) == 4
    counts, ratings = (ra.load(FRAME.assign(rating=1), feedback=kind) for kind in ("counts", "ratings"))
    events = ra.load(FRAME.assign(rating=1), feedback="events")
    assert len({part.fingerprint() for part in (counts, ratings, events)}) == 3
    assert counts.transposed().feedback == "counts"
    assert counts.keep(np.arange(200) < 9).feedback == "counts"
    assert ra.load(FRAME, scale=(0.0, 5.0)).fingerprint() == prints[1]


def test_files_of_a_predefined_split_lie_where_the_source_is(tmp_path):
    (tmp_path / "in").mkdir()
    for place in (tmp_path, tmp_path / "in"):
        FRAME[:150].to_csv(place / "train.csv", index=False)
        FRAME[150:].to_csv(place / "test.csv", index=False)
    FRAME.to_csv(tmp_path / "in" / "all.csv", index=False)
    inside, outside = str(tmp_path / "in"), str(tmp_path)
    for source in (inside, f"{inside}/train.csv", f"{inside}/test.csv"):
        for name in ("train.csv", f"{inside}/train.csv"):
            ratings, held_out = load_pair(DataConfig(source=source), name, "test.csv")
            assert (ratings.n_observed, held_out.sum()) == (200, 50)
    for kind in ("ratings", "counts", "events"):
        union, _ = load_pair(DataConfig(source=inside, feedback=kind), "train.csv", "test.csv")
        assert union.feedback == kind
    for source, train, sentence in (
        (inside, f"{outside}/train.csv", "which does not lie in"),
        (inside, "../train.csv", "which does not lie in"),
        (f"{inside}/all.csv", "train.csv", r"data.source is .*all.csv, but the split is made of .*train.csv"),
        ("movietweetings-100k", f"{outside}/train.csv", "which does not lie in"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            load_pair(DataConfig(source=source), train, "test.csv")
    with pytest.raises(ConfigError, match="lists several files"):
        load_pair(DataConfig(source=("a.csv", "b.csv")), "train.csv", "test.csv")
    FRAME[150:].drop(columns="rating").to_csv(tmp_path / "in" / "test.csv", index=False)
    with pytest.raises(DataError, match=r"train.csv holds ratings and .*test.csv events; set data.feedback"):
        load_pair(DataConfig(source=inside), "train.csv", "test.csv")


def test_lastfm_is_counts_unless_asked_otherwise(data_folder):
    plays = load_ratings(DataConfig(source="lastfm-hetrec"))
    assert (plays.feedback, plays.scale, plays.values.max()) == ("counts", None, 352_698)
    events = load_ratings(DataConfig(source="lastfm-hetrec", feedback="events"))
    assert (events.feedback, set(events.values.tolist())) == ("events", {1.0})
    path = str(data_folder / "lastfm-hetrec" / "user_artists.dat")
    assert "'weight' may hold ratings or counts" in refused(path)


def test_many_parts(tmp_path):
    for number in range(40):
        part = FRAME.assign(user=FRAME.user + 100 * number)
        pq.write_table(pa.Table.from_pandas(part), tmp_path / f"{number:02}.parquet")
    assert ra.load(tmp_path).n_observed == 40 * 200


def test_a_text_id_of_the_test_part_leaves_the_training_part_in_its_order(tmp_path):
    (tmp_path / "train.csv").write_text("user,item,rating\n1,10,3\n1,9,4\n20,100,5\n3,9,1\n")
    (tmp_path / "test.csv").write_text("user,item,rating\n20,9,3\n3,007x,2\n")
    ratings, is_test = load_pair(DataConfig(source=str(tmp_path)), "train.csv", "test.csv")
    assert ratings.items.ids.tolist() == ["9", "10", "100", "007x"]
    assert ratings.users.ids.tolist() == [1, 3, 20]
    alone = ra.load(tmp_path / "train.csv").matrix
    assert ratings.keep(~is_test).columns.tolist() == alone.indices.tolist()
