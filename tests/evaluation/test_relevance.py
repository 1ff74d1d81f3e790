"""What counts as a hit, by the words of the rule, and whatever the unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import split_by_hand, toy

from recsys_ae.data.configs import Feedback
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.evaluator import evaluate
from recsys_ae.evaluation.relevance import relevant_part, resolve_relevance
from recsys_ae.evaluation.validation import Validator
from recsys_ae.metrics import NDCG, RMSE
from recsys_ae.settings.explain import checked

stars = st.lists(st.sampled_from([0.5 * n for n in range(-20, 21)]), min_size=1, max_size=60)


def rated(values, feedback: Feedback = "ratings") -> Ratings:
    """Each value by a user of its own, of one item."""
    values = np.asarray(values, dtype=np.float32)
    users, items = np.arange(len(values)), np.zeros(len(values), int)
    return Ratings.from_triples(users, items, values, feedback=feedback)


@pytest.mark.parametrize(
    ("values", "least"),
    [
        ([1, 2, 3, 4, 5], 4),  # 2 of 5 are 40 %
        ([1, 2, 3, 4, 4, 5], 5),  # 4 or more: half
        ([-9.9, -5, 0, 0, 10], 10),  # 0 or more would be 60 %
        ([1, 1, 5, 5, 5], 5),  # the highest alone is more than 40 %
        ([3, 3, 3], 3),
        ([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0], 3.5),
        ([7], 7),
    ],
)
def test_the_upper_two_fifths_by_hand(values, least):
    assert resolve_relevance(None, rated(values)) == least


@given(stars)
def test_the_rule_in_its_own_words(values):
    shares = {v: np.mean([other >= v for other in values]) for v in set(values)}
    few = [v for v, share in shares.items() if share <= 0.4 + 1e-12]
    assert resolve_relevance(None, rated(values)) == (min(few) if few else max(values))


@given(stars, st.sampled_from([20, 0.2, 1e-3]), st.sampled_from([0.0, -7.0, 400.0]))
def test_the_same_ratings_count_in_every_unit(values, factor, shift):
    ratings, moved = rated(values), rated(np.asarray(values) * factor + shift * factor)
    kept, again = (relevant_part(one, resolve_relevance(None, one)) for one in (ratings, moved))
    assert kept.users.ids[kept.rows()].tolist() == again.users.ids[again.rows()].tolist()
    assert kept.n_observed > 0


def test_everything_implicit_counts_and_all_means_all():
    assert resolve_relevance(None, rated([1, 1, 7], "counts")) is None
    assert resolve_relevance(None, rated([1, 1, 1], "events")) is None
    assert resolve_relevance(None, rated([0.0, 0.25, 7], "counts")) == 0.25, "nothing counted is no hit"
    assert resolve_relevance("all", rated([1, 2, 3])) is None
    assert resolve_relevance(2.5, rated([1, 1, 7], "counts")) == 2.5
    nothing = rated([1, 2]).keep(np.zeros(2, dtype=bool))
    assert resolve_relevance(None, nothing) is None


def test_a_number_and_a_value_of_the_ratings_that_are_written_alike_are_equal():
    """0.004 has other digits in 32 bits than in 64."""
    ratings = rated([0.001, 0.002, 0.003, 0.004, 0.005])
    assert resolve_relevance(None, ratings) == resolve_relevance(0.004, ratings) == 0.004
    assert relevant_part(ratings, 0.004).n_observed == 2


def test_reports_and_validators_judge_by_the_training_part_alone():
    """The holdout has higher ratings than were trained on, which would move the threshold."""
    users, items = np.repeat(np.arange(4), 5), np.tile(np.arange(5), 4)
    values = np.tile([1.0, 2.0, 3.0, 9.0, 4.0], 4)
    ratings = Ratings.from_triples(users, items, values, scale=(1, 9))
    held = np.isin(ratings.values, [9, 4])
    split = split_by_hand(ratings.keep(~held), ratings.keep(held))
    model = toy(split.train)
    report = evaluate(model, split, EvaluationConfig())
    assert report.relevant == 3
    assert report.relevance == "rated 3 or more"
    assert report.metrics == evaluate(model, split, EvaluationConfig(relevant=3)).metrics
    assert report.metrics != evaluate(model, split, EvaluationConfig(relevant=5)).metrics
    validator = Validator.of(split, NDCG, EvaluationConfig())
    assert validator.relevant == 3
    assert validator(model) == report.metrics["ndcg_at_10"]
    assert validator.fingerprint == Validator.of(split, NDCG, EvaluationConfig(relevant=3)).fingerprint
    assert Validator.of(split, RMSE, EvaluationConfig()).relevant == 3
    assert evaluate(model, split, EvaluationConfig(relevant="all")).relevance == "all held out"


@pytest.mark.parametrize("given", [4, 3.5, -2, "all", None])
def test_a_number_all_or_nothing_may_be_asked_for(given):
    assert checked(EvaluationConfig, {"relevant": given}, where="x.yaml").relevant == given


@pytest.mark.parametrize("given", ["some", True, [4], {"share": 0.4}, "4"])
def test_anything_else_is_one_sentence(given):
    with pytest.raises(ConfigError) as caught:
        checked(EvaluationConfig, {"relevant": given}, where="x.yaml")
    expected = f"x.yaml: relevant: the least rating of a hit must be a number, all or null, and is {given!r}"
    assert str(caught.value) == expected
