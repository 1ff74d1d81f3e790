"""The base of all configs: frozen, closed against typos, whole."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """What decides a result. An unknown key is an error; a config never changes once made."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Share = Annotated[float, Field(gt=0.0, lt=1.0)]  # a proper part of a whole
UnitInterval = Annotated[float, Field(ge=0.0, le=1.0)]
