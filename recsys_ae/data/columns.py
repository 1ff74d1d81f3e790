"""Which column of a file is what, and what its values mean: said, never guessed in silence."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recsys_ae.data.configs import ColumnsConfig, Feedback
from recsys_ae.data.names import COUNT_NAMES, USUAL_NAMES, could_rate, is_taken, plain
from recsys_ae.errors import DataError, brief

# index: numbers, each one more than that before; nearly: most are numbers, or texts or booleans mean them
Holds = Literal["numbers", "index", "nearly", "else"]

ROLES = ("user", "item", "rating", "timestamp")  # also the order of the columns of files without a header

MOST_RATINGS = 20  # different whole numbers that are taken for ratings without a name that says so


@dataclass(frozen=True, slots=True)
class Reading:
    """What the columns of a file are read as. `places`: role -> place among `names`; no rating where
    `feedback` is events. `format`: of the file."""

    names: tuple[str, ...]
    places: dict[str, int]
    feedback: Feedback
    format: str = ""
    has_header: bool = True

    @property
    def columns(self) -> dict[str, str]:
        """Role -> name of its column."""
        return {role: self.names[place] for role, place in self.places.items()}

    @property
    def ignored(self) -> tuple[str, ...]:
        """Names of the columns that are not read."""
        return tuple(name for place, name in enumerate(self.names) if place not in self.places.values())

    def sentence(self, source: object, n_rows: int) -> str:
        """What was read as what, and what was not."""
        values = self.columns.get("rating")
        if values is not None:
            what = f"{n_rows:,} {self.feedback} from {brief(values)}"
        else:
            what = f"{n_rows:,} events (each row counts 1; no column is read as ratings)"
        others = [f"{role} from {brief(name)}" for role, name in self.columns.items() if role != "rating"]
        text = f"{source} ({self.format}): {', '.join([what, *others])}"
        if not self.has_header:
            text += "; no header: columns by their places"
        return f"{text}; ignored: {', '.join(map(brief, self.ignored[:20]))}" if self.ignored else text

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "columns": self.columns,
            "ignored": list(self.ignored),
            "feedback": self.feedback,
        }


def read_as(
    names: Sequence[str],
    columns: ColumnsConfig,
    feedback: Feedback | None,
    path: object,
    *,
    holds: Callable[[int], Holds],
    format: str = "",
    has_header: bool = True,
) -> Reading:
    """What the columns called `names` are. `holds`: what the column at a place holds.

    Raises DataError where a named or needed column is missing, where two could be meant, and, with `feedback`
    None, where a column may hold ratings or counts and its name does not say which, or has no name.
    """
    claimed = _claimed(columns, path)
    places = {}
    for role in ("user", "item", "timestamp"):
        found = _place(names, role, claimed.get(role), path, claimed=claimed.values())
        if found is not None:
            places[role] = found
        elif role != "timestamp":
            raise DataError(_missing(names, role, path))
    others = [
        place for place in range(len(names)) if place not in places.values() and not is_taken(names[place])
    ]
    is_said = columns.rating is not None or feedback == "events"
    rating, feedback = _values(names, others, columns.rating, feedback, path, holds)
    if rating is not None:
        places["rating"] = rating
    if not is_said:
        _check_named(names, rating, path, holds)
    ordered = {role: places[role] for role in ROLES if role in places}
    return Reading(tuple(names), ordered, feedback, format, has_header)


def check_decided(values: np.ndarray, path: object) -> None:
    """Raises DataError where values that have no name may be counts as well as ratings: whole numbers of
    which none is negative and more than `MOST_RATINGS` are different."""
    if not len(values) or not ((values >= 0) & (values == np.floor(values))).all():
        return
    if (n := len(np.unique(values))) > MOST_RATINGS:
        raise DataError(
            f"{path}: its values, {n:,} different whole numbers from {values.min():g} to {values.max():g}, "
            "may be ratings or counts; say which with --set data.feedback=counts or --set "
            "data.feedback=ratings"
        )


def _claimed(columns: ColumnsConfig, path: object) -> dict[str, str]:
    """Role -> the name that was given for it, "" for one that is not to be read. Raises DataError where two
    roles claim a column."""
    given = {role: name for role in ROLES if (name := getattr(columns, role)) is not None}
    for role, name in given.items():
        if others := [other for other in given if name and other != role and given[other] == name]:
            raise DataError(
                f"{path}: columns.{role} and columns.{others[0]} both name {name!r}; a column has one role"
            )
    return given


def names_users_and_items(fields: Sequence[str], columns: ColumnsConfig) -> bool:
    """Whether a first line names columns rather than being a rating."""
    try:
        for role in ("user", "item"):
            if _place(fields, role, getattr(columns, role), "") is None:
                return False
    except DataError:
        return False
    return True


def _place(
    names: Sequence[str], role: str, wanted: str | None, path: object, claimed: Collection[str] = ()
) -> int | None:
    """Of the column with a role; None where there is none, or where `wanted` is "". Without a `wanted` one
    the usual names are looked for, but for those that are `claimed` for another role."""
    if wanted == "":
        return None
    if wanted is not None:
        places = [place for place, name in enumerate(names) if name == wanted]
        if not places:
            raise DataError(_not_there(names, role, wanted, path))
    else:
        free = ["" if name in claimed else name for name in names]
        tiers = (_called(free, usual) for usual in USUAL_NAMES[role])
        places = next((found for found in tiers if found), [])
    return _only(places, names, role, path)


def _values(
    names: Sequence[str],
    others: list[int],
    wanted: str | None,
    feedback: Feedback | None,
    path: object,
    holds: Callable[[int], Holds],
) -> tuple[int | None, Feedback]:
    """Where the ratings or counts stand, if anywhere, and what they are."""
    if wanted == "" or feedback == "events":
        return None, "events"
    if wanted is not None:
        place = _place(names, "rating", wanted, path)
        assert place is not None
        if feedback is None and plain(wanted) in COUNT_NAMES:
            raise DataError(_undecided(names, [place], path))
        return place, feedback or "ratings"
    usual = ([place for place in _called(names, tier) if place in others] for tier in USUAL_NAMES["rating"])
    rated = next((found for found in usual if found), [])
    counted = [place for place in others if plain(names[place]) in COUNT_NAMES]
    if feedback is None:
        if rated:
            return _only(rated, names, "rating", path), "ratings"
        possible = counted or [
            place for place in others if could_rate(names[place]) and holds(place) != "else"
        ]
        if possible:
            raise DataError(_undecided(names, possible, path))
        return None, "events"
    numbers = [place for place in others if could_rate(names[place]) and holds(place) in ("numbers", "index")]
    found = (counted or rated or numbers) if feedback == "counts" else (rated or counted or numbers)
    if not found:
        raise DataError(
            f"{path}: there is no column of {feedback} among {_listed(names)}; name it with "
            "columns.rating, or set feedback to events"
        )
    return _only(found, names, "rating", path), feedback


def _check_named(
    names: Sequence[str], rating: int | None, path: object, holds: Callable[[int], Holds]
) -> None:
    """Raises DataError at a column without a name, which may hold the ratings. The first may be the index of
    a table: where the ratings are another, or it counts up or holds texts."""
    unnamed = [place for place, name in enumerate(names) if not name.strip()]
    if unnamed[:1] == [0] and (rating is not None or holds(0) in ("index", "else")):
        del unnamed[0]
    if unnamed:
        raise DataError(
            f"{path}: column {unnamed[0] + 1} of {len(names)} has no name; give it one, or say where the "
            "ratings are with --set data.columns.rating=…, or that there are none with --set "
            "data.feedback=events"
        )


def _only(places: list[int], names: Sequence[str], role: str, path: object) -> int | None:
    if len(places) > 1:
        could = [brief(names[place]) for place in places]
        differ = len(set(could)) == len(could)
        advice = f"choose one with columns.{role}" if differ else "rename one of them"
        raise DataError(f"{path}: the columns {', '.join(could)} could all hold the {role}; {advice}")
    return places[0] if places else None


def _called(names: Sequence[str], usual: frozenset[str]) -> list[int]:
    return [place for place, name in enumerate(names) if plain(name) in usual]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(brief(name) for name in names[:20]) + (", …" if len(names) > 20 else "")


def _not_there(names: Sequence[str], role: str, wanted: str, path: object) -> str:
    return (
        f"{path}: no column {brief(wanted)} for the {role}; its columns are {_listed(names)}: name one with "
        f"columns.{role}"
    )


def _missing(names: Sequence[str], role: str, path: object) -> str:
    if not names:
        return f"{path}: has no columns; give a table of users, items and ratings"
    nothing = not any(_called(names, tier) for tiers in USUAL_NAMES.values() for tier in tiers)
    header = ", or set header to false where that is a rating already" if nothing else ""
    return (
        f"{path}: no column that is usually called {role} for the {role}; its columns are {_listed(names)}: "
        f"name one with columns.{role}{header}"
    )


def _undecided(names: Sequence[str], places: list[int], path: object) -> str:
    """The sentence on columns that may hold ratings or counts, with what to set."""
    could = " and ".join(brief(names[place]) for place in places[:20])
    named = shlex.quote(f"data.columns.rating={names[places[0]]}")
    kind = "counts" if plain(names[places[0]]) in COUNT_NAMES else "ratings"
    return (
        f"{path}: {could} may hold ratings or counts; say which with --set {named} --set "
        f"data.feedback={kind} (ratings or counts), or read each row as an event with --set "
        "data.feedback=events"
    )
