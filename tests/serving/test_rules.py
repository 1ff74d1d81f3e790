"""Rules of lists: no list breaks one, and lists are those of a slow reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import slow_list
from strategies import small_ratings
from toys import Toy, everyone, toy

from recsys_ae.data.histories import Histories
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.serving.lists import recommend
from recsys_ae.serving.rules import Rules, rules_of
from recsys_ae.settings.load import load_rules


def histories_of(ratings: Ratings) -> Histories:
    return Histories(ratings.users, np.arange(ratings.n_users), ratings.matrix)


def ruled(ratings: Ratings, model: Toy | None = None, **asked) -> Rules:
    read = histories_of(ratings)
    return rules_of(load_rules(asked), model or toy(ratings), read, read)


def lists_of(ratings: Ratings, model: Toy, rules: Rules, n: int, *, seen: bool = False) -> list[list[int]]:
    """Positions, checked to have the scores of the model."""
    blocks = list(
        recommend(model, histories_of(ratings), n=n, exclude_seen=not seen, rules=rules, batch_size=3)
    )
    found, scores = [], model.score(everyone(ratings))
    for block in blocks:
        for user, items, values in zip(block.rows, block.top.items, block.top.scores, strict=True):
            kept = items[items >= 0]
            assert (items[len(kept) :] == -1).all()
            assert values[: len(kept)].tolist() == scores[user, kept].tolist()
            assert np.isneginf(values[len(kept) :]).all()
            found.append(kept.tolist())
    return found


def seen_by(ratings: Ratings, user: int) -> set[int]:
    return set(ratings.matrix.indices[ratings.matrix.indptr[user] : ratings.matrix.indptr[user + 1]].tolist())


@st.composite
def tables(draw, ratings: Ratings) -> pd.DataFrame:
    """Of some of the items and some that are not there, in any order, with gaps."""
    places = draw(st.lists(st.integers(0, ratings.n_items - 1), unique=True, min_size=1))
    genres = draw(st.lists(st.sampled_from(["a", "b", None]), min_size=len(places), max_size=len(places)))
    years = draw(st.lists(st.sampled_from([1.0, 2.0, 3.0, None]), min_size=len(places), max_size=len(places)))
    return pd.DataFrame(
        {
            "item": [*ratings.items.ids[places].tolist(), *draw(st.sampled_from([[], ["999999"]]))][
                : len(places)
            ],
            "genre": pd.Series(genres, dtype=object),
            "year": pd.Series(years, dtype="float64"),
        }
    )


@given(ratings=small_ratings(), n=st.integers(1, 8), seen=st.booleans(), data=st.data())
def test_filters_leave_what_a_slow_reference_leaves(ratings, n, seen, data):
    ids, users = ratings.items.ids.tolist(), ratings.users.ids.tolist()
    some = st.lists(st.sampled_from(ids), min_size=1, max_size=len(ids))
    table = data.draw(tables(ratings))
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(users), st.sampled_from(ids)), min_size=1))
    every = {
        "only": data.draw(some),
        "without": data.draw(some),
        "min_ratings": data.draw(st.integers(0, 3)),
        "exclude": pd.DataFrame(pairs, columns=["user", "item"]),
        "where": "year >= 2",
    }
    asked = {name: every[name] for name in data.draw(st.sets(st.sampled_from(sorted(every))))}
    asked |= {"items": table} if "where" in asked else {}
    year = dict(zip(table.item.tolist(), table.year.tolist(), strict=True))

    def passes(item: int) -> bool:
        id, raters = ids[item], (ratings.columns == item).sum()
        return (
            id in asked.get("only", ids)
            and id not in asked.get("without", [])
            and raters >= asked.get("min_ratings", 0)
            and ("where" not in asked or year.get(id, 0) >= 2)
        )

    left = {item for item in range(ratings.n_items) if passes(item)}
    model = toy(ratings)
    if not left:
        with pytest.raises(DataError, match="no item passes the rules"):
            ruled(ratings, model, **asked)
        return
    scores, expected = model.score(everyone(ratings)), []
    for user in range(ratings.n_users):
        out = set(range(ratings.n_items)) - left
        out |= set() if seen else seen_by(ratings, user)
        if "exclude" in asked:
            out |= {ids.index(item) for who, item in pairs if who == users[user]}
        expected.append(slow_list(scores[user], out, n))
    assert lists_of(ratings, model, ruled(ratings, model, **asked), n, seen=seen) == expected
