"""How many users are scored at once, by how many threads: what memory they take."""

from __future__ import annotations

import re

import psutil

from recsys_ae.data.histories import rows_at_once
from recsys_ae.errors import ConfigError, brief

_CELLS = 1 << 22  # scores of a block: 16 MiB, of which a processor's cache holds much
_LEAST_USERS, _MOST_USERS = 64, 1024  # of a block: with fewer, products read the items more often than needed
_COPIES = 3  # of a block's scores at once, while a model makes them
_ROW_BYTES = 100  # of a list's row, while a shard is written and looked at
_ROWS = 1_000_000  # of a shard
_MOST_SHARD_USERS = 50_000
_SHARE = 8  # a block gets this part of the limit at most
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY_UNITS = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def bytes_in(text: str) -> int:
    """What "2GB", "500 MB" or "1.5GiB" mean. Raises ConfigError for what is no size."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", text.strip().lower())
    unit = match and {**_UNITS, **_BINARY_UNITS}.get(match[2])
    if not match or unit is None:
        raise ConfigError(f"--limit-memory {brief(text)}: is no size; write it as in 2GB, 500MB or 1.5GiB")
    return int(float(match[1]) * unit)


def shard_users(n: int) -> int:
    """Users of a shard of lists of `n` items, where nobody says: about a million rows."""
    return max(1, min(_MOST_SHARD_USERS, _ROWS // n))


def block_users(n_items: int, limit: int | None) -> int:
    """How many users are scored at once, by one thread. This decides the last digits of scores, so it depends
    on the catalogue and the `limit` of bytes alone; None: no limit.

    Raises ConfigError where the limit has no room for one user.
    """
    size = rows_at_once(n_items, min(max(_CELLS // n_items, _LEAST_USERS), _MOST_USERS))
    if limit is None:
        return size
    size = min(size, limit // _SHARE // _block_bytes(1, n_items))
    if size < 1:
        raise ConfigError(
            f"{_shown(limit)} of memory are too little for a catalogue of {n_items:,} items; allow at least "
            f"{_shown(_SHARE * _block_bytes(1, n_items))}"
        )
    return size


def workers_within(limit: int | None, threads: int, *, block_users: int, n_items: int, rows: int) -> int:
    """How many of `threads` may work at once, so that this process stays within the limit: with all that it
    has loaded, their blocks, and a shard of so many `rows` that is written.

    Raises ConfigError where there is no room for one.
    """
    if limit is None:
        return threads
    loaded = psutil.Process().memory_info().rss
    block = _block_bytes(block_users, n_items)
    fixed = loaded + rows * _ROW_BYTES
    if fixed + block > limit:
        raise ConfigError(
            f"{_shown(limit)} of memory are too little: the model, its histories and the libraries take "
            f"{_shown(loaded)}, and lists in the making {_shown(fixed - loaded + block)}; allow at least "
            f"{_shown(1.05 * (fixed + block))}"
        )
    return min(threads, (limit - fixed) // block)


def _block_bytes(users: int, n_items: int) -> int:
    return 4 * _COPIES * users * n_items


def _shown(n_bytes: float) -> str:
    return f"{n_bytes / 10**9:.1f} GB" if n_bytes >= 10**9 else f"{-(-n_bytes // 10**6):.0f} MB"
