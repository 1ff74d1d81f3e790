"""No model is tested on what it has learnt without a word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from strategies import grid
from synthetic import low_rank
from toys import splits, toy

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.evaluation.contamination import SEEN, Training, evaluate_unless_seen
from recsys_ae.evaluation.evaluator import evaluate
from recsys_ae.splitting.configs import AllSplitConfig, RandomSplitConfig, UsersSplitConfig
from recsys_ae.splitting.make import make_split
from recsys_ae.splitting.split import Split

RATINGS = low_rank(30, 20, density=0.4, seed=2)


def pairs(ratings: Ratings) -> set[tuple[str, str]]:
    """As text: an id finds itself, whether it was read as a number or as text."""
    users, items = ratings.users.ids[ratings.rows()], ratings.items.ids[ratings.columns]
    return set(zip(map(str, users), map(str, items), strict=True))


@given(splits(), splits())
def test_seen_ratings_are_counted_by_user_and_item(trained_on: Split, asked: Split):
    """Of whatever ids the two are, in whatever order."""
    expected = pairs(trained_on.train) & pairs(asked.holdout)
    assert Training.of(trained_on).n_seen(asked.holdout) == len(expected)


@pytest.mark.parametrize("seed", range(5))
def test_users_and_items_that_the_model_does_not_know_match_nothing(seed):
    """Nor the last item of the user before."""
    rng = np.random.default_rng(seed)
    known, asked = (random_ratings(rng, highest) for highest in (6, 9))
    split = Split(known, known, known.keep(known.values < 0), AllSplitConfig(), 0, "of the ratings")
    expected = pairs(known) & pairs(asked)
    assert 0 < len(expected) < asked.n_observed
    assert Training.of(split).n_seen(asked) == len(expected)


def random_ratings(rng: np.random.Generator, highest: int) -> Ratings:
    """Two thirds of the cells of as many users and items, some of which nobody has rated."""
    users, items = np.nonzero(rng.random((highest, highest)) < 0.66)
    return Ratings.from_triples(users * 2 % highest, items, np.ones(len(users)), duplicates="last")


@given(splits())
def test_own_split_of_a_model_is_clean(split: Split):
    assert Training.of(split).status_for(split) == ("clean", 0)


def test_ratings_of_users_who_were_only_read_are_not_learnt():
    """A split of users lets a model read their fold-in ratings, which taught it nothing."""
    split = make_split(UsersSplitConfig(test_share=0.4), RATINGS, 0)
    read_only = replace(split, fold_in=split.train.keep(split.train.values < 0), holdout=split.fold_in)
    assert read_only.holdout.n_observed > 0
    assert Training.of(split).status_for(read_only) == ("clean", 0)
    learnt = replace(read_only, train=split.holdout, holdout=split.train)
    assert Training.of(split).status_for(learnt) == ("contaminated", split.train.n_observed)


def test_ids_as_text_find_ids_as_numbers():
    split = make_split(RandomSplitConfig(), RATINGS, 0)
    training = Training.of(split)
    texts = [
        IdMap(np.array(sorted(str(i) for i in ids.ids), dtype=object))
        for ids in (RATINGS.users, RATINGS.items)
    ]
    order = [ids.positions(texts[n].ids) for n, ids in enumerate((RATINGS.users, RATINGS.items))]
    matrix = split.train.matrix[order[0]][:, order[1]].tocsr()
    matrix.sort_indices()
    renamed = Ratings(matrix, *texts)
    assert training.n_seen(renamed) == split.train.n_observed


@pytest.fixture
def training() -> Training:
    return Training.of(make_split(RandomSplitConfig(test_share=0.3), RATINGS, 0))


def test_another_split_is_refused_with_the_count_unless_wanted_anyway(training):
    other = make_split(RandomSplitConfig(test_share=0.3), RATINGS, 1)
    n_seen = training.n_seen(other.holdout)
    assert 0 < n_seen < other.holdout.n_observed
    model = toy(RATINGS)
    with pytest.raises(DataError, match=f"^{n_seen} of {other.holdout.n_observed} holdout ratings .*anyway"):
        evaluate_unless_seen(model, other, training)
    report = evaluate_unless_seen(model, other, training, anyway=True)
    assert (report.status, report.counts[SEEN]) == ("contaminated", n_seen)
    assert report.metrics == evaluate(model, other).metrics


def test_part_of_the_own_holdout_is_clean(training):
    """What matters is what the model has learnt, not how the split is called."""
    own = make_split(RandomSplitConfig(test_share=0.3), RATINGS, 0)
    half = own.holdout.keep(np.arange(own.holdout.n_observed) % 2 == 0)
    smaller = Split(own.train, own.train, half, AllSplitConfig(), 7, own.data_fingerprint)
    report = evaluate_unless_seen(toy(RATINGS), smaller, training)
    assert (report.status, report.counts[SEEN]) == ("clean", 0)


def test_other_data_are_foreign(training):
    """Not one rating of them is known, but they are not what was split."""
    own = make_split(RandomSplitConfig(test_share=0.3), RATINGS, 0)
    foreign = replace(own, data_fingerprint="other")
    with pytest.raises(DataError, match="not those that the model was trained on"):
        evaluate_unless_seen(toy(RATINGS), foreign, training)
    assert evaluate_unless_seen(toy(RATINGS), foreign, training, anyway=True).status == "foreign"
    spoilt = replace(make_split(RandomSplitConfig(), RATINGS, 5), data_fingerprint="other")
    assert evaluate_unless_seen(toy(RATINGS), spoilt, training, anyway=True).status == "contaminated"


def test_data_of_other_users_cannot_be_tested_on_at_all(training):
    others = make_split(RandomSplitConfig(), grid(), 0)
    with pytest.raises(DataError, match="not the same"):
        evaluate_unless_seen(toy(RATINGS), others, training, anyway=True)
