"""People whom a model has never seen, by what they rated: from what somebody typed to histories."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.configs import Feedback
from recsys_ae.data.histories import Histories
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.data.schema import outside
from recsys_ae.errors import DataError, UnknownIdError, brief
from recsys_ae.serving.asked import ids_of

COLUMNS = ("user", "item", "rating")
_FORM = 'give {"item": [...], "rating": [...]}, and "user" too where there are several people'
log = logging.getLogger(__name__)


def histories_of(
    given: Any,
    items: IdMap,
    *,
    feedback: Feedback,
    scale: tuple[float, float] | None = None,
    known: tuple[float, float] | None = None,
) -> Histories:
    """The histories of new people on the `items` of a model, all at position -1, in the order of their ids.

    `given`: a mapping or a table with the columns item, rating and, where there are several people, user;
    without it there is one, who may have rated nothing. Ratings of events may be left out. `feedback`: what
    the model was trained on; of ratings `scale` is the one that was declared, outside which there is none,
    and `known` the range of those of the training, outside which is a warning. Items that the model does not
    know are left out, with a warning that names the first of them.

    Raises DataError for other columns, an item twice, and values that do not hold; UnknownIdError where the
    model knows none of the items.
    """
    users, names, values = _columns(given, feedback)
    pairs = zip(map(str, users), map(str, names), strict=True)  # 1 and "1" are one id
    if twice := [pair for pair, n in Counter(pairs).items() if n > 1]:
        raise DataError(f"item {brief(twice[0][1])} is there twice; give each item one rating")
    if not names:
        return _of_nobody(len(items), n_people=0 if "user" in column_names(given) else 1)
    ratings = Ratings.from_triples(
        users,
        names,
        values,
        scale=scale if feedback == "ratings" else None,
        feedback=feedback,
        where=lambda row: f"item {brief(names[row])}",
    )
    if feedback == "ratings" and known is not None and (n := int(outside(ratings.values, known).sum())):
        log.warning(
            "%d of %d ratings lie outside those of the training, %g to %g", n, len(names), known[0], known[1]
        )
    nobody = IdMap(np.empty(0, dtype=np.int64))
    found = Histories.of(ratings, users=nobody, items=items)
    if found.n_unknown_items:
        _tell_unknown(names, items)
    return found


def _of_nobody(n_items: int, *, n_people: int) -> Histories:
    """People who have rated nothing."""
    if n_people:
        log.warning("nothing is known of whom has rated nothing: the lists are those for anybody")
    nothing = csr_array((n_people, n_items), dtype=np.float32)
    return Histories(IdMap(np.arange(n_people)), np.full(n_people, -1), nothing)


def column_names(given: Any) -> list[Any]:
    """Of a mapping or a table (pandas, polars, Arrow); none of anything else."""
    if isinstance(given, Mapping):
        return list(given)
    return list(given.column_names if hasattr(given, "column_names") else getattr(given, "columns", ()))


def _columns(given: Any, feedback: Feedback) -> tuple[list[str | int], list[str | int], np.ndarray]:
    """Users, items and values of as many ratings."""
    known = column_names(given)
    if "item" not in known:
        raise DataError(f"new people are known by what they rated, and this is {brief(given)}; {_FORM}")
    if strange := [name for name in known if name not in COLUMNS]:
        raise DataError(f"there is no place for {brief(strange[0])} among what new people rated; {_FORM}")
    names = ids_of(given["item"], "item")
    users: list[str | int] = [0] * len(names)
    if "user" in known:
        users = ids_of(given["user"], "user")
    if "rating" in known:
        values = np.atleast_1d(np.asarray(given["rating"]))
        if values.ndim > 1:
            raise DataError(f"the ratings have {values.ndim} dimensions; give each item one rating")
    elif feedback == "events":
        values = np.ones(len(names))
    else:
        raise DataError(f"the model was trained on {feedback}, and these items have none; {_FORM}")
    if not len(users) == len(names) == len(values):
        people = f"{len(users)} users, " if "user" in known else ""
        raise DataError(f"{people}{len(names)} items and {len(values)} ratings are not as many; {_FORM}")
    return users, names, values


def _tell_unknown(names: list[str | int], items: IdMap) -> None:
    """Raises UnknownIdError where all are unknown."""
    places = items.positions(names, missing="negative")
    unknown = [name for name, place in zip(names, places, strict=True) if place < 0]
    shown = ", ".join(map(brief, unknown[:3])) + (", …" if len(unknown) > 3 else "")
    if len(unknown) == len(names):
        raise UnknownIdError(f"the model knows none of these items: {shown}; name items of its training")
    log.warning("%d of %d items are unknown to the model and left out: %s", len(unknown), len(names), shown)
