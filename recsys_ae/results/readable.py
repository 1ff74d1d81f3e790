"""Settings as people read them: a name and a value on each line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recsys_ae.config import Config


def settings_of(config: Config) -> dict[str, str]:
    """Every setting under its dotted name, such as "training.batch_size", in the order of the config."""
    return dict(_flat(config.model_dump(mode="json")))


def unusual(config: Config) -> frozenset[str]:
    """The names of the settings that are not what they would be by default."""
    usual = settings_of(type(config).model_validate({}))
    return frozenset(name for name, value in settings_of(config).items() if usual.get(name) != value)


def value_text(value: Any) -> str:
    """A value without the marks of a language: "100, 50", "none", "yes", "low 1, high 10"."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case Mapping():
            return ", ".join(f"{name} {value_text(inner)}" for name, inner in value.items()) or "none"
        case list() | tuple():
            return ", ".join(map(value_text, value)) or "none"
        case _:
            return str(value)


def listed(names: Sequence[str]) -> str:
    """Such as "a, b and c"; at least one."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value_text(value)
