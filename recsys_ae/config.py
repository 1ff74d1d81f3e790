"""The base of all configs: frozen, closed against typos, whole, and strict with numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticKnownError
from pydantic_core.core_schema import no_info_before_validator_function


def _is_number(value: Any) -> Any:
    if isinstance(value, (bool, str, bytes)):
        raise PydanticKnownError("float_type")
    return value


def _is_whole_number(value: Any) -> Any:
    if isinstance(value, (bool, str, bytes)):
        raise PydanticKnownError("int_type")
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {"float": _is_number, "int": _is_whole_number}
_BEFORE: list[Any] = [
    {"type": "no-info", "function": check} for check in _CHECKS.values()
]  # as schemas say it


def _strict(schema: Any) -> Any:
    """The same schema, in which true and texts such as 1_000 are no numbers."""
    if isinstance(schema, (list, tuple)):
        return type(schema)(map(_strict, schema))
    if not isinstance(schema, dict) or schema.get("function", {}) in _BEFORE:
        return schema
    if check := _CHECKS.get(schema.get("type", "")):
        return no_info_before_validator_function(check, schema)
    return {key: _strict(value) for key, value in schema.items()}


class Config(BaseModel):
    """What decides a result. An unknown key is an error; a config never changes once made."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _strict(handler(source))


Share = Annotated[float, Field(gt=0.0, lt=1.0)]  # a proper part of a whole
UnitInterval = Annotated[float, Field(ge=0.0, le=1.0)]
