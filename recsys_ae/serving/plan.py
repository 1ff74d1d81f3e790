"""What a folder of lists is to hold: everything that decides its bytes, written down before the lists."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys_ae.errors import StorageError, brief
from recsys_ae.files import replaced
from recsys_ae.seals import read_sealed, write_sealed

PLAN = ".plan.json"  # there until the manifest is, and hidden from whoever reads the folder as a table
FORMAT = 1  # raised when older programs could no longer go on with, or check, what newer ones write
_DECIDES = ("model", "histories", "users", "settings", "versions")
_RULES = "settings.rules"
_OF_FILES = {
    "allowed": "the items that pass the rules",
    "excluded": "the items excluded for users",
    "categories": "the categories of the items",
    "boosts": "the boosts of the items",
}
# Names of what its fingerprint decides.
_TOLD = (
    "model.asked",
    "model.uri",
    *(f"{_RULES}.{name}" for name in ("only", "without", "exclude", "items")),
)
_BY_MACHINE = "versions."  # what cannot change lists that are whole
ADVICE = "remove the folder and make the lists again, or choose another"


@dataclass(frozen=True, slots=True)
class Plan:
    """Of what the lists of a folder are made; JSON values.

    `model`: what was asked for, its address, kind and fingerprint. `histories`: fingerprint and counts of
    what is read of the users. `users`: how many and which get lists. `settings`: of the lists, and into what
    blocks and shards users are divided. `versions`: of the programs.
    """

    model: Mapping[str, Any]
    histories: Mapping[str, Any]
    users: Mapping[str, Any]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        return {"format": FORMAT, **{name: dict(getattr(self, name)) for name in _DECIDES}}

    def fingerprint(self) -> str:
        """32 hex digits of all that decides the lists."""
        text = json.dumps(dict(self._decisions()), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def differences(self, other: Plan, *, finished: bool) -> list[str]:
        """What decides the lists and is not the same in another plan, as in "n is 10 there and 20 here", from
        what people know best to what they know least. Lists that are `finished` may be those of other
        versions."""
        own, others = dict(self._decisions()), dict(other._decisions())
        names = [*own, *(name for name in others if name not in own)]
        ranked = sorted(
            names,
            key=lambda name: (
                name.startswith(_BY_MACHINE),
                name.endswith(("fingerprint", "popularity", *_OF_FILES)),
            ),
        )
        return [
            _difference(name, own.get(name), others.get(name))
            for name in ranked
            if own.get(name) != others.get(name) and not (finished and name.startswith(_BY_MACHINE))
        ]

    def _decisions(self) -> Iterator[tuple[str, Any]]:
        """Dotted names and values."""
        for part in _DECIDES:
            for name, value in getattr(self, part).items():
                known = f"{part}.{name}"
                inner = value if known == _RULES and isinstance(value, Mapping) else None
                named = {known: value} if inner is None else {f"{known}.{key}": inner[key] for key in inner}
                yield from ((key, each) for key, each in named.items() if key not in _TOLD)


def _difference(name: str, own: Any, other: Any) -> str:
    part, _, key = name.partition(".")
    if key == "fingerprint":
        return {"model": "the model is another", "histories": "the ratings of the users are others"}.get(
            part, "the users are others"
        )
    called = {"settings": key, "versions": f"the version of {key}"}.get(part, f"the number of {key}")
    if name == "settings.popularity":
        return "the popularity of the items is another"
    if name == "model.kind":
        called = "the kind of model"
    if name.startswith(_RULES) and (what := _OF_FILES.get(name.rpartition(".")[2])):
        return f"{what} are others"
    return f"{called} is {_shown(own)} there and {_shown(other)} here"


def _shown(value: Any) -> str:
    if value is None:
        return "not given"
    return brief(value) if not isinstance(value, str) or not value.isprintable() else value


def write_plan(folder: Path, plan: Plan) -> None:
    """Raises StorageError where it cannot be written."""
    with replaced(folder / PLAN) as temporary:
        write_sealed(temporary, plan.document())


def read_document(path: Path) -> dict[str, Any]:
    """A document of a folder of lists. Raises StorageError where it is damaged, none of these, or newer than
    this program."""
    try:
        document = read_sealed(path, advice=ADVICE)
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path}: cannot be read ({error}); {ADVICE}") from error
    number = document.get("format") if isinstance(document, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise StorageError(f"{path}: does not describe lists; {ADVICE}")
    if number > FORMAT:
        raise StorageError(
            f"{path}: has format {number}, and this program reads up to {FORMAT}; upgrade recsys-ae"
        )
    return document


def plan_in(path: Path, document: Mapping[str, Any]) -> Plan:
    """The plan in a document. Raises StorageError where something of it is missing."""
    parts = {name: document.get(name) for name in _DECIDES}
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise StorageError(f"{path}: says nothing of {name!r}, so it describes no lists; {ADVICE}")
    return Plan(**parts)  # type: ignore[arg-type]
