"""From a config to ratings: find, read, check, filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_ae.data.configs import ColumnsConfig, DataConfig, FiltersConfig, Format
from recsys_ae.data.datasets import DATASETS
from recsys_ae.data.datasets.known import Dataset
from recsys_ae.data.datasets.places import absent, close_names, find
from recsys_ae.data.filters import apply_filters
from recsys_ae.data.ids import IdColumn
from recsys_ae.data.ratings import Ratings
from recsys_ae.data.readers import read
from recsys_ae.errors import ConfigError, DataError
from recsys_ae.types import BoolVector


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read, how, and the known dataset that it belongs to, if any."""

    path: Path
    format: Format | None
    columns: ColumnsConfig
    dataset: Dataset | None


def load_ratings(config: DataConfig) -> Ratings:
    """The ratings that the config names, checked and filtered.

    Users and items without ratings (in the file or after filters) are not in the id maps. The scale is the
    config's, else the known dataset's, else the observed range; None for implicit feedback. Raises DataError
    with file and line or row at whatever cannot be used.
    """
    source = _located(config)
    return apply_filters(_rescaled(_checked(config, source), source), config.filters)


def load_newer(source: str, trained: Mapping[str, Any]) -> Ratings:
    """Ratings newer than those of a training, read as these were.

    `trained`: the data config of the training, as JSON values. The scale and the filters by counts are left
    out, which would drop new users; the format is kept for a path with the same suffix.
    """
    path, known = Path(source), source in DATASETS
    shared = ("duplicates", "encoding") if known else ("duplicates", "encoding", "columns")
    settings = {name: trained[name] for name in shared if name in trained}
    if not known and path.suffix == Path(trained.get("source", "")).suffix:
        settings["format"] = trained.get("format")
    filters = FiltersConfig(threshold=trained.get("filters", {}).get("threshold"))
    return load_ratings(DataConfig(source=source, filters=filters, **settings))


def load_pair(config: DataConfig, train: str, test: str) -> tuple[Ratings, BoolVector]:
    """The union of two files, and (n_observed,) which of its ratings, in the order of the matrix, are of
    `test`.

    Relative paths are looked for in the folder of the dataset, or beside the file, that `config.source` is.
    Repeats are resolved within each file. Timestamps are kept if both files have them. Raises ConfigError if
    the config has filters (they would mix the parts), DataError if a pair is in both files.
    """
    if config.filters != FiltersConfig():
        raise ConfigError(
            "filters cannot be used with a predefined split; filter the files, or split otherwise"
        )
    sources = [_part(config, name) for name in (train, test)]
    union, mask = _united(*(_checked(config, source) for source in sources), paths=[s.path for s in sources])
    return _rescaled(union, sources[0]), mask


def _located(config: DataConfig) -> Source:
    dataset = DATASETS.get(config.source)
    if dataset is None:
        path = Path(config.source).expanduser()
        if not path.exists() and not path.suffix and path.name == config.source:
            raise DataError(
                f"{config.source!r} is neither a file nor a known dataset; {close_names(config.source)}"
            )
        return Source(path, config.format, config.columns, None)
    found = find(dataset.name)
    if found is None:
        raise DataError(absent(dataset))
    form = next(file for file in dataset.files if file.name == found.name)
    columns = form.columns.model_copy(update=config.columns.model_dump(exclude_none=True))
    return Source(found, config.format or form.format, columns, dataset)


def _part(config: DataConfig, name: str) -> Source:
    path = Path(config.source).expanduser()
    if not path.is_dir() or config.source in DATASETS:
        path = _located(config).path.parent
    return Source(path / Path(name).expanduser(), config.format, config.columns, DATASETS.get(config.source))


def _checked(config: DataConfig, source: Source) -> Ratings:
    triples = read(source.path, source.format, source.columns, encoding=config.encoding)
    declared = config.scale or (source.dataset.scale if source.dataset else None)
    if triples.values is None and config.scale is not None:
        raise DataError(
            f"{source.path}: a scale is declared, but there is no column of ratings; name it with "
            "columns.rating"
        )
    return Ratings.from_triples(
        triples.users.parsed(),
        triples.items.parsed(),
        np.ones(len(triples)) if triples.values is None else triples.values,
        timestamps=triples.timestamps,
        scale=None if triples.values is None else declared,
        duplicates=config.duplicates,
        where=triples.where,
    )


def _rescaled(ratings: Ratings, source: Source) -> Ratings:
    """With the observed range as scale where none is declared and the values differ."""
    if ratings.scale is not None or source.dataset is not None:
        return ratings
    low, high = float(ratings.values.min()), float(ratings.values.max())
    return ratings.with_scale((low, high) if low < high else None)


def _united(train: Ratings, test: Ratings, *, paths: Sequence[Path]) -> tuple[Ratings, BoolVector]:
    users = IdColumn(train.users.ids, train.rows()).joined(IdColumn(test.users.ids, test.rows()))
    items = IdColumn(train.items.ids, train.columns).joined(IdColumn(test.items.ids, test.columns))
    (_, rows), (item_map, columns) = users.mapped(), items.mapped()
    order = np.lexsort((columns, rows))  # stable: of a pair in both files, the training part comes first
    cells = (rows * len(item_map) + columns)[order]
    shared = np.flatnonzero(cells[1:] == cells[:-1])
    if len(shared):
        first = order[shared[0]]
        raise DataError(
            f"{paths[1]}: user {users[first]!r}, item {items[first]!r} is in {paths[0]} too ({len(shared)} "
            "such pairs); a rating is either to train or to test on"
        )
    timed = train.timestamps is not None and test.timestamps is not None
    union = Ratings.from_triples(
        users,
        items,
        np.concatenate([train.values, test.values]),
        timestamps=np.concatenate([train.timestamps, test.timestamps]) if timed else None,
        scale=train.scale,
    )
    return union, order >= train.n_observed
