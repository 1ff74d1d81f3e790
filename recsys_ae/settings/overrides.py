"""Single settings of a config, changed by their dotted keys."""

from __future__ import annotations

from typing import Any

import yaml

from recsys_ae.config import Config
from recsys_ae.errors import ConfigError
from recsys_ae.settings.schema import advice, branches, chosen, default_kind, kind_of


def override(root: type[Config], document: dict[str, Any], text: str) -> str:
    """Carry out `key=value` in a document that `root` will read; returns the whole dotted key.

    The key is looked up from the root of the file, then inside `model`, then inside `data`:
    "training.epochs=30" sets model.training.epochs, "columns.user=reader" data.columns.user.
    The value is YAML. A changed `kind` keeps the settings that both kinds know. Raises
    ConfigError for an unknown key (with the close match) and for a value that is no YAML.
    """
    origin = f"--set {text}"
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"{origin}: write key=value, for example --set training.epochs=30")
    parts = _from_root(root, document, key.strip().split("."), origin)
    _assign(root, document, parts, _value(value, origin), origin)
    return ".".join(parts)


def assign(root: type[Config], document: dict[str, Any], key: str, value: Any, *, origin: str) -> None:
    """Set the dotted `key` of a document that `root` will read. Raises ConfigError, beginning with `origin`,
    for an unknown key."""
    _assign(root, document, key.split("."), value, origin)


def _value(text: str, origin: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"{origin}: the value is broken YAML; quote it if it is text") from None


def _from_root(root: type[Config], document: dict[str, Any], parts: list[str], origin: str) -> list[str]:
    if parts[0] in root.model_fields:
        return parts
    known = list(root.model_fields)
    for place in ("model", "data"):
        inner = chosen(root, place, document.get(place)) if place in root.model_fields else None
        if inner is not None and parts[0] in inner.model_fields:
            return [place, *parts]
        known += inner.model_fields if inner else []
    raise ConfigError(f"{origin}: no setting {parts[0]!r}; {advice(parts[0], known)}")


def _assign(
    config: type[Config], document: dict[str, Any], parts: list[str], value: Any, origin: str
) -> None:
    key, rest = parts[0], parts[1:]
    if key not in config.model_fields:
        raise ConfigError(f"{origin}: no setting {key!r} there; {advice(key, list(config.model_fields))}")
    if not rest:
        document[key] = value
        return
    if isinstance(document.get(key), list):
        _assign_in_list(config, document[key], parts, value, origin)
    elif not branches(config.model_fields[key].annotation):
        _assign_in_mapping(document, parts, value, origin)
    else:
        _assign_below(config, document, parts, value, origin)


def _assign_below(
    config: type[Config], document: dict[str, Any], parts: list[str], value: Any, origin: str
) -> None:
    key, rest = parts[0], parts[1:]
    below = document.get(key)
    if not isinstance(below, dict):
        kind = default_kind(config, key)
        below = {} if kind is None else {"kind": kind}
    document[key] = below
    if rest == ["kind"]:
        document[key] = _of_kind(branches(config.model_fields[key].annotation), below, value)
        return
    inner = chosen(config, key, below)
    if inner is None:
        raise ConfigError(f"{origin}: set {key}.kind first")
    _assign(inner, below, rest, value, origin)


def _of_kind(options: tuple[type[Config], ...], below: dict[str, Any], kind: Any) -> dict[str, Any]:
    known = next((option.model_fields for option in options if kind_of(option) == kind), {})
    return {"kind": kind} | {key: value for key, value in below.items() if key in known and key != "kind"}


def _assign_in_list(
    config: type[Config], entries: list[Any], parts: list[str], value: Any, origin: str
) -> None:
    """`models.0.model.l2`: the entry by its number, from 0."""
    key, number, rest = parts[0], parts[1], parts[2:]
    options = branches(config.model_fields[key].annotation)
    if not number.isdecimal() or int(number) >= len(entries) or not rest or not options:
        raise ConfigError(
            f"{origin}: {key!r} has the entries 0 to {len(entries) - 1}; name one, as in {key}.0.name"
        )
    _assign(options[0], entries[int(number)], rest, value, origin)


def _assign_in_mapping(document: dict[str, Any], parts: list[str], value: Any, origin: str) -> None:
    """A free mapping, such as a grid, whose own keys are dotted."""
    below = document.setdefault(parts[0], {})
    if not isinstance(below, dict):
        raise ConfigError(f"{origin}: {parts[0]!r} has no settings below it")
    below[".".join(parts[1:])] = value
