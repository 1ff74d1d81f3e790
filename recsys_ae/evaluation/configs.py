"""What is measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt

from recsys_ae.config import Config


class EvaluationConfig(Config):
    """`cutoffs`: depths of the ranking metrics. `relevant`: a holdout rating counts as a hit at or above it;
    null: every holdout rating does."""

    cutoffs: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (10,)
    relevant: float | None = None
