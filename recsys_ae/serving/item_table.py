"""Tables that somebody gives beside a model: of items with attributes, and of pairs of users and items."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from recsys_ae.data.ids import IdColumn, IdMap
from recsys_ae.errors import ConfigError, DataError, brief, cut, reason
from recsys_ae.serving.configs import AtMostConfig, BoostConfig
from recsys_ae.serving.reranking import standardised
from recsys_ae.types import FloatVector, PositionVector

IN_MEMORY = "the table"
_NOTHING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]  # where an attribute is missing
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class ItemTable:
    """What is known of items of a model: the rows of `frame` are those of the items at `places` (m,), which
    ascend. `name`: of the file."""

    name: str
    frame: pd.DataFrame
    places: PositionVector


def item_table(source: Any, items: IdMap) -> ItemTable:
    """The table of a .parquet or .csv file, or one in memory, with a column item (or id), a row for each
    item. A warning counts items that only one of the two, table and model, has.

    Raises DataError for a file that cannot be read, other columns, an empty table, an item without an id or
    with two rows, and where the model knows none of the items.
    """
    name = named(source)
    names = _names(source)
    key = next((column for column in ("item", "id") if column in names), None)
    if key is None:
        raise DataError(f"{name}: has no column 'item' (or 'id'); its columns are {shown(names)}")
    places, ids = places_in(items, _column(source, key), f"{name}: {key}", "item")
    if not len(places):
        raise DataError(f"{name}: has no rows; give a row for each item")
    known = np.flatnonzero(places >= 0)
    order = known[np.argsort(places[known], kind="stable")]
    ascending = places[order]
    if (twice := np.flatnonzero(ascending[1:] == ascending[:-1])).size:
        first = ids[int(order[twice[0]])]
        raise DataError(f"{name}: {key} {brief(first)} is there twice; keep one row for each item")
    n_lacking, n_unknown = len(items) - len(known), len(places) - len(known)
    if n_lacking or n_unknown:
        log.warning(
            "%s: lacks %d of %d items of the model, for which no attribute is known, and has %d that the "
            "model does not know",
            name, n_lacking, len(items), n_unknown,
        )  # fmt: skip
    return ItemTable(name, _frame(source).iloc[order].reset_index(drop=True), ascending)


def categories_of(config: AtMostConfig, table: ItemTable, items: IdMap) -> PositionVector:
    """(n_items,) int64 categories from 0, by a column of the table; -1 for items without a value there.

    Raises ConfigError for a column that is not there or holds lists.
    """
    column = _attribute(table, config.column, "at_most")
    try:
        codes = pd.factorize(column)[0]
    except TypeError:
        raise ConfigError(
            f"at_most: {table.name} has several values of an item in {brief(config.column)}; name one"
        ) from None
    categories = np.full(len(items), -1, dtype=np.int64)
    categories[table.places] = codes
    return categories


def boosts_of(config: BoostConfig, table: ItemTable, items: IdMap) -> FloatVector:
    """(n_items,) float64: the weight times a column of the table in units of its standard deviation, less its
    mean; 0 for items without a value there.

    Raises ConfigError for a column that is not there or holds something else than finite numbers.
    """
    column = _attribute(table, config.column, "boost")
    known = column.notna().to_numpy()
    if not pd.api.types.is_numeric_dtype(column.dtype):
        first = brief(column[known].tolist()[0]) if known.any() else "nothing"
        raise ConfigError(f"boost: {table.name} has no numbers in {brief(config.column)}, but {first}")
    values = column[known].to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise ConfigError(f"boost: {table.name} has an infinite number in {brief(config.column)}; correct it")
    boosts = np.zeros(len(items))
    if len(values):
        boosts[table.places[known]] = config.weight * standardised(values)
    return boosts


def _attribute(table: ItemTable, column: str, rule: str) -> pd.Series:
    if column not in table.frame.columns:
        names = shown(list(table.frame.columns))
        raise ConfigError(f"{rule}: {table.name} has no column {brief(column)}; its columns are {names}")
    return table.frame[column]


def pairs_of(source: Any, users: IdMap, items: IdMap) -> tuple[PositionVector, PositionVector]:
    """(m,), (m,) positions of the users and items of each row of a table that both maps know.

    A warning counts the other rows. Raises DataError for a table that cannot be read, other columns, an empty
    id, and where all users, or all items, are unknown.
    """
    name, columns = named(source), _names(source)
    if lacking := [column for column in ("user", "item") if column not in columns]:
        raise DataError(f"{name}: has no column {lacking[0]!r}; its columns are {shown(columns)}")
    of_users, _ = places_in(users, _column(source, "user"), f"{name}: user", "user")
    of_items, _ = places_in(items, _column(source, "item"), f"{name}: item", "item")
    known = (of_users >= 0) & (of_items >= 0)
    if not known.all():
        log.warning(
            "%s: %d of %d rows name a user or an item that is unknown, and exclude nothing",
            name, len(known) - np.count_nonzero(known), len(known),
        )  # fmt: skip
    return of_users[known], of_items[known]


def places_in(known: IdMap, ids: IdColumn, where: str, what: str) -> tuple[PositionVector, IdColumn]:
    """(m,) positions of these ids, -1 where they are unknown. Raises DataError, after `where`, for an empty
    id, and where there are ids and all are unknown."""
    if len(empty := ids.empty_rows()):
        raise DataError(f"{where} of row {empty[0] + 1} is empty; give every row an id, or leave it out")
    places = known.positions(ids, missing="negative")
    if len(places) and (places < 0).all() and len(known):
        raise DataError(
            f"{where}: none of {what}s such as {brief(ids[0])} is there; ids are written as in the ratings, "
            f"such as {brief(known.ids[:1].tolist()[0])}"
        )
    return places, ids


def named(source: Any) -> str:
    return source if isinstance(source, str) else IN_MEMORY


def shown(names: list[str]) -> str:
    return cut(", ".join(map(str, names[:12])) + (", …" if len(names) > 12 else ""), 200)


def _names(source: Any) -> list[str]:
    """Of the columns, each once."""
    if isinstance(source, str):
        with _file(source) as path:
            is_table = path.suffix.lower() == ".parquet"
            names = list(pq.read_schema(path).names if is_table else pv.open_csv(path).schema.names)
    else:
        names = list(getattr(source, "column_names", source.columns))
    if len(set(names)) < len(names):
        raise DataError(f"{named(source)}: names a column twice; its columns are {shown(names)}")
    return names


def _column(source: Any, name: str) -> IdColumn:
    """Ids as they are written; "NA" may be one."""
    try:
        if isinstance(source, str):
            return IdColumn.of_arrow(_read(source, ids=name)[name])
        return IdColumn.of(source[name])
    except (pa.ArrowException, TypeError) as error:  # the second of lists in memory
        raise DataError(f"{named(source)}: {name} holds no ids ({reason(error)})") from error


def _frame(source: Any) -> pd.DataFrame:
    """Attributes; those of a dictionary as the values that they stand for."""
    if isinstance(source, str):
        frame = _read(source).to_pandas(date_as_object=False)
    else:
        frame = source.to_pandas() if hasattr(source, "to_pandas") else source
    coded = {name: kind for name, kind in frame.dtypes.items() if hasattr(kind, "categories")}
    return frame.astype({name: kind.categories.dtype for name, kind in coded.items()}) if coded else frame


def _read(source: str, ids: str | None = None) -> pa.Table:
    """The table of a file; `ids`: this column alone, a text where the file does not say what it is."""
    with _file(source) as path:
        if path.suffix.lower() == ".parquet":
            return pq.read_table(path, columns=None if ids is None else [ids], partitioning=None)
        convert = pv.ConvertOptions(
            null_values=_NOTHING if ids is None else [""],
            strings_can_be_null=True,
            include_columns=None if ids is None else [ids],
            column_types=None if ids is None else {ids: pa.string()},
        )
        return pv.read_csv(
            path, parse_options=pv.ParseOptions(newlines_in_values=True), convert_options=convert
        )


@contextmanager
def _file(source: str) -> Iterator[Path]:
    """The path of a table, for reading it. Raises DataError where there is none, or it cannot be read."""
    path = Path(source).expanduser()
    kind = path.suffix.lower()
    if kind not in (".parquet", ".csv"):
        raise DataError(f"{source}: a table is read from .parquet or .csv; rename or convert it")
    if not path.is_file():
        raise DataError(f"{source}: {'is no file' if path.exists() else 'no such file'}; name a table's file")
    try:
        yield path
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: cannot be read ({reason(error)}); give a whole {kind} file") from error
