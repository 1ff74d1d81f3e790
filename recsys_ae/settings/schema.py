"""What settings exist: the config classes read as a tree of keys, for overrides and for error sentences."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Union, get_args, get_origin

from recsys_ae.config import Config
from recsys_ae.errors import cut

_CLOSE = 0.6  # how much of two words must be the same for one to be meant by the other


def branches(annotation: Any) -> tuple[type[Config], ...]:
    """The config classes that a field may hold, directly, optionally or as elements of a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return (annotation,)
    if get_origin(annotation) in (Union, types.UnionType, tuple) or hasattr(annotation, "__metadata__"):
        return tuple(found for part in get_args(annotation) for found in branches(part))
    return ()


def kind_of(config: type[Config]) -> str | None:
    """The value of `kind` that picks a class among several."""
    field = config.model_fields.get("kind")
    return None if field is None else field.default


def default_kind(config: type[Config], key: str) -> str | None:
    """The kind that a field holds where a file says nothing of it."""
    return getattr(config.model_fields[key].default, "kind", None)


def chosen(config: type[Config], key: str, value: Any) -> type[Config] | None:
    """The class that reads the settings below `key`, given the `value` that stands there now; None where
    nothing is below it, or where no known kind is named."""
    options = branches(config.model_fields[key].annotation)
    if len(options) < 2:
        return options[0] if options else None
    kind = value.get("kind") if isinstance(value, Mapping) else None
    kind = kind or default_kind(config, key)
    return next((option for option in options if kind_of(option) == kind), None)


def place(root: type[Config], location: Sequence[str | int]) -> tuple[str, tuple[type[Config], ...]]:
    """The dotted key of a place that pydantic names (which inserts the kind of each variant into the path),
    and the classes that may stand there."""
    keys: list[str] = []
    classes: tuple[type[Config], ...] = (root,)
    names_any = False  # whether the next part is a key that people choose, as in a grid
    for part in location:
        if isinstance(part, int) or names_any:
            keys.append(str(part))
            names_any = False
        elif not classes:  # where no config stands, the part is a type among those of a value
            continue
        elif len(classes) > 1:
            classes = tuple(option for option in classes if kind_of(option) == part)
        else:
            keys.append(part)
            fields = classes[0].model_fields if classes else {}
            annotation = fields[part].annotation if part in fields else None
            classes, names_any = branches(annotation), get_origin(annotation) is dict
    return ".".join(keys), classes


def advice(wrong: str, allowed: Sequence[str]) -> str:
    """What to write in place of `wrong`: the closest match, the first of equal ones, where there is a close
    one in large or small letters; else all that is allowed."""
    typed = cut(wrong).lower()
    alike = {name: SequenceMatcher(None, name.lower(), typed).ratio() for name in allowed}
    best = max(alike, key=alike.__getitem__, default="")
    if best and alike[best] >= _CLOSE:
        return f"did you mean {best!r}?"
    return f"choose one of {', '.join(allowed)}"
