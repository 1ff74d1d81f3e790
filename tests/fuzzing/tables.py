"""JSON lines, parquet, Arrow and SciPy files, whole and damaged: against the json module and the source."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fuzzing.damage import Damage, damaged, damages
from fuzzing.texts import read, rows_of
from hypothesis import strategies as st
from scipy import sparse

from recsys_ae.data.schema import Triples

NO_DAMAGE: st.SearchStrategy[list[Damage]] = st.just([])
some_damage = st.one_of(NO_DAMAGE, damages)
numbers = st.integers(0, 40)
words = st.sampled_from(["bob", "007", "Zoë", 'a "b"', "x" * 200, "\x1b[31m", "a\nb", "1", "9" * 25, "{"])
large = st.one_of(st.integers(2**53 - 2, 2**53 + 2), st.integers(2**63 - 2, 2**64 - 1))
odd = st.one_of(
    st.sampled_from([1e3, 2.0, 1.5, 2.0**53, -0.0, True, 2**63, 2**70, -(2**63), 10**18, -(10**19), 7, "7"]),
    st.sampled_from(["\0", "a\0", "\ud800", "\udc00b", "\u2028", "\ufffe", "😀", " é", "\t", ""]),
    large, st.text(max_size=4),
)  # fmt: skip
values = st.sampled_from([0, 1, 3, 4.5, -1, 2.25, 1e10, 5.0])
others = st.one_of(st.none(), st.booleans(), st.text(max_size=5), st.lists(st.integers(), max_size=2))
Row = dict[str, Any]


@dataclass(frozen=True)
class TableCase:
    """Rows of a table, how they are written, and what becomes of the file."""

    rows: list[Row]
    options: dict[str, Any]
    damage: list[Damage]


@st.composite
def cases(draw: st.DrawFn, ids: st.SearchStrategy, **options: Any) -> TableCase:
    row = st.fixed_dictionaries(
        {"user": ids, "item": ids, "rating": values}, optional={"other": others} if "other" in options else {}
    )
    rows = draw(st.lists(row, min_size=1, max_size=draw(st.sampled_from([3, 40, 300]))))
    chosen = {name: draw(st.sampled_from(kinds)) for name, kinds in options.items()}
    return TableCase(rows, chosen, draw(some_damage))


def run_jsonl(case: TableCase, folder: Path) -> bool:
    path = folder / "ratings.jsonl"
    end = case.options["end"]
    text = "".join(json.dumps(row, ensure_ascii=case.options["ascii"]) + end for row in case.rows)
    content = text.encode(errors="surrogatepass")
    content = damaged(content, case.damage)
    path.write_bytes(content)
    if (found := refused(path, case)) is None:
        return False
    lines = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept = [json.loads(line) for line in lines if line.strip()]
    names = found.reading.columns
    whole = [[row[names[role]] for role in ("user", "item", "rating")] for row in kept]
    assert rows_of(found) == [(as_id(user), as_id(item), float(rating)) for user, item, rating in whole]
    return True


def run_parquet(case: TableCase, folder: Path) -> bool:
    path, buffer = folder / "ratings.parquet", io.BytesIO()
    options = {key: value for key, value in case.options.items() if key != "other"}
    pq.write_table(table(case), buffer, **options)
    path.write_bytes(damaged(buffer.getvalue(), case.damage))
    found = refused(path, case)
    assert found is None or case.damage or rows_of(found) == source(case)
    return found is not None


def run_pages(case: TableCase, folder: Path) -> bool:
    """Bytes of pages that have checksums, before the footer."""
    path, buffer = folder / "ratings.parquet", io.BytesIO()
    pq.write_table(table(case), buffer, write_page_checksum=True, compression="none")
    content = buffer.getvalue()
    ends = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    flips = [(place, what) for _, place, what in case.damage]
    for place, what in flips:
        at = 4 + int(place * (ends - 4))
        content = content[:at] + bytes([content[at] ^ (1 << what[0] % 8)]) + content[at + 1 :]
    path.write_bytes(content)
    found = refused(path, case)
    assert found is None or rows_of(found) == source(case), "a damaged page is noticed"
    return found is not None


def run_arrow(case: TableCase, folder: Path) -> bool:
    path, buffer = folder / "ratings.arrow", io.BytesIO()
    rows = table(case)
    writer = pa.ipc.new_stream if case.options["stream"] else pa.ipc.new_file
    with writer(buffer, rows.schema) as file:
        for start in range(0, len(rows), 16):
            file.write_table(rows[start : start + 16])
    path.write_bytes(damaged(buffer.getvalue(), case.damage))
    found = refused(path, case)
    assert found is None or case.damage or rows_of(found) == source(case)
    if found is not None and all(kind == "cut" for kind, _, _ in case.damage):
        assert len(found) == len(case.rows), "a file that was cut short is noticed"
    return found is not None


def run_npz(case: TableCase, folder: Path) -> bool:
    path, buffer = folder / "ratings.npz", io.BytesIO()
    cells = {(row["user"], row["item"]): row["rating"] for row in case.rows}
    users, items = np.array(list(cells)).T
    found_values = np.array(list(cells.values()), dtype=case.options["dtype"])
    matrix = sparse.coo_array((found_values, (users, items))).asformat(case.options["kind"])
    sparse.save_npz(buffer, matrix, compressed=case.options["compressed"])
    content = buffer.getvalue()
    if wrong := case.options["wrong"]:
        arrays = dict(np.load(io.BytesIO(content)))
        name = "data" if wrong in (halved, as_objects) else "row" if "row" in arrays else "indptr"
        arrays[name] = wrong(arrays[name])
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        content = buffer.getvalue()
    path.write_bytes(damaged(content, case.damage))
    found = refused(path, case)
    if found is None:
        return False
    if wrong:
        assert len(found) == len(cells), "rows are missing"
        return True
    ordered = sorted(
        (str(u), str(i), float(value)) for (u, i), value in zip(cells, found_values, strict=True)
    )
    assert sorted(rows_of(found)) == ordered
    return True


def refused(path: Path, case: TableCase) -> Triples | None:
    """What is read of a file; None where it is refused, which an undamaged one is not."""
    found = read(path)
    assert found is not None or case.damage or case.options.get("wrong"), "a whole file is read"
    return found


def table(case: TableCase) -> pa.Table:
    kinds: dict[str, pa.DataType | None] = {"user": None, "item": None, "rating": pa.float64()}
    for name in ("user", "item"):
        if isinstance(case.rows[0][name], int) and max(row[name] for row in case.rows) >= 2**63:
            kinds[name] = pa.uint64()
    return pa.table({name: pa.array([row[name] for row in case.rows], kind) for name, kind in kinds.items()})


def source(case: TableCase) -> list[tuple[str, str, float]]:
    return [(as_id(row["user"]), as_id(row["item"]), float(row["rating"])) for row in case.rows]


def as_id(value: Any) -> str:
    return str(int(value) if isinstance(value, float) else value).strip()


def shifted(array: np.ndarray) -> np.ndarray:
    return array + 1


def shortened(array: np.ndarray) -> np.ndarray:
    return array[:-1]


def huge(array: np.ndarray) -> np.ndarray:
    return array.astype(np.int64) + 2**40


def negative(array: np.ndarray) -> np.ndarray:
    return array - 2


def halved(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16)


def as_objects(array: np.ndarray) -> np.ndarray:
    return array.astype(object)


CASES = {
    "jsonl": (
        st.one_of(
            cases(ids, end=["\n", "\r\n", "\n\n"], ascii=[True, False], other=[None])
            for ids in (numbers, words, large)
        ),
        run_jsonl,
    ),
    "ids": (
        cases(odd, end=["\n", "\r\n"], ascii=[True, False], other=[None], wrong=["ids that are none"]),
        run_jsonl,
    ),
    "parquet": (
        st.one_of(
            cases(ids, compression=["snappy", "zstd", "none"], use_dictionary=[True, False],
                  row_group_size=[7, 1000], data_page_version=["1.0", "2.0"])
            for ids in (numbers, words, large)
        ),
        run_parquet,
    ),
    "pages": (st.one_of(cases(numbers), cases(words)), run_pages),
    "arrow": (st.one_of(cases(numbers, stream=[True, False]), cases(words, stream=[True, False])), run_arrow),
    "npz": (
        cases(numbers, kind=["csr", "csc", "coo"], compressed=[True, False],
              dtype=["float64", "float32", "int64"],
              wrong=[None, None, None, shifted, shortened, huge, negative, halved, as_objects]),
        run_npz,
    ),
}  # fmt: skip
