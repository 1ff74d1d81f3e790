"""Text files of ratings: whole, odd and damaged ones, plain and compressed, against the csv module."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from fuzzing.damage import Damage, damaged, damages
from fuzzing.worker import called
from hypothesis import strategies as st

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.load import read_triples
from recsys_ae.data.schema import Triples

SUFFIXES = {"csv": ".csv", "semicolon": ".csv", "tsv": ".tsv", "movielens": ".dat", "tab": ".data",
            "inter": ".inter"}  # fmt: skip
SEPARATORS = {"csv": ",", "semicolon": ";", "tsv": "\t", "movielens": "::", "tab": "\t", "inter": "\t"}
QUOTED = ("csv", "semicolon", "tsv")
Rows = list[list[str]]


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ratings.csv", content)
    return buffer.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd, ".zip": zipped,
}  # fmt: skip


@dataclass(frozen=True)
class TextCase:
    """A file: `rows` of texts as `format`, `header` or none, with `ends` of lines, then damaged."""

    rows: Rows
    format: str
    header: bool
    ends: str
    quote_all: bool
    last_end: bool
    mark: bool
    damage: list[Damage]
    packing: str = ""
    damage_packed: bool = False

    @property
    def names(self) -> list[str]:
        names = ["user", "item", "rating", "title"][: len(self.rows[0])]
        return [f"{name}:token" for name in names] if self.format == "inter" else names

    def content(self) -> bytes:
        rows = [self.names, *self.rows] if self.header or self.format == "inter" else self.rows
        separator = SEPARATORS[self.format]
        text = "".join(separator.join(map(self._field, row)) + self.ends for row in rows)
        content = (b"\xef\xbb\xbf" if self.mark else b"") + text.encode()
        return content if self.last_end else content[: -len(self.ends)]

    def _field(self, text: str) -> str:
        if self.format in QUOTED and (self.quote_all or set(text) & set(f'"\r\n{SEPARATORS[self.format]}')):
            return '"' + text.replace('"', '""') + '"'
        return text


ids = st.one_of(
    st.integers(0, 30).map(str),
    st.sampled_from(["007", "bob", "Zoë", "a b", "٣", "-4", "9" * 25, "x" * 300, "u,1", 'the "cat"', "ü;ö"]),
)
plain_ids = st.integers(0, 30).map(str)
marks = st.sampled_from(["0", "1", "3", "4.5", "-1", "5", "2.25", "1e1"])
titles = st.one_of(
    st.sampled_from(
        ["Heat", "Heat, The", '"Heat"', "a\nb", "two\r\nlines\nand more, see", "", " ", "1", "x\ty"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
)


@st.composite
def text_cases(draw: st.DrawFn) -> TextCase:
    format = draw(st.sampled_from(list(SUFFIXES)))
    is_quoted = format in QUOTED
    header = draw(st.booleans()) if format != "inter" else True
    simple = not (is_quoted and header)
    row = [plain_ids if simple else ids] * 2 + [marks]
    if is_quoted and header and draw(st.booleans()):
        row.append(titles)
    rows = draw(st.lists(st.tuples(*row).map(list), min_size=1, max_size=draw(st.sampled_from([3, 8, 150]))))
    return TextCase(
        rows, format, header, draw(st.sampled_from(["\n", "\n", "\r\n", "\r"])), draw(st.booleans()),
        draw(st.booleans()), draw(st.booleans()), draw(st.one_of(st.just([]), damages)),
    )  # fmt: skip


@st.composite
def packed_cases(draw: st.DrawFn) -> TextCase:
    rows = draw(st.lists(st.tuples(plain_ids, plain_ids, marks).map(list), min_size=1, max_size=200))
    return TextCase(
        rows, "csv", True, "\n", False, True, False, draw(damages), draw(st.sampled_from(list(PACK))), True
    )


def run_text(case: TextCase, folder: Path) -> bool:
    content = damaged(case.content(), case.damage)
    path = folder / f"ratings{SUFFIXES[case.format]}"
    path.write_bytes(content)
    found = read(path)
    if found is None:
        assert case.damage, "a whole file is read"
        return False
    assert rows_of(found) == expected(content, found)
    if not case.damage:
        assert rows_of(found) == [(u.strip(), i.strip(), float(r)) for u, i, r, *_ in case.rows]
    return True


def run_packed(case: TextCase, folder: Path) -> bool:
    path = folder / f"ratings.csv{case.packing}"
    path.write_bytes(damaged(PACK[case.packing](case.content()), case.damage))
    found = read(path)
    if found is None:
        assert case.damage, "a whole file is read"
        return False
    assert rows_of(found) == [(u, i, float(r)) for u, i, r in case.rows], "damage that is not noticed"
    return True


def read(path: Path) -> Triples | None:
    """What the product reads, None where it refuses, as its command line must, too."""
    accepted = called("data", "describe", str(path), "--set", "feedback=ratings", "--json")
    return read_triples(DataConfig(source=str(path), feedback="ratings")) if accepted else None


def rows_of(found: Triples) -> list[tuple[str, str, float]]:
    assert found.values is not None
    users = [texted(found.users.labels, code) for code in found.users.codes]
    items = [texted(found.items.labels, code) for code in found.items.codes]
    assert (found.users.n_distinct(), found.items.n_distinct()) == (len({*users}), len({*items}))
    return list(zip(users, items, np.asarray(found.values).tolist(), strict=True))


def texted(labels: np.ndarray, code: int) -> str:
    return "" if code < 0 else str(labels[code])


def expected(content: bytes, found: Triples) -> list[tuple[str, str, float]]:
    """What the csv module, or a split, gives of the columns that were read."""
    reading, text = found.reading, content.decode("utf-8-sig", errors="replace")
    if reading.format in QUOTED:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=SEPARATORS[reading.format]))
    else:
        rows = [line.split(SEPARATORS[reading.format]) for line in re.split("\r\n|\r|\n", text)]
    rows = [row for row in rows if len(row) == len(reading.names) or "".join(row).strip()]
    places = [reading.places[role] for role in ("user", "item", "rating")]
    kept = [[row[place] for place in places] for row in rows[reading.has_header :]]
    return [(u.strip(), i.strip(), float(r.replace(",", "."))) for u, i, r in kept]


CASES = {"text": (text_cases(), run_text), "compressed": (packed_cases(), run_packed)}
