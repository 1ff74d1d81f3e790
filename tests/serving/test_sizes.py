"""How many users are scored at once, and by how many threads."""

from __future__ import annotations

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_ae.errors import ConfigError
from recsys_ae.serving.shards import shards_of
from recsys_ae.serving.sizes import block_users, bytes_in, shard_users, workers_within


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2GB", 2 * 10**9),
        ("500 mb", 5 * 10**8),
        ("1.5GiB", 3 * 2**29),
        ("8ki", 8192),
        ("1000", 1000),
        ("3t", 3 * 10**12),
    ],
)
def test_sizes_are_read_as_people_write_them(text, expected):
    assert bytes_in(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-2GB", "2 G B", "1e9", "2GBB", "i", "GB", "NaN"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ConfigError, match="is no size; write it as in 2GB"):
        bytes_in(text)


@given(n_items=st.integers(1, 5_000_000), limit=st.none() | st.integers(1, 10**12))
def test_blocks_are_within_their_bounds(n_items, limit):
    if limit is not None and limit < 8 * 12 * n_items:
        with pytest.raises(ConfigError, match=f"too little for a catalogue of {n_items:,} items"):
            block_users(n_items, limit)
        return
    size = block_users(n_items, limit)
    assert 1 <= size <= 1024
    assert size == 1 or size * n_items <= 2**25
    assert limit is None or 8 * 12 * size * n_items <= limit
    assert size <= block_users(n_items, None)


def test_usual_catalogues_have_blocks_that_a_cache_holds():
    assert [block_users(n, None) for n in (10, 3_700, 20_000, 500_000)] == [1024, 1024, 209, 64]


def test_a_shard_has_about_a_million_rows():
    assert [shard_users(n) for n in (1, 10, 20, 100, 10_000, 10**7)] == [
        50_000,
        50_000,
        50_000,
        10_000,
        100,
        1,
    ]


@given(n_users=st.integers(0, 300), size=st.integers(1, 50))
def test_shards_hold_everybody_once_and_in_order(n_users, size):
    shards = shards_of(n_users, size)
    assert [user for shard in shards for user in range(shard.start, shard.stop)] == list(range(n_users))
    assert all(shard.n_users == size for shard in shards[:-1])
    assert [shard.number for shard in shards] == list(range(len(shards)))
    assert (shards[-1].n_users > 0) == (n_users > 0)


def test_fewer_threads_work_where_there_is_little_memory():
    sizes = {"block_users": 100, "n_items": 100_000, "rows": 10**6}  # 120 MB each, and 100 MB
    loaded = psutil.Process().memory_info().rss
    assert workers_within(None, 16, **sizes) == 16
    assert workers_within(loaded + 10**8 + 16 * 13 * 10**7, 16, **sizes) == 16
    assert 1 <= workers_within(loaded + 5 * 10**8, 16, **sizes) <= 3
    with pytest.raises(
        ConfigError, match=r"the model, its histories and the libraries take .*; allow at least"
    ):
        workers_within(loaded + 10**8, 16, **sizes)
