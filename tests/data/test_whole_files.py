"""Rows read = rows in the file: whatever swallows or hides some of them is named."""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from refusals import sentence_of
from scipy import sparse

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.load import read_triples
from recsys_ae.data.readers import unpacked
from recsys_ae.data.readers.counting import BLOCK_BYTES, RowsDiffer, check_lines
from recsys_ae.errors import DataError


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "{end}", "{end}{end}"])
def test_lines_are_counted_over_all_blocks(end, last, tmp_path):
    path, n = tmp_path / "a.csv", BLOCK_BYTES // 40
    rows = (f'"{i}",2,"a ""b"" {"x" * (i % 91)}",{end}' for i in range(n))
    path.write_text(end.join(rows) + last.format(end=end), newline="")
    check_lines(path, "utf-8", n, ",")
    for wrong in (n - 1, n + 1):
        with pytest.raises(RowsDiffer):
            check_lines(path, "utf-8", wrong, ",")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le", "latin-1", "utf-8"])
def test_lines_are_counted_in_any_encoding(encoding, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("ĊĊ਀,1\n\nb,2" if "utf" in encoding else "é,1\n\nb,2", encoding=encoding)
    check_lines(path, encoding, 2, ",")


@pytest.mark.parametrize(
    "text",
    ['a,"b\nc",d\n', 'a"b",c\nd,e\n', 'a,"b"c\nd,e\n', '"b"c,a\nd,e\n', 'a,b\nc,d"\n', "a,b\nc,\0d\n"],
)  # fmt: skip
def test_lines_with_quotes_that_may_swallow_others_are_not_counted(text, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(RowsDiffer):
        check_lines(tmp_path / "a.csv", "utf-8", 2, ",")


# Compressed files


@pytest.mark.parametrize("block", [3, "stream", 1 << 18])
@pytest.mark.parametrize(("suffix", "pack"), [(".bz2", bz2.compress), (".xz", lzma.compress)])
def test_streams_that_follow_the_first_are_read_or_named(suffix, pack, block, tmp_path, monkeypatch):
    """Wherever the blocks end in which the file is read."""
    parts = [pack(b"user,item,rating\n1,2,3\n"), pack(b"4,5,1\n")]
    monkeypatch.setattr(unpacked, "BLOCK_BYTES", len(parts[0]) if block == "stream" else block)
    path = tmp_path / f"ratings.csv{suffix}"
    path.write_bytes(b"".join(parts))
    assert len(read_triples(DataConfig(source=str(path)))) == 2
    for padded in (b"".join(parts) + b"\0" * 8, parts[0] + b"\0" * 8 + parts[1]):
        path.write_bytes(padded)
        assert len(read_triples(DataConfig(source=str(path)))) == 2
    path.write_bytes(parts[0] + b"garbage" + parts[1])
    assert "cannot be read" in sentence_of(path)
    path.write_bytes(parts[0] + parts[1][:-9])
    assert "cannot be read (a compressed stream has no end)" in sentence_of(path)


def zstd(content: bytes) -> bytes:
    return pa.compress(content, "zstd", asbytes=True)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip", ".zst"])
def test_what_unpacks_to_far_too_much_is_refused(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(unpacked, "UNSUSPICIOUS", 1 << 20)
    content, path = b"0" * (8 << 20), tmp_path / f"ratings.csv{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.csv", content)
    else:
        pack: dict[str, Callable[[bytes], bytes]] = {
            ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd,
        }  # fmt: skip
        path.write_bytes(pack[suffix](content))
    assert "unpacks to more than 200 times its size" in sentence_of(path)
    monkeypatch.setattr(unpacked, "MOST_UNPACKED", 1 << 20)
    assert "unpacks to more than 0 GiB" in sentence_of(path)


def as_parquet(path: Path, table: pa.Table) -> None:
    pq.write_table(table, path, compression="zstd")


def as_ipc(path: Path, table: pa.Table) -> None:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(path, table.schema, options=options) as file:
        file.write_table(table, max_chunksize=50_000)


def as_stream(path: Path, table: pa.Table) -> None:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(path, table.schema, options=options) as file:
        file.write_table(table, max_chunksize=50_000)


def as_npz(path: Path, table: pa.Table) -> None:
    rows = table.to_pandas()
    sparse.save_npz(path, sparse.coo_array((rows.rating, (rows.index % 9, rows.index % 9))))


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.parquet", as_parquet), ("a.arrow", as_ipc), ("b.arrow", as_stream), ("a.npz", as_npz)],
)
@pytest.mark.parametrize("user", [7, "x" * 200], ids=["number", "text"])
def test_tables_that_unpack_to_far_too_much_are_refused_before_they_are_read(
    name, write, user, tmp_path, monkeypatch
):
    n = 400_000
    table = pa.table({"user": pa.array([user]).take(np.zeros(n, dtype=int)), "item": np.zeros(n, dtype=int),
                      "rating": np.ones(n)})  # fmt: skip
    write(path := tmp_path / name, table)
    monkeypatch.setattr(unpacked, "UNSUSPICIOUS", 1 << 20)
    monkeypatch.setattr(unpacked, "MOST_RATIO", 30)
    assert "unpacks to more than 30 times its size" in sentence_of(path)
    monkeypatch.setattr(unpacked, "MOST_UNPACKED", 1 << 20)
    assert "unpacks to more than 0 GiB" in sentence_of(path)


def test_texts_that_repeat_in_a_parquet_file_take_the_room_of_one(tmp_path):
    n, long = 100_000, "x" * 100_000  # 10 GB, one after the other
    users = pa.DictionaryArray.from_arrays(np.zeros(n, dtype=np.int32), [long])
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"user": users, "item": range(n), "rating": [3.0] * n}), path, store_schema=False)
    found = read_triples(DataConfig(source=str(path)))
    assert len(found) == n
    assert found.users[n - 1] == long


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
@pytest.mark.parametrize("stored", [True, False])
def test_texts_of_every_kind_are_read_from_parquet(kind, stored, tmp_path):
    users, path = ["b", "a", "é" * 90, "b"], tmp_path / "a.parquet"
    table = pa.table({"user": pa.array(users, kind), "item": range(4), "rating": [3.0, 1, 2, 5]})
    pq.write_table(table, path, row_group_size=2, store_schema=stored)
    found = read_triples(DataConfig(source=str(path))).users
    assert [found[row] for row in range(4)] == users


def test_a_line_without_end_does_not_fill_the_memory(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_bytes(b"0" * (17 << 20))
    assert ", line 1: is longer than 16,777,216 characters" in sentence_of(path)
    path.write_bytes(b"user,item,rating\n1,2,3\n" + b"0" * (17 << 20))
    assert ", line 3: is longer than 16,777,216 characters" in sentence_of(path)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "arrow", "npz", "csv.gz"])
def test_a_pipe_is_refused_and_not_waited_for(suffix, tmp_path):
    path = tmp_path / f"ratings.{suffix}"
    os.mkfifo(path)
    assert sentence_of(path) == ": is no regular file; write the ratings into one"


# Tables and matrices


TABLE = pa.table({"user": range(5000), "item": range(5000), "rating": [1.0, 2.0] * 2500})


def test_damaged_pages_with_checksums_are_named(tmp_path):
    path = tmp_path / "ratings.parquet"
    pq.write_table(TABLE, path, write_page_checksum=True, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    assert "is no whole parquet file (could not verify page integrity, CRC checksum" in sentence_of(path)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_name_of_a_column_that_is_no_text_any_more_is_named(suffix, tmp_path):
    """Each place where the name stands, and the first byte of it, which then begins no character."""
    path = tmp_path / f"ratings.{suffix}"
    if suffix == "parquet":
        pq.write_table(TABLE, path)
    else:
        feather.write_feather(TABLE, path)
    content = path.read_bytes()
    places = [found.start() for found in re.finditer(b"rating", content)]
    assert places
    for place in places:
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x80]) + content[place + 1 :])
        with contextlib.suppress(DataError):  # else nothing read the name there
            assert len(read_triples(DataConfig(source=str(path)))) == len(TABLE)


def test_an_arrow_stream_that_was_cut_between_batches_is_named(tmp_path):
    path, buffer = tmp_path / "ratings.arrow", io.BytesIO()
    with pa.ipc.new_stream(buffer, TABLE.schema) as writer:
        writer.write_table(TABLE[:4000])
        end = buffer.tell()
        writer.write_table(TABLE[4000:])
    path.write_bytes(buffer.getvalue())
    assert len(read_triples(DataConfig(source=str(path)))) == 5000
    path.write_bytes(buffer.getvalue()[:end])
    assert "is no whole Arrow file (the stream has no end)" in sentence_of(path)


@pytest.mark.parametrize(
    ("suffix", "module", "function"), [("parquet", pq, "ParquetFile"), ("arrow", pa, "memory_map")]
)
def test_a_table_out_of_reach_is_not_called_damaged(suffix, module, function, tmp_path, monkeypatch):
    def refuse(*given, **named):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    path = tmp_path / f"ratings.{suffix}"
    path.write_bytes(b"")
    monkeypatch.setattr(module, function, refuse)
    assert sentence_of(path) == ": cannot be read (Permission denied); see that it is whole and yours to read"


def rewritten(path: Path, **changes: np.ndarray) -> Path:
    sparse.save_npz(path, sparse.csr_array(np.eye(5)))
    arrays = dict(np.load(path))
    np.savez(path, **arrays | changes)
    return path


def test_values_that_no_row_of_a_matrix_holds_are_named(tmp_path):
    path = rewritten(tmp_path / "ratings.npz", indptr=np.array([0, 1, 1, 1, 1, 1]))
    assert "holds 5 rows, of which 1 can be read" in sentence_of(path)


@pytest.mark.parametrize("kind", [np.float16, object, "U3", np.complex64])
def test_values_of_other_types_are_named(kind, tmp_path):
    path = rewritten(tmp_path / "ratings.npz", data=np.ones(5).astype(kind))
    assert re.search("holds values of type|is no sparse matrix saved by scipy", sentence_of(path))


def test_an_array_that_claims_a_million_million_rows_is_refused_before_room_is_made(tmp_path):
    path = rewritten(tmp_path / "ratings.npz")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    claimed = members["data.npy"].replace(
        b"'shape': (5,), }               ", b"'shape': (1000000000000,), }   "
    )
    assert claimed != members["data.npy"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"data.npy": claimed}).items():
            archive.writestr(name, content)
    assert "is no sparse matrix saved by scipy.sparse.save_npz (ValueError)" in sentence_of(path)


def test_an_encrypted_member_is_refused(tmp_path):
    path = rewritten(tmp_path / "ratings.npz")
    content = path.read_bytes()
    content = re.sub(rb"(PK\x01\x02....)..", b"\\1\x01\0", content, flags=re.DOTALL)  # the flag of encryption
    path.write_bytes(re.sub(rb"(PK\x03\x04..)..", b"\\1\x01\0", content, flags=re.DOTALL))
    assert "encrypted" in sentence_of(path)
