"""YAML as configs need it: nothing is made of a text but numbers, true, false and null, and nothing grows."""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

import yaml

from recsys_ae.errors import brief

DEEPEST = 50  # levels; a config has a few
MOST_NODES = 100_000  # values, each counted as often as an alias repeats it
LARGEST = 2**63  # of whole numbers


class Broken(ValueError):
    """A document that cannot be read: `problem`, and `mark`, where it is."""

    def __init__(self, problem: str, mark: Any = None) -> None:
        super().__init__(problem)
        self.problem, self.mark = problem, mark


def parse(text: str) -> Any:
    """The document of a YAML text, by the core schema of YAML 1.2: dates, 1:30 and yes are texts, 010 is
    ten. Raises Broken at what is no YAML, a key given twice, a number that no setting takes, and a document
    that is, or that its aliases make, too large."""
    try:
        _check_depth(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MOST_NODES:
            raise Broken(f"has more than {MOST_NODES:,} values; a config has a few dozen", node.start_mark)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise Broken(error.problem or "broken YAML", error.problem_mark or error.context_mark) from None
    except yaml.YAMLError as error:
        raise Broken(f"broken YAML ({str(error).splitlines()[0]})") from None


def _check_depth(text: str) -> None:
    """Raises Broken before the reader of YAML, which calls itself at every level, does that too often."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise Broken("is nested too deep; a config has a few levels", event.start_mark)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node has, and all below it. Raises Broken at one that holds itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = 0
        below = node.value if isinstance(node, yaml.SequenceNode) else chain.from_iterable(node.value)
        known[id(node)] = 1 + sum(_size(part, known) for part in below)
    elif known[id(node)] == 0:
        raise Broken("holds itself by an alias", node.start_mark)
    return known[id(node)]


class _Loader(yaml.SafeLoader):
    """Refuses a key given twice, of which YAML would keep the last in silence."""

    yaml_implicit_resolvers: dict[str, list] = {}  # noqa: RUF012 (filled below)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {brief(key.value)} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            found = super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, OverflowError, LookupError):
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(
                problem=f"{brief(node.value)} is no {kind}", problem_mark=node.start_mark
            ) from None
        if isinstance(found, int) and abs(found) >= LARGEST:
            raise yaml.MarkedYAMLError(
                problem="a whole number has more than 63 bits", problem_mark=node.start_mark
            )
        if isinstance(found, str) and "\0" in found:
            raise yaml.MarkedYAMLError(problem="a text holds a NUL", problem_mark=node.start_mark)
        return found

    def whole_number(self, node: yaml.ScalarNode) -> int:
        """Decimal, whatever zeros it begins with."""
        return int(self.construct_scalar(node))


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", "<<", "<"),
):
    _regexp = re.compile(f"(?:{_pattern})$")
    _firsts = [*_first, ""] if _tag == "null" else list(_first)
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _regexp, _firsts)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)
