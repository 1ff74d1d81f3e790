"""What a file of rules may say: which items lists may hold, and by what they are put in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, StringConstraints, model_validator

from recsys_ae.config import Config, UnitInterval
from recsys_ae.errors import brief


def _is_ids(value: Any) -> Any:
    """A path as text, or ids as they came."""
    if value is None or (isinstance(value, str) and value):
        return value
    if isinstance(value, PathLike):
        return str(value)
    is_table = isinstance(value, Mapping) or hasattr(value, "columns")
    if isinstance(value, (str, bytes)) or is_table or not isinstance(value, Iterable):
        what = f"a {type(value).__name__}" if is_table else brief(value)
        raise ValueError(f"must be a list of ids or the path of a file with one id per line, not {what}")
    return value if hasattr(value, "__array__") else tuple(value)


def _is_table(value: Any) -> Any:
    """A path as text, or a table as it came."""
    if isinstance(value, PathLike):
        return str(value)
    if value is None or (isinstance(value, str) and value) or hasattr(value, "columns"):
        return value
    raise ValueError(f"must be the path of a .parquet or .csv file, not {brief(value)}")


Ids = Annotated[Any, AfterValidator(_is_ids)]
Table = Annotated[Any, AfterValidator(_is_table)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class AtMostConfig(Config):
    """`n` items at most that have the same value in a column of the items table."""

    column: Text
    n: PositiveInt


class BoostConfig(Config):
    """Scores are raised by `weight` times a column of the items table, both in standard deviations: of the
    scores that a user's list may hold, and of the column. A weight below 0 lowers them."""

    column: Text
    weight: float = Field(ge=-1000.0, le=1000.0)


class RulesConfig(Config):
    """`only`, `without`: ids of items, or a file with one per line. `exclude`: of a table with the columns
    user and item, what these users get not. `min_ratings`: of an item in the training. `items`: a table with
    a column item (or id) and attributes. `where`: an expression on them (see `where.matching`).
    `diversity`: 0 takes the best items, 1 those that are least alike."""

    only: Ids = None
    without: Ids = None
    exclude: Table = None
    min_ratings: NonNegativeInt = 0
    items: Table = None
    where: Text | None = None
    at_most: AtMostConfig | None = None
    boost: BoostConfig | None = None
    diversity: UnitInterval = 0.0

    @model_validator(mode="after")
    def _has_table(self) -> Self:
        asking = [name for name in ("where", "at_most", "boost") if getattr(self, name) is not None]
        if self.items is None and asking:
            raise ValueError(
                f"{asking[0]!r} asks for attributes of items, and there is no table of them; name it as items"
            )
        return self
