"""What is measured."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt

from recsys_ae.config import Config
from recsys_ae.errors import brief


def _number_or_all(value: Any) -> Any:
    """One sentence for what is neither, where a union would have several."""
    if value is None or value == "all" or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise ValueError(f"the least rating of a hit must be a number, all or null, and is {brief(value)}")


class EvaluationConfig(Config):
    """`cutoffs`: depths of the ranking metrics; beyond the catalogue all of it is ranked. `relevant`: a
    holdout rating counts as a hit at or above it; all: every one does; null: of explicit ratings those from
    the lowest value that at most 40 % of the training ratings reach, of events and counts every one."""

    cutoffs: Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=100)] = (10,)
    relevant: Annotated[float | Literal["all"] | None, BeforeValidator(_number_or_all)] = None
