"""From a config, or a table in memory, to ratings: find, read, check, filter."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from recsys_ae.data.configs import ColumnsConfig, DataConfig, Feedback, FiltersConfig, Format
from recsys_ae.data.datasets import DATASETS
from recsys_ae.data.datasets.known import Dataset
from recsys_ae.data.datasets.places import absent, close_names, expanded, find
from recsys_ae.data.filters import apply_filters, at_least
from recsys_ae.data.ids import IdColumn
from recsys_ae.data.ratings import Ratings
from recsys_ae.data.readers import parts_of, read
from recsys_ae.data.readers.matrix import read_matrix
from recsys_ae.data.readers.tables import read_table
from recsys_ae.data.schema import Triples
from recsys_ae.errors import ConfigError, DataError, brief
from recsys_ae.types import BoolVector, Progress, unwatched

TYPED = ("parquet", "arrow", "jsonl", "npz")  # formats that tell texts from numbers
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """Files to read, how, and the known dataset that they belong to, if any."""

    paths: tuple[Path, ...]
    format: Format | None
    columns: ColumnsConfig
    feedback: Feedback | None
    dataset: Dataset | None


def load_ratings(config: DataConfig, on_read: Progress = unwatched) -> Ratings:
    """The ratings that the config names, checked and filtered. What was read as what is logged.

    Users and items without ratings (in the file or after filters) are not in the id maps. The scale is the
    config's, else the known dataset's, else none is declared. `on_read`: told how many bytes have been read,
    of how many. Raises DataError with file and line or row at whatever cannot be used.
    """
    triples = read_triples(config, on_read)
    return apply_filters(to_ratings(triples, config), config.filters)


def load_table(table: Any, config: DataConfig) -> Ratings:
    """The same of a table (pandas, polars, Arrow) or a sparse matrix (SciPy) in memory, by the rules for
    columns of files. Raises DataError where it is neither."""
    if sparse.issparse(table):
        triples = read_matrix(table, config.feedback)
    elif hasattr(table, "__arrow_c_stream__"):
        triples = read_table(table, config.columns, config.feedback)
    else:
        raise DataError(
            f"ratings cannot be read from a value of type {type(table).__name__}; give a path, the name of a "
            "dataset, a pandas, polars or Arrow table, or a SciPy matrix"
        )
    if len(triples) == 0:
        raise DataError(f"{config.label}: holds no ratings")
    log.info("%s", triples.reading.sentence(config.label, len(triples)))
    triples = at_least(triples, config.filters.min_rating)
    return apply_filters(to_ratings(triples, config), config.filters)


def newer_settings(data: Sequence[str], trained: DataConfig, feedback: Feedback | None) -> dict[str, Any]:
    """How to read ratings that are newer than those of a training: as these were, on their declared scale.

    `feedback`: what the values of the training were; where its config does not say so, nor which column holds
    them, the newer columns are asked again, see `check_same_feedback`. Filters by counts are left out, which
    would drop new users; the format is kept for paths with the same suffix.
    """
    known = data[0] in DATASETS
    settings = trained.model_dump(mode="json", include={"duplicates", "encoding", "header", "decimal"})
    settings["filters"] = trained.filters.model_dump(include={"min_rating", "threshold"})
    if not known:
        settings["columns"] = trained.columns.model_dump()
        if {Path(name).suffix for name in data} == {Path(name).suffix for name in trained.sources}:
            settings["format"] = trained.format
    if trained.filters.threshold is not None:
        feedback = trained.feedback  # the filter makes events of whatever it is
    told = trained.feedback or trained.columns.rating
    counted = feedback == "counts" and trained.duplicates != "sum"  # which makes counts of events
    settings["feedback"] = feedback if told or counted else None
    if feedback not in ("counts", "events"):
        settings["scale"] = declared_scale(trained)
    return settings


def check_same_feedback(found: Ratings, config: DataConfig, feedback: Feedback | None) -> None:
    """Raises DataError where newer columns were found to hold something else than the training, of
    `feedback`, did. What the config says is not questioned."""
    if config.feedback is None and feedback not in (None, found.feedback):
        raise DataError(
            f"{config.label}: holds {found.feedback}, and the model was trained on {feedback}; name the "
            "column with --set data.columns.rating=…, or say that they are the same with --set "
            f"data.feedback={feedback}"
        )


def declared_scale(config: DataConfig) -> tuple[float, float] | None:
    """The scale of the config, else that of the known dataset that it names."""
    dataset = DATASETS.get(config.sources[0])
    if config.scale is not None or dataset is None or config.feedback in ("counts", "events"):
        return config.scale
    return dataset.scale


def load_pair(
    config: DataConfig, train: str, test: str, on_read: Progress = unwatched
) -> tuple[Ratings, BoolVector]:
    """The union of two files, and (n_observed,) which of its ratings, in the order of the matrix, are of
    `test`.

    The files lie in the folder of the dataset, or in the folder that `config.source` is; or `config.source`
    is one of them. `on_read`: told of the bytes of one, then of the other. Repeats are resolved within each
    file. Timestamps are kept if both files have them. Raises ConfigError if the files lie elsewhere, or the
    config has filters (they would mix the parts), DataError if a pair is in both files, the files hold
    different feedback, or those of a known dataset are not all of it."""
    if config.filters != FiltersConfig():
        raise ConfigError(
            "filters cannot be used with a predefined split; filter the files, or split otherwise"
        )
    paths = _paths_of_pair(config, train, test)
    sources = [_located(config, path) for path in paths]
    triples = [_read(source, config, on_read) for source in sources]
    kinds = [part.reading.feedback for part in triples]
    if kinds[0] != kinds[1]:
        raise DataError(f"{paths[0]} holds {kinds[0]} and {paths[1]} {kinds[1]}; set data.feedback for both")
    union, of_test = _united(*(to_ratings(part, config) for part in triples), paths=paths)
    if (dataset := sources[0].dataset) is not None:
        dataset.check(paths[0].parent, Triples.joined(triples))
    return union, of_test


def read_triples(config: DataConfig, on_read: Progress = unwatched) -> Triples:
    """The rows of the source that reach the minimum rating, not yet checked. What was read as what is logged.
    `on_read`: see `load_ratings`. Raises DataError where a known dataset holds something else than it
    should."""
    source = _located(config)
    triples = _read(source, config, on_read)
    if source.dataset is not None:
        source.dataset.check(source.paths[0], triples)
    return at_least(triples, config.filters.min_rating)


def to_ratings(triples: Triples, config: DataConfig) -> Ratings:
    """Rows with the scale, and by the rule for duplicates, of the config. Raises DataError at the first that
    cannot be used."""
    kind = triples.reading.feedback
    if kind != "ratings" and config.scale is not None:
        named = "there is no column of ratings; name it with columns.rating" if kind == "events" else (
            "these are counts; leave out the scale, or set feedback to ratings"
        )  # fmt: skip
        raise DataError(f"{config.label}: a scale is declared, but {named}")
    return Ratings.from_triples(
        triples.users.parsed(),
        triples.items.parsed(),
        np.ones(len(triples)) if triples.values is None else triples.values,
        timestamps=triples.timestamps,
        scale=declared_scale(config) if kind == "ratings" else None,
        feedback=kind,
        duplicates=config.duplicates,
        where=triples.where,
    )


def _read(source: Source, config: DataConfig, on_read: Progress) -> Triples:
    files = [file for path in source.paths for file in parts_of(path)]
    triples = read(files, source.format, source.columns, source.feedback, config, on_read)
    shown = str(files[0]) if len(files) == 1 else f"{config.label}, {len(files)} files"
    log.info("%s", triples.reading.sentence(shown, len(triples)))
    if triples.reading.format not in TYPED:
        for role, ids in (("user", triples.users), ("item", triples.items)):
            if fraction := ids.fraction():
                log.warning(
                    "%s: ids of %ss are read as texts, as %r among these numbers is not written as a whole "
                    "one; where whole numbers are meant, write all of them so",
                    *(shown, role, fraction),
                )
    return triples


def _located(config: DataConfig, part: Path | None = None) -> Source:
    """Where the source lies, and how it is read; `part`: a file that is read in place of it."""
    dataset = DATASETS.get(config.sources[0])
    if len(config.sources) > 1 and (named := [name for name in config.sources if name in DATASETS]):
        raise ConfigError(
            f"data.source lists {named[0]}, the name of a dataset; list paths, or name it alone"
        )
    feedback = config.feedback
    if dataset is not None and feedback is None and config.columns.rating != "":
        feedback = dataset.feedback
    if dataset is None or part is not None:
        paths = tuple(map(_path, config.sources)) if part is None else (part,)
        return Source(paths, config.format, config.columns, feedback, dataset)
    found = find(dataset.name)
    if found is None:
        raise DataError(absent(dataset))
    form = next(file for file in dataset.files if file.name == found.name)
    columns = form.columns.model_copy(update=config.columns.model_dump(exclude_none=True))
    return Source((found,), config.format or form.format, columns, feedback, dataset)


def _path(name: str) -> Path:
    path = expanded(name)
    if not path.exists() and not path.suffix and path.name == name and not set(name) & set("*?["):
        raise DataError(f"{brief(name)} is neither a file nor a known dataset; {close_names(name)}")
    return path


def _paths_of_pair(config: DataConfig, train: str, test: str) -> list[Path]:
    """Where the two files of a predefined split lie. Raises ConfigError where that contradicts the source:
    what is logged as the data is what is trained on."""
    if len(config.sources) > 1:
        raise ConfigError("data.source lists several files, and the split names two; name their folder")
    whole = _located(config).paths[0]
    folder = whole if whole.is_dir() else whole.parent
    paths = [folder / expanded(name) for name in (train, test)]
    root = folder.resolve()
    for name, path in zip(("train", "test"), paths, strict=True):
        if root not in path.resolve().parents:
            raise ConfigError(
                f"split.{name} is {path}, which does not lie in {folder}, where data.source {config.label} "
                "is: name the folder that holds both files as data.source"
            )
    is_file = config.sources[0] not in DATASETS and not whole.is_dir()
    if is_file and whole.resolve() not in [path.resolve() for path in paths]:
        raise ConfigError(
            f"data.source is {config.label}, but the split is made of {paths[0]} and {paths[1]}: "
            f"name the folder of both as data.source ({folder}), or split data.source otherwise"
        )
    return paths


def _united(train: Ratings, test: Ratings, *, paths: Sequence[Path]) -> tuple[Ratings, BoolVector]:
    users = IdColumn.joined([IdColumn(part.users.ids, part.rows()) for part in (train, test)])
    items = IdColumn.joined([IdColumn(part.items.ids, part.columns) for part in (train, test)])
    (_, rows), (item_map, columns) = users.mapped(), items.mapped()
    order = np.lexsort((columns, rows))  # stable: of a pair in both files, the training part comes first
    cells = (rows * len(item_map) + columns)[order]
    shared = np.flatnonzero(cells[1:] == cells[:-1])
    if len(shared):
        first = order[shared[0]]
        raise DataError(
            f"{paths[1]}: user {brief(users[first])}, item {brief(items[first])} is in {paths[0]} too "
            f"({len(shared)} such pairs); a rating is either to train or to test on"
        )
    timed = train.timestamps is not None and test.timestamps is not None
    union = Ratings.from_triples(
        users,
        items,
        np.concatenate([train.values, test.values]),
        timestamps=np.concatenate([train.timestamps, test.timestamps]) if timed else None,
        scale=train.scale,
        feedback=train.feedback,
    )
    return union, order >= train.n_observed
