"""The parts of a folder of lists: parquet files that say which part of which plan they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_ae.data.ids import IdMap
from recsys_ae.errors import StorageError, reason
from recsys_ae.files import replaced
from recsys_ae.seals import checksum_of, checksum_of_file
from recsys_ae.serving.lists import TopNBlock, columns_of
from recsys_ae.serving.writer import evenly, lists_schema, parquet_at

PLAN_KEY, NUMBER_KEY = b"recsys_ae.plan", b"recsys_ae.shard"


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the lists: those of the users at the places `start` to `stop` of all that get some."""

    number: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        return f"part-{self.number:05}.parquet"

    @property
    def n_users(self) -> int:
        return self.stop - self.start


def shards_of(n_users: int, size: int) -> list[Shard]:
    """Of `size` users each, but for the last; one without rows where there is nobody, so that the folder can
    be read as a table."""
    starts = range(0, max(1, n_users), size)
    return [Shard(number, start, min(start + size, n_users)) for number, start in enumerate(starts)]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a whole shard holds: rows, lists, and how many of these are shorter than was asked for."""

    checksum: str
    n_rows: int
    n_lists: int
    n_short: int


class DamagedShard(Exception):
    """A file that is there and not as it was written, and why."""


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """The shards of one plan in a folder. `plan`: its fingerprint; `n`: the length of the lists."""

    folder: Path
    plan: str
    users: IdMap
    items: IdMap
    n: int

    def path(self, shard: Shard) -> Path:
        return self.folder / shard.name

    def write(self, shard: Shard, blocks: Iterable[TopNBlock]) -> None:
        """Whole or not at all; its bytes do not depend on how the lists are cut into blocks. Raises
        StorageError where it cannot be written."""
        schema = self._schema(shard)
        tables = (pa.table(columns_of(block, self.users, self.items), schema=schema) for block in blocks)
        with replaced(self.path(shard)) as temporary, parquet_at(temporary, schema) as write:
            for table in evenly(tables):
                write(table)

    def contents(self, shard: Shard) -> Contents | None:
        """What the shard's file holds, after every byte of it was looked at; None where there is no file.

        Pages have checksums; all else must be what the rows, written once more, would bring with them. Raises
        DamagedShard where it is not as `write` left it, StorageError for a file of somebody else.
        """
        path = self.path(shard)
        if not path.exists():
            return None
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                table = file.read()
        except MemoryError:
            raise
        except (OSError, pa.ArrowException, ValueError) as error:  # a text of the footer may be none
            raise DamagedShard(reason(error)) from error
        self._check_origin(path, table.schema.metadata or {}, shard)
        schema, checksum = self._schema(shard), checksum_of_file(path)
        if not table.schema.equals(schema, check_metadata=True) or checksum != _rewritten(table, schema):
            raise DamagedShard("its bytes are not those that its rows make")
        return _measured(table["rank"].to_numpy(), checksum, self.n)

    def _schema(self, shard: Shard) -> pa.Schema:
        says = {PLAN_KEY: self.plan.encode(), NUMBER_KEY: str(shard.number).encode()}
        return lists_schema(self.users, self.items).with_metadata(says)

    def _check_origin(self, path: Path, says: dict[bytes, bytes], shard: Shard) -> None:
        if says.get(PLAN_KEY) != self.plan.encode():
            raise StorageError(
                f"{path}: holds no lists of the plan of this folder; move it away, or choose another folder"
            )
        if says.get(NUMBER_KEY) != str(shard.number).encode():
            raise DamagedShard("it is another part, under this name")


def _rewritten(table: pa.Table, schema: pa.Schema) -> str:
    """The checksum of the file that the rows make."""
    sink = pa.BufferOutputStream()
    with parquet_at(sink, schema) as write:
        for part in evenly(iter([table])):
            write(part)
    return checksum_of(memoryview(sink.getvalue()))


def _measured(ranks: np.ndarray, checksum: str, n: int) -> Contents:
    starts = np.flatnonzero(ranks == 1)
    lengths = np.diff(np.append(starts, len(ranks)))
    return Contents(checksum, len(ranks), len(starts), int(np.count_nonzero(lengths < n)))


def described(shard: Shard, contents: Contents, users: np.ndarray, n_fallback: int) -> dict[str, Any]:
    """What a manifest says of a shard; JSON values. `users`: ids of all that it is for."""
    first_and_last = users[[0, -1]].tolist() if len(users) else []
    return {
        "file": shard.name,
        "users": shard.n_users,
        "first_and_last_user": first_and_last,
        "rows": contents.n_rows,
        "empty_lists": shard.n_users - contents.n_lists,
        "short_lists": contents.n_short,
        "fallback_users": n_fallback,
    }
