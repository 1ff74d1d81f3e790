"""Titles of items, to show with recommendations."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq

from recsys_ae.data.datasets.known import TitlesFile
from recsys_ae.data.datasets.places import BUNDLED, DATASETS, find
from recsys_ae.data.ids import IdColumn


def item_titles(source: object) -> dict[str | int, str] | None:
    """External item id -> title, the ids of the same kind (int or str) as in the ratings; None where `source`
    is no known dataset, is not on this machine, or has no titles."""
    dataset = DATASETS.get(source) if isinstance(source, str) else None
    path = find(dataset.name) if dataset else None
    if dataset is None or path is None:
        return None
    folders = [path.parent, *([BUNDLED / dataset.name] if dataset.bundled else [])]
    files = ((folder / entry.name, entry) for folder in folders for entry in dataset.titles)
    found = next(((path, entry) for path, entry in files if path.is_file()), None)
    return None if found is None else _read(*found)


def _read(path: Path, entry: TitlesFile) -> dict[str | int, str]:
    if entry.separator is None:
        rows = pq.read_table(path, columns=[entry.id, entry.title]).to_pylist()
        pairs = [(row[entry.id], row[entry.title]) for row in rows if row[entry.id]]
    else:
        pairs = [(id, title) for id, title in _pairs_of_lines(path, entry) if id]
    ids = IdColumn.of([id for id, _ in pairs]).parsed()
    return {ids[row]: title for row, (_, title) in enumerate(pairs)}


def _pairs_of_lines(path: Path, entry: TitlesFile) -> list[tuple[str, str]]:
    with path.open(encoding=entry.encoding, newline="") as file:
        plain = (line.rstrip("\r\n").split(entry.separator) for line in file)
        rows = csv.reader(file) if entry.separator == "," else plain
        header = next(rows) if isinstance(entry.id, str) else []
        id, title = (header.index(c) if isinstance(c, str) else c for c in (entry.id, entry.title))
        wide = (fields for fields in rows if len(fields) > max(id, title))
        return [(fields[id].strip(), fields[title].strip()) for fields in wide]
