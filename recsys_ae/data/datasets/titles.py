"""Titles of items, to show with recommendations."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from recsys_ae.data.datasets.entry import TitlesFile
from recsys_ae.data.datasets.places import BUNDLED, DATASETS, find
from recsys_ae.data.ids import IdColumn


def item_titles(source: str) -> dict[str | int, str] | None:
    """External item id -> title, the ids of the same kind (int or str) as in the ratings; None where `source`
    is no known dataset, is not on this machine, or has no titles."""
    dataset = DATASETS.get(source)
    path = find(source) if dataset else None
    if dataset is None or path is None:
        return None
    folders = [path.parent, *([BUNDLED / dataset.name] if dataset.bundled else [])]
    files = ((folder / entry.name, entry) for folder in folders for entry in dataset.titles)
    found = next(((path, entry) for path, entry in files if path.is_file()), None)
    return None if found is None else _read(*found)


def _read(path: Path, entry: TitlesFile) -> dict[str | int, str]:
    pairs = [(id, title) for id, title in _pairs(path, entry) if id]
    ids = IdColumn.of([id for id, _ in pairs]).parsed()
    return {ids[row]: title for row, (_, title) in enumerate(pairs)}


def _pairs(path: Path, entry: TitlesFile) -> Iterator[tuple[str, str]]:
    if entry.separator is None:
        table = pq.read_table(path, columns=[entry.id, entry.title])
        yield from zip(table.column(entry.id).to_pylist(), table.column(entry.title).to_pylist(), strict=True)
        return
    with path.open(encoding=entry.encoding, newline="") as file:
        rows = csv.reader(file) if entry.separator == "," else _plain(file, entry.separator)
        header = next(rows) if isinstance(entry.id, str) else []
        id, title = (header.index(c) if isinstance(c, str) else c for c in (entry.id, entry.title))
        yield from (
            (fields[id].strip(), fields[title].strip()) for fields in rows if len(fields) > max(id, title)
        )


def _plain(file, separator: str) -> Iterator[list[str]]:
    for line in file:
        yield line.rstrip("\r\n").split(separator)
