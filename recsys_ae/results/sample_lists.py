"""Lists of a few people of the test part, to look at what a model recommends."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys_ae.data.datasets import item_titles
from recsys_ae.errors import RecsysError
from recsys_ae.models.storage import StoredModel, load_model
from recsys_ae.results.folder import MODEL
from recsys_ae.results.group_figures import history_words
from recsys_ae.results.result import RunResult
from recsys_ae.serving.lists import best_rated, frame_of, recommend

log = logging.getLogger(__name__)
FEW, MANY = 5, 30  # ratings of a user whose history can be looked at
_LENGTH = 5


@dataclass(frozen=True, slots=True)
class SampleList:
    """One user: `history` says of what `liked` are the best, and `listed` is the beginning of the list. Items
    are named by title where there is one."""

    user: str
    history: str
    liked: Sequence[str]
    listed: Sequence[str]


@dataclass(frozen=True, slots=True)
class Samples:
    """`who`: how the users were picked, which no list had a say in."""

    who: str
    lists: Sequence[SampleList]


def sample_lists(run: RunResult, source: object) -> Samples | None:
    """The first, the middle and the last by id of the test users with 5 to 30 ratings that the model may
    read, or, if there are none, of those with any; lists of the stored model of `run`. `source`: of the data,
    for titles. None where there is nobody, or the model cannot be read again."""
    counts = run.report.per_user.get("n_history", np.empty(0))
    some = np.flatnonzero((counts >= FEW) & (counts <= MANY))
    read = history_words(run.report.split_name)
    words = f"{FEW} to {MANY} {read}"
    if not len(some):
        some, words = np.flatnonzero(counts > 0), read
    if not len(some):
        return None
    picked = np.unique(some[[0, len(some) // 2, len(some) - 1]])
    try:
        stored = load_model(run.folder / MODEL)
        lists = _lists(stored, run.report.users[picked], counts[picked], source)
    except (RecsysError, OSError, MemoryError) as error:
        log.warning("no sample lists on the page: %s", error)
        return None
    return Samples(
        f"The first, the middle and the last by id of the {len(some):,} test users with {words}.", lists
    )


def _lists(stored: StoredModel, users: np.ndarray, counts: np.ndarray, source: object) -> list[SampleList]:
    histories, items = stored.histories, stored.recommender.items
    titles = item_titles(source) or {}
    rows = histories.users.positions(users)
    blocks = recommend(stored.recommender, histories, rows=rows, n=_LENGTH)
    listed = frame_of(blocks, users=histories.users, items=items).to_dict("records")
    liked = best_rated(histories, rows, items=items, n=_LENGTH).to_dict("records")
    of_stars = stored.info.get("feedback") == "ratings"
    return [
        SampleList(
            str(user),
            f"Rated highest, of {int(n)}" if of_stars else f"From a history of {int(n)}",
            [
                _named(row, titles) + (f" · {row['rated']:g}" if of_stars else "")
                for row in liked
                if row["user"] == user
            ],
            [_named(row, titles) for row in listed if row["user"] == user],
        )
        for user, n in zip(users.tolist(), counts, strict=True)
    ]


def _named(row: Mapping[Any, Any], titles: Mapping[Any, str]) -> str:
    return str(titles.get(row["item"], row["item"]))
