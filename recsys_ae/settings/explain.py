"""A config that does not hold, said in one sentence of the user's words."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from pydantic import ValidationError

from recsys_ae.config import Config
from recsys_ae.errors import ConfigError, brief
from recsys_ae.settings.schema import advice, kind_of, place

_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping of settings",
    "mapping": "a mapping of settings",
    "model": "a mapping of settings",
    "union": "a mapping of settings",  # of several kinds
}


def checked(
    root: type[Config],
    document: Any,
    *,
    where: str,
    sources: Mapping[str, str] | None = None,
    within: str = "",
) -> Any:
    """The config that a document says. `where` names its file; `sources` names other origins (an override on
    the command line) of some dotted keys; `within`: the key around all that somebody typed, which they did
    not.

    Raises ConfigError: one sentence with the origin, the dotted key, what is wrong and what is allowed.
    """
    try:
        return root.model_validate(document)
    except ValidationError as error:
        raise ConfigError(_sentence(error, root, where, sources or {}, within)) from None


def _sentence(
    error: ValidationError, root: type[Config], where: str, sources: Mapping[str, str], within: str
) -> str:
    problems = error.errors(include_url=False)
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])  # typos tell most
    n_mistakes = _count({place(root, each["loc"])[0] for each in problems})
    more = f" (one of {n_mistakes} mistakes)" if n_mistakes > 1 else ""
    key, classes = place(root, problem["loc"])
    typed = "" if key == within else key.removeprefix(f"{within}.")
    return f"{_origin(key, where, sources)}: {_problem(dict(problem), root, typed, classes)}{more}"


def _count(keys: Set[str]) -> int:
    """How many mistakes there are: what is wrong with a part of a value is wrong with the value, too."""
    return sum(not any(other.startswith(f"{key}.") for other in keys) for key in keys)


def _origin(key: str, where: str, sources: Mapping[str, str]) -> str:
    """The last override of the key, of a part of it or of what it is part of; else the file."""
    related = [
        text
        for source, text in sources.items()
        if f"{key}.".startswith(f"{source}.") or f"{source}.".startswith(f"{key}.")
    ]
    return related[-1] if related else where


def _problem(problem: dict[str, Any], root: type[Config], key: str, classes: tuple[type[Config], ...]) -> str:
    """`classes`: those that may stand at `key`."""
    kinds = [str(kind_of(option)) for option in classes]
    match problem["type"]:
        case "extra_forbidden":
            beside = place(root, problem["loc"][:-1])[1]
            allowed = [name for option in beside for name in option.model_fields]
            return f"no setting {brief(key)}; {advice(str(problem['loc'][-1]), allowed)}"
        case "missing" if isinstance(problem["loc"][-1], int):
            return f"{key.rpartition('.')[0]!r} has too few values"
        case "missing":
            return f"the setting {brief(key)} is missing"
        case "union_tag_invalid":
            tag = problem["ctx"]["tag"]
            return f"'{_inside(key, 'kind')}' is {brief(tag)}, which is unknown; {advice(tag, kinds)}"
        case "union_tag_not_found" if isinstance(problem["input"], Mapping):
            return f"'{_inside(key, 'kind')}' is missing; choose one of {', '.join(kinds)}"
        case _:
            return _wrong_value(problem, key)


def _inside(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _wrong_value(problem: dict[str, Any], key: str) -> str:
    given, context, subject = problem["input"], problem.get("ctx", {}), repr(key) if key else "the file"
    match problem["type"]:
        case "literal_error":
            allowed = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return f"{subject} is {brief(given)}, which is unknown; {advice(str(given), allowed)}"
        case "value_error":
            return f"{key + ': ' if key else ''}{context['error']}"
        case "string_pattern_mismatch":
            return f"{subject} must be letters, digits, '.', '_' and '-', and is {brief(given)}"
        case "too_short":
            return f"{subject} must not be empty"
        case "too_long" | "string_too_long":
            return f"{subject} is too long"
        case kind if kind in _BOUNDS:
            name, words = _BOUNDS[kind]
            return f"{subject} must be {words} {context[name]:g}, and is {brief(given)}"
        case kind if kind.startswith("string"):
            return f"{subject} must be a text, and is {brief(given)}; write it in quotes"
        case kind if expected := _EXPECTED.get(kind.split("_")[0]):
            return f"{subject} must be {expected}, and is {brief(given)}"
        case _:
            return f"{subject} is {brief(given)}: {problem['msg'][:1].lower()}{problem['msg'][1:]}"
