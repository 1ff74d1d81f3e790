"""Single settings of a config, changed by their dotted keys."""

from __future__ import annotations

from typing import Any

from recsys_ae.config import Config
from recsys_ae.errors import ConfigError, brief, cut, without_secrets
from recsys_ae.settings.documents import Broken, parse
from recsys_ae.settings.schema import advice, branches, chosen, default_kind, kind_of


def override(root: type[Config], document: dict[str, Any], text: str) -> str:
    """Carry out `key=value` in a document that `root` will read; returns the whole dotted key.

    The key is looked up from the root of the file, then inside `model`, then inside `data`:
    "training.epochs=30" sets model.training.epochs, "columns.user=reader" data.columns.user.
    The value is YAML. A changed `kind` keeps the settings that both kinds know. Raises
    ConfigError for an unknown key (with the close match) and for a value that is no YAML.
    """
    origin = f"--set {cut(without_secrets(text))}"
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"{origin}: write key=value, for example --set training.epochs=30")
    whole = _from_root(root, document, key.strip(), origin)
    try:
        parsed = parse(value)
    except Broken as error:
        raise ConfigError(f"{origin}: {error.problem}; quote the value if it is text") from None
    assign(root, document, whole, parsed, origin=origin)
    return whole


def _from_root(root: type[Config], document: dict[str, Any], key: str, origin: str) -> str:
    first = key.partition(".")[0]
    if first in root.model_fields:
        return key
    known = list(root.model_fields)
    for place in ("model", "data"):
        inner = chosen(root, place, document.get(place)) if place in root.model_fields else None
        if inner is not None and first in inner.model_fields:
            return f"{place}.{key}"
        known += inner.model_fields if inner else []
    raise ConfigError(f"{origin}: no setting {brief(first)}; {advice(first, known)}")


def assign(root: type[Config], document: dict[str, Any], key: str, value: Any, *, origin: str) -> None:
    """Set the dotted `key` of a document that `root` will read. Raises ConfigError, beginning with `origin`,
    for an unknown key."""
    name, dot, rest = key.partition(".")
    if name not in root.model_fields:
        raise ConfigError(
            f"{origin}: no setting {brief(name)} there; {advice(name, list(root.model_fields))}"
        )
    options, below = branches(root.model_fields[name].annotation), document.get(name)
    if not dot:
        document[name] = value
    elif isinstance(below, list):
        _assign_in_list(options, name, below, rest, value, origin)
    elif options:
        if not isinstance(below, dict):
            kind = default_kind(root, name)
            below = document[name] = {} if kind is None else {"kind": kind}
        if rest == "kind":
            document[name] = _of_kind(options, below, value)
            return
        inner = chosen(root, name, below)
        if inner is None:
            raise ConfigError(f"{origin}: set {name}.kind first")
        assign(inner, below, rest, value, origin=origin)
    else:  # a free mapping, such as a grid, whose own keys are dotted
        free = document.setdefault(name, {})
        if not isinstance(free, dict):
            raise ConfigError(f"{origin}: {name!r} has no settings below it")
        free[rest] = value


def _of_kind(options: tuple[type[Config], ...], below: dict[str, Any], kind: Any) -> dict[str, Any]:
    known = next((option.model_fields for option in options if kind_of(option) == kind), {})
    return {"kind": kind} | {key: value for key, value in below.items() if key in known and key != "kind"}


def _assign_in_list(
    options: tuple[type[Config], ...], name: str, entries: list[Any], key: str, value: Any, origin: str
) -> None:
    """`models.0.model.l2`: the entry by its number, from 0."""
    number, dot, rest = key.partition(".")
    if not number.isdecimal() or int(number) >= len(entries) or not dot or not options:
        raise ConfigError(
            f"{origin}: {name!r} has the entries 0 to {len(entries) - 1}; name one, as in {name}.0.name"
        )
    assign(options[0], entries[int(number)], rest, value, origin=origin)
