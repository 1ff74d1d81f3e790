"""Rows read = rows in the file: whatever swallows or hides some of them is named."""

from __future__ import annotations

import bz2
import csv
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
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.load import load_ratings, read_triples
from recsys_ae.data.readers import matrix, unpacked
from recsys_ae.data.readers.counting import BLOCK_BYTES, RowsDiffer, check_lines
from recsys_ae.errors import DataError

HEADER = "user,item,rating,title\n"
N = 30_000


def lines(n: int = N) -> list[str]:
    return [f"{i},{i % 777},{i % 5 + 1},M{i}" for i in range(n)]


def sentence_of(path: Path, **options) -> str:
    with pytest.raises(DataError) as raised:
        load_ratings(DataConfig(source=str(path), **options))
    text = str(raised.value)
    assert text.startswith(str(path))
    return text.removeprefix(str(path))


def with_line(number: int, text: str, rows: list[str]) -> None:
    """`number`: of the line in the file, of which the header is the first."""
    rows[number - 2] = text


STRAY: list[tuple[str, dict[int, str], str]] = [
    ("to the end", {100: '1000,777,5,"Heat'}, ", line 100: a quote opens here and is not closed"),
    (
        "to a quoted text",
        {100: '1000,777,5,"Heat', 150: '7,8,5,"Heat, The"'},
        ", line 100: a quote opens here and is closed amid a text in line 150; remove it",
    ),
    (
        "to another stray quote",
        {100: '1000,777,5,"Heat', 2000: '7,8,5,Ronin"'},
        ", line 100: a quote opens here and is not closed within|takes in line 101, which looks like a row",
    ),
    (
        "over one row",
        {100: '1000,777,5,"Heat', 101: '7,8,5,Ronin"'},
        ", line 100: a quote opens in this row and takes in line 101, which looks like a row of its own",
    ),
    ("amid a text", {100: '1000,777,5,"Heat" 2'}, ", line 100: a text goes on after the quote that ends it"),
    ("in a used column", {100: '1000,"777,5,Heat'}, ", line 100: a quote opens here and is not closed"),
    (
        "a line break",
        {100: '1000,"77\n7",5,Heat'},
        ", line 100: a line break stands within quotes in a field",
    ),
    ("a NUL", {100: "10\x0000,777,5,Heat"}, ", line 100: holds a NUL"),
    ("a NUL beside", {100: "1000,777,5,He\x00at"}, ", line 100: holds a NUL"),
]


@pytest.mark.parametrize(("changes", "said"), [case[1:] for case in STRAY], ids=[case[0] for case in STRAY])
@pytest.mark.parametrize("early", [0, 20_000], ids=["early", "late"])
def test_what_swallows_rows_is_named_with_its_line(changes, said, early, tmp_path):
    rows = lines()
    for number, text in changes.items():
        with_line(number + early, text, rows)
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n", newline="")
    said = re.sub(r"line (\d+)", lambda found: f"line {int(found[1]) + early}", said)
    assert re.search(said, sentence_of(path))


def test_a_quote_that_is_never_closed_is_named_where_it_opens(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text('user,item,rating,title,text\n1,2,3,"a ""b""\nc ""d""","\n2,2,3,,c\nd\n')
    with pytest.raises(
        DataError, match=r"line 3: a quote opens here and is not closed; close it or remove it"
    ):
        read_triples(DataConfig(source=str(path)))


def test_line_breaks_in_columns_that_are_not_read_are_text(tmp_path):
    texts = [
        "Loved it,\nreally",
        "1,2\n3",
        "a\r\n\r\nb",
        'she said "no"\n',
        "plain",
        "5\n4\n3",
        "x, y, z, 1\n9",
        "so\nwell, yes, it was, nice\nindeed",
        "scores:\n1,2,3\nthe end",
    ]
    frame = pd.DataFrame({"user": range(900), "item": range(900), "rating": 3, "title": texts * 100})
    path = tmp_path / "ratings.csv"
    frame.to_csv(path, index=False)
    found = read_triples(DataConfig(source=str(path)))
    assert [found.users[row] for row in range(len(found))] == [str(user) for user in frame.user]


def test_sentences_between_words_are_no_rows(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text('user,item,rating,title\nann,heat,3,"so\nI saw it, he did,3,really\nend"\nbob,heat,4,x\n')
    assert len(read_triples(DataConfig(source=str(path)))) == 2


def test_a_return_within_quotes_in_a_field_that_is_read_is_named(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + '1,"7\r7",5,Heat\n2,3,4,Ronin\n', newline="")
    assert ", line 2: a line break stands within quotes in a field that is read" in sentence_of(path)


def test_lines_are_numbered_as_in_the_file_after_rows_of_several(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + '1,2,3,"a\nb"\n2,2,3,c\n3,2,3\n')
    assert sentence_of(path) == ", line 5: has 3 fields instead of 4"


def test_a_field_without_end_is_named_with_its_line(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + f'1,2,3,"a\nb"\n2,2,3,{"x" * 200_000}\n')
    assert sentence_of(path) == ", line 4: a field has more than 131,072 characters; shorten it"


@pytest.mark.parametrize(
    "text",
    ['a,"b\nc",d\n', 'a"b",c\nd,e\n', 'a,"b"c\nd,e\n', '"b"c,a\nd,e\n', 'a,b\nc,d"\n', "a,b\nc,\0d\n"],
)  # fmt: skip
def test_lines_with_quotes_that_may_swallow_others_are_not_counted(text, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(RowsDiffer):
        check_lines(tmp_path / "a.csv", "utf-8", 2, ",")


@given(
    rows=st.lists(
        st.tuples(*[st.integers(0, 9)] * 2, st.integers(1, 5), st.text("ab,\"\n\r5 é", max_size=8)),
        min_size=1, max_size=30,
    ),
    stray=st.integers(0, 40),
)  # fmt: skip
def test_a_file_with_a_stray_quote_gives_all_rows_or_none(rows, stray, tmp_path_factory):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows([["user", "item", "rating", "title"], *rows])
    text = buffer.getvalue()
    text = text if stray >= len(text) else text[:stray] + '"' + text[stray:]
    path = tmp_path_factory.mktemp("stray") / "ratings.csv"
    path.write_text(text, newline="")
    try:
        found = read_triples(DataConfig(source=str(path), feedback="ratings"))
    except DataError:
        return
    assert len(found) == len(rows)


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


def test_a_matrix_that_unpacks_to_far_too_much_is_refused(tmp_path, monkeypatch):
    path = rewritten(tmp_path / "ratings.npz")
    monkeypatch.setattr(matrix, "MOST_UNPACKED", 100)
    assert sentence_of(path) == ": unpacks to more than 0 GiB; split it"


def test_an_encrypted_member_is_refused(tmp_path):
    path = rewritten(tmp_path / "ratings.npz")
    content = path.read_bytes()
    content = re.sub(rb"(PK\x01\x02....)..", b"\\1\x01\0", content, flags=re.DOTALL)  # the flag of encryption
    path.write_bytes(re.sub(rb"(PK\x03\x04..)..", b"\\1\x01\0", content, flags=re.DOTALL))
    assert "encrypted" in sentence_of(path)
