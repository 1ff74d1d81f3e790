"""Rules of lists: no list breaks one, and lists are those of a slow reference."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import slow_list, slow_marginal, slow_standard, slow_within
from scipy.sparse import csr_array
from strategies import grid, ratings_of, small_ratings
from toys import Toy, everyone, toy

from recsys_ae.data.histories import Histories
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError, RecsysError
from recsys_ae.recommender import ItemVectors
from recsys_ae.serving.lists import recommend
from recsys_ae.serving.rules import Rules, rules_of
from recsys_ae.settings.load import load_rules


def histories_of(ratings: Ratings) -> Histories:
    return Histories(ratings.users, np.arange(ratings.n_users), ratings.matrix)


def catalogue(n_items: int, n_users: int = 1) -> Ratings:
    """Every user has rated everything."""
    cells = np.arange(n_users * n_items)
    return ratings_of(cells // n_items, cells % n_items, np.ones(len(cells)))


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
    """Of some of the items, and at times one that is not there, in any order, with gaps."""
    some = st.lists(st.sampled_from(ratings.items.ids.tolist()), unique=True, min_size=1)
    ids = [*draw(some), *draw(st.sampled_from([[], ["999999"]]))]
    ids = draw(st.permutations(ids))

    def column(values) -> list:
        return draw(st.lists(st.sampled_from(values), min_size=len(ids), max_size=len(ids)))

    return pd.DataFrame(
        {
            "item": pd.Series(ids, dtype=object),
            "genre": pd.Series(column(["a", "b", None]), dtype=object),
            "year": pd.Series(column([1.0, 2.0, 3.0, None]), dtype="float64"),
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


def by_id(table: pd.DataFrame, ratings: Ratings, column: str) -> list:
    """Of each item of the ratings, None where nothing is said."""
    said = {
        str(id): None if pd.isna(value) else value
        for id, value in zip(table.item, table[column], strict=True)
    }
    return [said.get(str(id)) for id in ratings.items.ids.tolist()]


@given(ratings=small_ratings(max_items=12), n=st.integers(1, 8), most=st.integers(1, 3), data=st.data())
def test_categories_are_held_to_their_limit_by_taking_the_best(ratings, n, most, data):
    table, model = data.draw(tables(ratings)), toy(ratings)
    rules = ruled(ratings, model, items=table, at_most={"column": "genre", "n": most})
    genres, scores = by_id(table, ratings, "genre"), model.score(everyone(ratings))
    expected = [
        slow_within(slow_list(scores[user], seen_by(ratings, user), len(genres)), genres, most, n)
        for user in range(ratings.n_users)
    ]
    assert lists_of(ratings, model, rules, n) == expected


@pytest.mark.parametrize("n_genres", [2, 7])
def test_as_many_candidates_are_looked_at_as_it_takes(n_genres):
    """The best 300 items are of one category; some lists are full after few, some never."""
    ratings = catalogue(400, n_users=70)
    rng = np.random.default_rng(0)
    table = np.concatenate([500 + rng.random((71, 300)), rng.random((71, 100))], axis=1).astype(np.float32)
    table[:20, 350:] += 1000
    model = Toy(ratings.users, ratings.items, table)
    genres = [0] * 300 + [k % n_genres for k in range(100)]
    frame = pd.DataFrame({"id": ratings.items.ids, "genre": genres})
    rules = ruled(ratings, model, items=frame, at_most={"column": "genre", "n": 2})
    scores = model.score(everyone(ratings))
    expected = [slow_within(slow_list(scores[user], (), 400), genres, 2, 9) for user in range(70)]
    assert {len(found) for found in expected} == {min(9, 2 * n_genres)}
    assert lists_of(ratings, model, rules, 9, seen=True) == expected


@given(
    ratings=small_ratings(max_items=12), n=st.integers(1, 8), weight=st.sampled_from([-2.0, 0.3, 1.0, 50.0]),
    data=st.data(),
)  # fmt: skip
def test_boosts_are_standard_deviations_of_the_column_and_of_the_scores(ratings, n, weight, data):
    table, model = data.draw(tables(ratings)), toy(ratings)
    rules = ruled(ratings, model, items=table, boost={"column": "year", "weight": weight})
    years, scores = by_id(table, ratings, "year"), model.score(everyone(ratings))
    known = [item for item, year in enumerate(years) if year is not None]
    boosts = dict(zip(known, slow_standard([years[item] for item in known]), strict=True))
    for user, found in enumerate(lists_of(ratings, model, rules, n)):
        left = [item for item in range(ratings.n_items) if item not in seen_by(ratings, user)]
        standard = slow_standard([float(scores[user, item]) for item in left])
        value = {
            item: each + weight * boosts.get(item, 0.0) for item, each in zip(left, standard, strict=True)
        }
        best = sorted(left, key=lambda item: (-round(value[item], 4), item))[:n]
        assert [value[item] for item in found] == pytest.approx([value[item] for item in best], abs=1e-4)
        assert len(set(found)) == len(found)


def test_boosts_mean_the_same_in_any_units():
    ratings = grid()
    frame = pd.DataFrame({"item": ratings.items.ids, "margin": np.arange(15.0) ** 2 % 7})
    model = toy(ratings)
    expected = lists_of(
        ratings, model, ruled(ratings, model, items=frame, boost={"column": "margin", "weight": 0.7}), 5
    )
    frame["margin"] = 1024 * frame.margin - 4096
    for factor, shift in ((64.0, 0.0), (1 / 64, 8.0)):
        other = Toy(model.users, model.items, (model.table * factor + shift).astype(np.float32))
        other.table[...] += np.diff(ratings.matrix.indptr, append=0)[:, None] * np.float32(factor - 1)
        rules = ruled(ratings, other, items=frame, boost={"column": "margin", "weight": 0.7})
        assert lists_of(ratings, other, rules, 5) == expected
    assert expected != lists_of(ratings, model, Rules(), 5)


@dataclass(frozen=True, slots=True, eq=False)
class Comparing(Toy):
    """A toy that has learnt a vector of every item."""

    vectors: ItemVectors = field(default_factory=lambda: ItemVectors(np.zeros((0, 0))))

    def item_vectors(self) -> ItemVectors:
        return self.vectors


def comparing(model: Toy, matrix, own=None) -> Comparing:
    return Comparing(model.users, model.items, model.table, vectors=ItemVectors(matrix, own))


@given(
    ratings=small_ratings(max_items=12), n=st.integers(1, 4), weight=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    kind=st.sampled_from(["dense", "sparse", "own", "sparse own"]), data=st.data(),
)  # fmt: skip
def test_diversity_is_maximal_marginal_relevance(ratings, n, weight, kind, data):
    """Every item is one of those that are greatest, up to rounding, after those before it."""
    n_items = ratings.n_items
    width = n_items if "own" in kind else 3
    cells = st.lists(st.integers(-2, 2), min_size=n_items * width, max_size=n_items * width)
    matrix = np.array(data.draw(cells), dtype=np.float32).reshape(n_items, width)
    own = None
    if "own" in kind:
        np.fill_diagonal(matrix, 0)
        own = np.abs(matrix).max(axis=0)
    model = comparing(toy(ratings), csr_array(matrix) if "sparse" in kind else matrix, own)
    vectors = (matrix if own is None else matrix + np.diag(own)).astype(float).tolist()
    asked = {"diversity": weight}
    categories = [None] * n_items
    if data.draw(st.booleans()):
        table = data.draw(tables(ratings))
        asked |= {"items": table, "at_most": {"column": "genre", "n": 1}}
        categories = by_id(table, ratings, "genre")
    scores = model.score(everyone(ratings))
    for user, found in enumerate(lists_of(ratings, model, ruled(ratings, model, **asked), n)):
        order = slow_list(scores[user], seen_by(ratings, user), n_items)
        candidates = slow_within(order, categories, 1, 10 * n)
        assert len(found) == min(n, len(candidates))
        assert set(found) <= set(candidates)
        if found:
            _check_marginal(found, candidates, scores[user].tolist(), vectors, weight)


def _check_marginal(found, candidates, scores, vectors, weight):
    steps = slow_marginal(candidates, [scores[item] for item in candidates], vectors, weight, len(found))
    assert found[0] == steps[0][0]  # by score alone
    for step, (best, values) in enumerate(steps):
        if found[step] != best:
            assert values[found[step]] == pytest.approx(values[best], abs=1e-6)
            return  # what follows depends on it


def test_diversity_by_hand():
    """Items 0, 1 and 2 are the same, 3 is another, which comes the sooner the greater the weight."""
    ratings = catalogue(4)
    scores = np.array([[4.0, 3.0, 2.0, 1.0], [0, 0, 0, 0]], dtype=np.float32)
    vectors = np.array([[1, 0], [2, 0], [3, 0], [0, 1]], dtype=np.float32)
    model = comparing(Toy(ratings.users, ratings.items, scores), vectors)

    def top(**asked) -> list[int]:
        return lists_of(ratings, model, ruled(ratings, model, **asked), 4, seen=True)[0]

    assert top(diversity=0.0) == [0, 1, 2, 3]
    assert top(diversity=0.2) == [0, 1, 2, 3]  # 0.8 · 1/3 - 0.2 > 0
    assert top(diversity=0.35) == [0, 1, 3, 2]  # 0.65 · 2/3 - 0.35 > 0 > 0.65 · 1/3 - 0.35
    assert top(diversity=0.45) == [0, 3, 1, 2]  # 0.55 · 2/3 - 0.45 < 0
    assert top(diversity=1.0) == [0, 3, 1, 2]


def test_candidates_for_diversity_are_the_best_ten_for_each_place():
    ratings = catalogue(40)
    scores = np.vstack([np.arange(40, 0, -1), np.zeros(40)]).astype(np.float32)
    vectors = np.ones((40, 2), dtype=np.float32)
    vectors[19:] = [1, -1]
    model = comparing(Toy(ratings.users, ratings.items, scores), vectors)
    rules = ruled(ratings, model, diversity=0.9)
    assert lists_of(ratings, model, rules, 2, seen=True) == [[0, 19]]
    assert lists_of(ratings, model, rules, 1, seen=True) == [[0]]
    vectors[19] = 1
    assert lists_of(ratings, model, rules, 2, seen=True) == [[0, 1]]  # item 20 is no candidate


ODD = {
    "is a table": ({"only": pd.DataFrame({"a": [1]})}, "only: must be a list of ids or the path of a file"),
    "is true": ({"only": [True]}, "True is no id of a user or an item"),
    "lists as ids": (
        {"items": pd.DataFrame({"item": [[1], [2]], "y": [1, 2]}), "where": "y > 0"},
        "the table: item holds no ids",
    ),
    "a column twice": (
        {"items": pd.DataFrame([[1, 2, 3]], columns=["item", "y", "y"]), "where": "y > 0"},
        "the table: names a column twice",
    ),
    "lists as categories": (
        {"items": pd.DataFrame({"item": [1, 2], "g": [["a"], ["b"]]}), "at_most": {"column": "g", "n": 1}},
        "has several values of an item in 'g'",
    ),
    "infinite boosts": (
        {"items": pd.DataFrame({"item": [1, 2], "y": [1, np.inf]}), "boost": {"column": "y", "weight": 1}},
        "has an infinite number in 'y'",
    ),
    "no path": (7, "rules are a mapping or the path of a YAML file, not 7"),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_values_in_memory_are_refused(case):
    given_rules, sentence = ODD[case]
    ratings = grid()
    read = histories_of(ratings)
    with pytest.raises(RecsysError) as raised:
        rules_of(load_rules(given_rules), toy(ratings), read, read)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_has_no_value_is_of_no_category_and_gets_no_boost():
    ratings = catalogue(6)
    model = Toy(ratings.users, ratings.items, np.array([[6, 5, 4, 3, 2, 1], [0] * 6], dtype=np.float32))
    table = pd.DataFrame({"item": [0, 1, 2], "g": ["a", "a", None], "same": [0.1, 0.1, 0.1]})

    def top(**asked) -> list[int]:
        return lists_of(ratings, model, ruled(ratings, model, items=table, **asked), 6, seen=True)[0]

    assert top(at_most={"column": "g", "n": 1}) == [0, 2, 3, 4, 5]
    assert top(boost={"column": "same", "weight": 9}) == [0, 1, 2, 3, 4, 5]
