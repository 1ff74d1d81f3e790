"""What a search may choose from: a range or a list of values for each setting of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import BeforeValidator

from recsys_ae.config import Config
from recsys_ae.errors import ConfigError, brief
from recsys_ae.settings.explain import checked
from recsys_ae.settings.overrides import assign

_FORMS = "write {low: 1, high: 100}, {low: 1, high: 100, log: true} or {values: [1, 10, 100]}"
_DIGITS = 4  # of a number from a range: nobody can tell 312.4 from 312.40713
_INSIDE = 5**-0.5  # a part of a range that no whole number is at
M = TypeVar("M", bound=Config)


class Range(Config):
    """All numbers from `low` to `high`, both included. `log`: from 1 to 10 there is as much to try as from 10
    to 100. A setting of whole numbers takes whole ones, and a list of widths, such as `hidden`, a list of
    one."""

    low: float
    high: float
    log: bool = False


class Choices(Config):
    """Each of the values, in no order."""

    values: tuple[Any, ...]


def _domain(given: Any) -> Range | Choices:
    """The range or the choices that a file says. Raises ValueError, a sentence, for anything else."""
    if isinstance(given, Range | Choices):
        return given
    if not isinstance(given, Mapping):
        _refuse(f"is {brief(given)}; {_FORMS}")
    if unknown := [key for key in given if key not in ("values", "low", "high", "log")]:
        _refuse(f"no setting {brief(unknown[0])} there; {_FORMS}")
    return _choices(given) if "values" in given else _range(given)


def _choices(given: Mapping[str, Any]) -> Choices:
    values = given["values"]
    if len(given) > 1:
        _refuse(f"'values' stands alone; {_FORMS}")
    if not isinstance(values, list | tuple) or not values:
        _refuse(f"'values' must be a list with something in it, and is {brief(values)}")
    if twice := [value for number, value in enumerate(values) if value in values[:number]]:
        _refuse(f"'values' has {brief(twice[0])} twice")
    return Choices(values=tuple(values))


def _range(given: Mapping[str, Any]) -> Range:
    for end in ("low", "high"):
        if end not in given:
            _refuse(f"{end!r} is missing; {_FORMS}")
        number = given[end]
        if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number):
            _refuse(f"{end!r} must be a number, and is {brief(number)}")
    low, high, log = given["low"], given["high"], given.get("log", False)
    if not isinstance(log, bool):
        _refuse(f"'log' must be true or false, and is {brief(log)}")
    if low >= high:
        _refuse(f"'low' is {low:g} and 'high' is {high:g}; 'low' must be less than 'high'")
    if log and low <= 0:
        _refuse(f"'low' is {low:g}, and with log: true it must be greater than 0")
    return Range(low=low, high=high, log=log)


def _refuse(sentence: str) -> NoReturn:
    raise ValueError(sentence)


Space = dict[str, Annotated[Range | Choices, BeforeValidator(_domain)]]


@dataclass(frozen=True, slots=True)
class Axis:
    """One searched setting, by its dotted `name` inside the model. `whole`: its range is one of whole
    numbers; `listed`: each of them is written as a list of one."""

    name: str
    domain: Range | Choices
    whole: bool = False
    listed: bool = False

    def written(self, number: float) -> Any:
        """A number of the range as the config says it: whole, or in four digits."""
        assert isinstance(self.domain, Range)
        if self.whole:
            return [round(number)] if self.listed else round(number)
        digits = _DIGITS - 1 - floor(log10(abs(number))) if number else 0
        return min(max(round(number, digits), self.domain.low), self.domain.high)

    def values(self) -> list[Any] | None:
        """All that may be chosen; None where there is no end of it."""
        match self.domain:
            case Choices(values=values):
                return list(values)
            case Range(low=low, high=high) if self.whole:
                return [self.written(number) for number in range(round(low), round(high) + 1)]
        return None

    def holds(self, value: Any) -> bool:
        """Whether a setting of this value is one that may be chosen."""
        match self.domain:
            case Choices(values=values):
                return value in values
            case Range(low=low, high=high):
                number = value[0] if self.listed and isinstance(value, list) and len(value) == 1 else value
                is_number = isinstance(number, int | float) and not isinstance(number, bool)
                return is_number and low <= number <= high and self.written(number) == value


def start_of(model: Config, axes: Sequence[Axis]) -> dict[str, Any] | None:
    """What the model itself says of the searched settings; None where that is not all among what may be
    chosen."""
    found = {axis.name: _setting_of(model.model_dump(mode="json"), axis.name) for axis in axes}
    return found if all(axis.holds(found[axis.name]) for axis in axes) else None


def _setting_of(document: Any, key: str) -> Any:
    for name in key.split("."):
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def changed(model: M, settings: Mapping[str, Any], *, where: str) -> M:
    """The same model with other settings, by their dotted names. Raises ConfigError, beginning with `where`,
    for a setting that does not exist or does not hold."""
    document = model.model_dump(mode="json")
    for key, value in settings.items():
        assign(type(model), document, key, value, origin=where)
    found: M = checked(type(model), document, where=where)
    return found


def axes_of(model: Config, space: Space, *, where: str) -> tuple[Axis, ...]:
    """The searched settings of a model. Raises ConfigError for a setting that does not exist, a value that it
    does not take, and a range of what takes no numbers; each is tried beside the first values of those before
    it, so that `bottleneck.k` may follow `bottleneck.kind`."""
    axes: list[Axis] = []
    first: dict[str, Any] = {}
    for name, domain in space.items():
        match domain:
            case Choices():
                axis, tried = Axis(name, domain), list(domain.values)
            case Range():
                axis = _axis_of(model, name, domain, first, where)
                tried = [axis.written(domain.low), axis.written(domain.high)]
        for value in tried:
            changed(model, {**first, name: value}, where=where)
        first[name] = tried[0]
        axes.append(axis)
    return tuple(axes)


def _axis_of(model: Config, name: str, domain: Range, first: Mapping[str, Any], where: str) -> Axis:
    """The range as the setting takes it: of numbers, of whole ones, or of lists of one."""
    inside = domain.low + _INSIDE * (domain.high - domain.low)
    refused: ConfigError | None = None
    for whole, listed in ((False, False), (True, False), (True, True)):
        axis = Axis(name, domain, whole, listed)
        try:
            changed(model, {**first, name: axis.written(inside)}, where=where)
        except ConfigError as error:
            refused = refused or error
            continue
        for end in (domain.low, domain.high):
            if whole and end != round(end):
                raise ConfigError(f"{where}: {name!r} takes whole numbers, and its range ends at {end:g}")
        return axis
    assert refused is not None
    raise refused
