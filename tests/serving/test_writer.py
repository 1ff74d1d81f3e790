"""Files of lists: what is in them, and that they appear whole or not at all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import id_maps

from recsys_ae.data.ids import IdMap
from recsys_ae.errors import ConfigError, StorageError
from recsys_ae.ranking import TopN
from recsys_ae.serving.lists import TopNBlock
from recsys_ae.serving.writer import write_top_n

FORMATS = ["parquet", "csv"]


def blocks_of(n_users: int, n_items: int, *, size: int, n: int = 4, seed: int = 0) -> list[TopNBlock]:
    """Lists of different lengths, padded."""
    rng = np.random.default_rng(seed)
    items = np.stack([rng.permutation(max(n_items, n))[:n] for _ in range(n_users)])
    scores = -np.sort(rng.standard_normal((n_users, n)).astype(np.float32), axis=1)
    padding = (items >= n_items) | (np.arange(n) >= rng.integers(0, n + 1, n_users)[:, None])
    padding = np.maximum.accumulate(padding, axis=1)
    items, scores = np.where(padding, -1, items), np.where(padding, np.float32(-np.inf), scores)
    users = rng.permutation(n_users)
    return [
        TopNBlock(
            users[start : start + size], TopN(items[start : start + size], scores[start : start + size])
        )
        for start in range(0, n_users, size)
    ]


def expected(blocks, users: IdMap, items: IdMap) -> list[tuple]:
    return [
        (users.ids[user], rank, items.ids[item], score)
        for block in blocks
        for user, row, scores in zip(block.rows, block.top.items, block.top.scores, strict=True)
        for rank, (item, score) in enumerate(zip(row, scores, strict=True), start=1)
        if item >= 0
    ]


def read(path, users: IdMap, items: IdMap) -> list[tuple]:
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
    else:
        kinds = {name: np.int64 if ids.ids.dtype == np.int64 else str
                 for name, ids in (("user", users), ("item", items))}  # fmt: skip
        table = pd.read_csv(path, dtype={**kinds, "score": np.float32}, keep_default_na=False)
    assert list(table.columns) == ["user", "rank", "item", "score"]
    return list(table.itertuples(index=False, name=None))


@pytest.mark.parametrize("suffix", FORMATS)
@given(users=id_maps(6), items=id_maps(5), size=st.integers(1, 7), seed=st.integers(0, 5))
def test_round_trip(tmp_path_factory, suffix, users, items, size, seed):
    path = tmp_path_factory.mktemp("lists") / f"lists.{suffix}"
    blocks = blocks_of(6, 5, size=size, seed=seed)
    n_rows = write_top_n(path, iter(blocks), users=users, items=items)
    assert read(path, users, items) == expected(blocks, users, items)
    assert n_rows == len(expected(blocks, users, items))


@pytest.mark.parametrize("ids", [np.arange(6), np.array(list("abcdef"), dtype=object)], ids=["int", "str"])
def test_parquet_columns_have_types(tmp_path, ids):
    write_top_n(tmp_path / "a.parquet", [], users=IdMap(ids), items=IdMap(ids))
    id_type = pa.int64() if ids.dtype == np.int64 else pa.string()
    types = {"user": id_type, "rank": pa.int32(), "item": id_type, "score": pa.float32()}
    assert pq.read_schema(tmp_path / "a.parquet") == pa.schema(types)
    assert pq.read_metadata(tmp_path / "a.parquet").num_rows == 0


def test_csv_is_plain_and_quotes_what_needs_it(tmp_path):
    users, items = IdMap(np.array(["007", 'a,"b"\n'], dtype=object)), IdMap(np.array([5, 9]))
    top = TopN(np.array([[1, 0], [0, -1]]), np.array([[4.1, 0.1], [1e-7, -np.inf]], dtype=np.float32))
    write_top_n(tmp_path / "a.csv", [TopNBlock(np.array([0, 1]), top)], users=users, items=items)
    assert (tmp_path / "a.csv").read_bytes() == (
        b'user,rank,item,score\n007,1,9,4.1\n007,2,5,0.1\n"a,""b""\n",1,5,1e-07\n'
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_bytes_do_not_depend_on_blocks(tmp_path, suffix):
    """More rows than are written at once."""
    ids = IdMap(np.arange(70_000))
    written = []
    for size in (70_000, 70_000, 999):
        path = tmp_path / f"{len(written)}.{suffix}"
        blocks = blocks_of(70_000, 50, size=size)
        assert write_top_n(path, blocks, users=ids, items=ids) > 1 << 17
        written.append(path.read_bytes())
    assert written[0] == written[1] == written[2]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path, suffix, error):
    def broken():
        yield from blocks_of(40_000, 5, size=40_000)
        yield from blocks_of(40_000, 5, size=40_000)
        raise error("in the middle")

    path = tmp_path / f"lists.{suffix}"
    path.write_text("old")
    with pytest.raises(error):
        write_top_n(path, broken(), users=IdMap(np.arange(40_000)), items=IdMap(np.arange(5)))
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old"


def test_bad_places_are_refused(tmp_path):
    ids = IdMap(np.arange(3))

    def untouched():
        raise AssertionError("a list was made")
        yield

    with pytest.raises(ConfigError, match=r"lists\.xlsx: lists are written as \.parquet or \.csv"):
        write_top_n(tmp_path / "lists.xlsx", untouched(), users=ids, items=ids)
    (tmp_path / "full.csv").mkdir()
    (tmp_path / "full.csv" / "mine").write_text("mine")
    with pytest.raises(StorageError, match="is a folder"):
        write_top_n(tmp_path / "full.csv", untouched(), users=ids, items=ids)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_top_n(tmp_path / "file" / "a.csv", [], users=ids, items=ids)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file", "full.csv"]
    assert (tmp_path / "full.csv" / "mine").exists()


def test_a_flipped_bit_in_the_lists_of_a_parquet_file_is_found(tmp_path):
    ids = IdMap(np.arange(70))
    write_top_n(tmp_path / "a.parquet", blocks_of(70, 50, size=70), users=ids, items=ids)
    whole = (tmp_path / "a.parquet").read_bytes()
    scores = pq.read_metadata(tmp_path / "a.parquet").row_group(0).column(3)
    start = scores.dictionary_page_offset or scores.data_page_offset
    found = []
    for place in range(start, start + scores.total_compressed_size, 11):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        (tmp_path / "a.parquet").write_bytes(damaged)
        try:
            pq.read_table(tmp_path / "a.parquet", page_checksum_verification=True)
        except OSError:
            found.append(place)
    assert len(found) > 0.9 * len(range(start, start + scores.total_compressed_size, 11))  # headers have none
