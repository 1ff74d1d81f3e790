"""Evaluation end to end against a brute force over a dense matrix of dictionaries."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import SLOW_RANKING, slow_delta_gap, slow_gini, slow_list, slow_novelty
from scipy.sparse import csr_array
from strategies import grid
from toys import Toy, split_by_hand, splits, toy

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import CapabilityError, DataError
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.evaluator import evaluate, predict_holdout
from recsys_ae.splitting.configs import AllSplitConfig, RandomSplitConfig, UsersSplitConfig
from recsys_ae.splitting.make import make_split, validation_split


def cells(ratings):
    """{user: {item: rating}} with a row for every user."""
    rows = {user: {} for user in range(ratings.n_users)}
    for user, item, value in zip(ratings.rows(), ratings.columns, ratings.values, strict=True):
        rows[int(user)][int(item)] = float(value)
    return rows


def brute_force(recommender, split, relevant, cutoff):
    train, known, holdout = cells(split.train), cells(split.fold_in), cells(split.holdout)
    users = [user for user in holdout if holdout[user]]
    raters = [sum(item in row for row in train.values()) for item in range(split.train.n_items)]
    n_training = sum(bool(row) for row in train.values())
    lists, scores = {}, {}
    for user in users:
        scores[user] = recommender.table[-1 if split.of_users else user] + len(known[user])
        lists[user] = slow_list(scores[user], set(known[user]), cutoff)
    good = {u: {i for i, value in holdout[u].items() if relevant is None or value >= relevant} for u in users}
    expected = {
        f"{name}_at_{cutoff}": [metric(lists[u], good[u], cutoff) for u in users]
        for name, metric in SLOW_RANKING.items()
    }
    expected[f"novelty_at_{cutoff}"] = [
        slow_novelty(lists[u], raters, max(n_training, 1), cutoff) for u in users
    ]
    means = {}
    for name, column in expected.items():
        defined = [value for value in column if value is not None]
        if defined:
            means[name] = sum(defined) / len(defined)
    counts = [sum(item in row for row in lists.values()) for item in range(split.train.n_items)]
    if users:
        means[f"coverage_at_{cutoff}"] = sum(count > 0 for count in counts) / len(counts)
    if slow_gini(counts) is not None:
        means[f"gini_at_{cutoff}"] = slow_gini(counts)
    histories = {user: known[user] for user in users}
    if any(raters[item] for row in histories.values() for item in row):
        means[f"popularity_bias_at_{cutoff}"] = slow_delta_gap(lists, histories, raters, n_training, cutoff)
    for suffix in ("", "_warm"):
        errors = [
            float(scores[u][i]) - value
            for u in users
            for i, value in holdout[u].items()
            if not suffix or (known[u] and raters[i])
        ]
        if errors:
            means["rmse" + suffix] = (sum(error**2 for error in errors) / len(errors)) ** 0.5
            means["mae" + suffix] = sum(map(abs, errors)) / len(errors)
    return means, expected, users


def check_against_brute_force(split, relevant, cutoffs):
    recommender = toy(split.train)
    rule = "all" if relevant is None else relevant
    with np.errstate(divide="raise", invalid="raise"):  # what is not defined is left out, not divided by zero
        report = evaluate(recommender, split, EvaluationConfig(cutoffs=cutoffs, relevant=rule))
    means, columns, users = {}, {}, []
    for cutoff in cutoffs:
        found, per_user, users = brute_force(recommender, split, relevant, cutoff)
        means, columns = means | found, columns | per_user
    assert report.users.tolist() == split.holdout.users.ids[users].tolist()
    assert report.metrics.keys() == means.keys()
    for name, value in means.items():
        assert report.metrics[name] == pytest.approx(value, abs=1e-9), name
    for name, column in columns.items() if users else ():
        expected = np.array([np.nan if value is None else value for value in column])
        np.testing.assert_allclose(report.per_user[name], expected, atol=1e-12, err_msg=name)


@given(splits(), st.sampled_from([None, 0.0, 1.0]), st.integers(1, 7))
def test_equals_brute_force(split, relevant, cutoff):
    check_against_brute_force(split, relevant, (cutoff,))


@pytest.mark.parametrize("cutoffs", [(1, 3, 8), (8, 1), (3, 3)])
def test_each_cutoff_is_measured_as_if_it_were_the_only_one(cutoffs):
    """Spread over the catalogue, too: longer lists reach more items. A cutoff named twice is one."""
    rng = np.random.default_rng(2)
    stars = rng.integers(1, 6, (15, 12)) * (rng.random((15, 12)) < 0.4)
    ratings = Ratings(csr_array(stars.astype(np.float32)), IdMap.of(range(15)), IdMap.of(range(12)))
    held = rng.random(ratings.n_observed) < 0.3
    train = ratings.keep(~held)
    check_against_brute_force(split_by_hand(train, ratings.keep(held)), 3.0, cutoffs)


@given(splits(), st.sampled_from([None, 0.0, 1.0]), st.integers(1, 4))
def test_items_keep_their_errors_and_hits(split, relevant, cutoff):
    """Against a loop over users and the dense table of scores."""
    recommender = toy(split.train)
    rule = "all" if relevant is None else relevant
    report = evaluate(recommender, split, EvaluationConfig(cutoffs=(cutoff, 9), relevant=rule))
    train, known, holdout = cells(split.train), cells(split.fold_in), cells(split.holdout)
    tested = sorted({item for row in holdout.values() for item in row})
    names = ("n_train", "squared_error_sum", "n_predicted", "n_relevant", f"hits_at_{cutoff}")
    expected = {name: dict.fromkeys(tested, 0.0) for name in names}
    for item in tested:
        expected["n_train"][item] = sum(item in row for row in train.values())
    for user, row in holdout.items():
        scores = recommender.table[-1 if split.of_users else user] + len(known[user])
        listed = slow_list(scores, set(known[user]), cutoff)
        for item, value in row.items():
            expected["n_predicted"][item] += 1
            expected["squared_error_sum"][item] += (float(scores[item]) - value) ** 2
            if relevant is None or value >= relevant:
                expected["n_relevant"][item] += 1
                expected[f"hits_at_{cutoff}"][item] += item in listed
    assert report.items.tolist() == split.holdout.items.ids[tested].tolist()
    if tested:
        assert set(report.per_item) == set(names)
        for name, column in expected.items():
            assert report.per_item[name] == pytest.approx(list(column.values()), rel=1e-4), name


@given(splits(), st.integers(1, 8))
def test_batch_size_decides_nothing(split, batch_size):
    recommender, config = toy(split.train), EvaluationConfig(cutoffs=(1, 3), relevant=0.5)
    one = evaluate(recommender, split, config)
    other = evaluate(recommender, split, config, batch_size=batch_size)
    assert one.summary == other.summary
    for name, column in one.per_user.items():
        assert column.tobytes() == other.per_user[name].tobytes(), name


@given(splits())
def test_sums_per_user_add_up_to_the_metrics(split):
    report = evaluate(toy(split.train), split)
    for suffix in ("", "_warm"):
        if "rmse" + suffix in report.metrics:
            n = report.per_user["n_predicted" + suffix].sum()
            mean_square = report.per_user["squared_error_sum" + suffix].sum() / n
            assert report.metrics["rmse" + suffix] == pytest.approx(mean_square**0.5)
            mean = report.per_user["absolute_error_sum" + suffix].sum() / n
            assert report.metrics["mae" + suffix] == pytest.approx(mean)
    assert report.counts["holdout_ratings"] == split.holdout.n_observed
    assert report.per_user["n_history"].tolist() == [
        len(cells(split.fold_in)[user]) for user in split.evaluated_users
    ]
    json.dumps(report.summary, allow_nan=False)


@pytest.mark.parametrize(
    "config", [RandomSplitConfig(), UsersSplitConfig(test_share=0.3)], ids=lambda c: c.kind
)
def test_the_data_fingerprint_is_that_of_the_ratings_before_the_split(config):
    split = make_split(config, grid(), 2)
    for part in (split, validation_split(split, share=0.3)):
        report = evaluate(toy(part.train), part)
        assert (report.data_fingerprint, report.split_name) == (grid().fingerprint(), config.kind)
        assert report.split_fingerprint == part.fingerprint()


def small_split():
    """Three users, four items: user 2 is cold, item 3 is cold; the stored 0 in the holdout is a rating."""
    users, items = IdMap.of(["a", "b", "c"]), IdMap.of([10, 20, 30, 40])
    train = csr_array(
        (np.array([1.0, 2.0, 3.0], dtype=np.float32), np.array([0, 1, 0]), np.array([0, 2, 3, 3])),
        shape=(3, 4),
    )
    holdout = csr_array(
        (np.array([4.0, 0.0, 5.0], dtype=np.float32), np.array([2, 3, 0]), np.array([0, 0, 2, 3])),
        shape=(3, 4),
    )
    known = Ratings(train, users, items)
    return split_by_hand(known, Ratings(holdout, users, items))


def test_counts_cold_pairs_and_keeps_observed_zeros():
    split = small_split()
    table = np.zeros((4, 4), dtype=np.float32)
    report = evaluate(Toy(split.train.users, split.train.items, table), split, EvaluationConfig(relevant=5.0))
    assert report.counts == {
        "evaluated_users": 2,
        "holdout_ratings": 3,
        "cold_users": 1,
        "cold_items": 2,
        "cold_pairs": 3,
        "outside_scale": 3,
        "users_without_relevant": 1,
    }
    # user b has one rating, so the toy predicts 1 for (4, 0); user c has none: 0 for 5
    assert report.metrics["rmse"] == pytest.approx(((4 - 1) ** 2 + (0 - 1) ** 2 + 5**2) ** 0.5 / 3**0.5)
    assert "rmse_warm" not in report.metrics  # item 2 was never rated in training either
    assert report.metrics["hit_rate_at_10"] == 1  # user b is skipped: no rating of 5
    assert np.isnan(report.per_user["hit_rate_at_10"]).tolist() == [True, False]
    assert report.fallback.endswith(".")


def test_a_relevance_that_nothing_reaches_is_worth_a_warning(caplog):
    split = small_split()  # 5 is the highest rating of its holdout
    said = "no held-out rating is 5.5 or more; ranking metrics are left out"
    report = evaluate(toy(split.train), split, EvaluationConfig(relevant=5.5))
    assert caplog.messages == [said]
    assert not any(name.startswith("ndcg") for name in report.metrics)
    caplog.clear()
    for relevant in (5, "all"):
        assert "ndcg_at_10" in evaluate(toy(split.train), split, EvaluationConfig(relevant=relevant)).metrics
    evaluate(toy(split.train, ranks=False), split, EvaluationConfig(relevant=5.5))
    assert caplog.messages == []


def test_predictions_stand_in_the_order_of_the_holdout():
    split = small_split()
    recommender = toy(split.train, seed=4)
    found = predict_holdout(recommender, split, batch_size=1)
    assert (found.users.tolist(), found.items.tolist()) == ([1, 1, 2], [2, 3, 0])
    assert found.actual.tolist() == [4, 0, 5]
    expected = [recommender.table[1, 2] + 1, recommender.table[1, 3] + 1, recommender.table[2, 0]]
    assert found.predicted.tolist() == expected


def test_a_model_is_measured_by_what_it_can_do():
    split = small_split()
    ranker = evaluate(toy(split.train, predicts_ratings=False), split)
    assert "ndcg_at_10" in ranker.metrics
    assert "rmse" not in ranker.metrics
    predictor = evaluate(toy(split.train, ranks=False), split)
    assert set(predictor.metrics) == {"rmse", "mae"}
    with pytest.raises(CapabilityError, match="does not predict ratings"):
        predict_holdout(toy(split.train, predicts_ratings=False), split)


def test_nothing_held_out_is_a_report_without_metrics():
    train = small_split().train
    split = split_by_hand(train, train.keep(np.zeros(3, dtype=bool)), config=AllSplitConfig())
    report = evaluate(toy(train), split)
    assert report.metrics == {}
    assert report.counts["evaluated_users"] == report.counts["holdout_ratings"] == 0
    assert len(report.users) == 0
    assert len(predict_holdout(toy(train), split)) == 0


def test_a_model_of_other_items_is_refused():
    split = small_split()
    other = Toy(split.train.users, IdMap.of([1, 2, 3, 4]), np.zeros((4, 4), dtype=np.float32))
    with pytest.raises(DataError, match="the model knows 4 items"):
        evaluate(other, split)


def test_a_model_of_the_same_ids_in_another_map_is_fine():
    split = small_split()
    again = Toy(IdMap.of(["a", "b", "c"]), IdMap.of([10, 20, 30, 40]), np.zeros((4, 4), dtype=np.float32))
    assert evaluate(again, split).metrics["rmse"] > 0
