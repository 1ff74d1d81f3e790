"""The RBM as a recommender: where it starts, what it learns, and its scores written out."""

from __future__ import annotations

import signal
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from strategies import grid
from synthetic import low_rank, permuted
from toys import Scoring, everyone, fit, train

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings, select_rows
from recsys_ae.models import rbm as rbm_module
from recsys_ae.models.biases import damped_means
from recsys_ae.models.codec import state_of
from recsys_ae.models.configs import BiasesConfig, MeanConfig, RBMConfig, TrainingConfig, with_epochs
from recsys_ae.models.rbm import RBMRecommender, gibbs_steps

TRAINING = TrainingConfig(epochs=30, batch_size=64, learning_rate=1e-2, patience=None)
CONFIGS = {
    "rbm": RBMConfig(hidden=10, l2=0.1, training=TRAINING),
    "conditional": RBMConfig(hidden=10, l2=0.1, conditional=True, steps=2, training=TRAINING),
}


@pytest.fixture(params=CONFIGS)
def config(request) -> RBMConfig:
    return CONFIGS[request.param]


def revalued(ratings: Ratings, values: np.ndarray) -> Ratings:
    """The same cells with other ratings, whose scale is not declared."""
    old = ratings.matrix
    matrix = csr_array((values.astype(np.float32), old.indices, old.indptr), shape=old.shape)
    return replace(ratings, matrix=matrix, scale=None)


def stars(ratings: Ratings) -> Ratings:
    """Whole numbers from -1 to 3: some are 0, some are negative."""
    return revalued(ratings, np.round(ratings.values) - 2)


def test_training_starts_at_the_damped_means_of_the_items(config):
    ratings = stars(low_rank(80, 40, density=0.2))
    scores = fit(with_epochs(config, 0), ratings).score(everyone(ratings))
    mean = ratings.mean()
    expected = mean + damped_means(ratings.values - mean, ratings.columns, ratings.n_items, 5.0)
    np.testing.assert_allclose(scores, np.tile(expected, (80, 1)), atol=0.01)


def test_scores_are_the_expectation_written_out(config):
    ratings = grid()
    model = fit(config, ratings)
    values, n_items = model.levels.values, ratings.n_items
    assert values.tolist() == [0, 1, 2, 3, 4, 5]
    expected = np.zeros(ratings.matrix.shape)
    for user in range(ratings.n_users):
        read = model.hidden_bias.astype(float)
        for place in range(ratings.matrix.indptr[user], ratings.matrix.indptr[user + 1]):
            item, level = ratings.columns[place], int(ratings.values[place])
            read = read + model.weights[level * n_items + item]
            if model.presence_weights is not None:
                read = read + model.presence_weights[item]
        hidden = 1 / (1 + np.exp(-read))
        for item in range(n_items):
            outputs = [model.visible_bias[k * n_items + item] + model.weights[k * n_items + item] @ hidden
                       for k in range(6)]  # fmt: skip
            shares = np.exp(outputs) / np.exp(outputs).sum()
            expected[user, item] = shares @ values
    np.testing.assert_allclose(model.score(everyone(ratings)), expected, atol=1e-4)


def test_only_the_conditional_machine_says_what_was_rated():
    ratings = grid()
    assert fit(CONFIGS["rbm"], ratings).presence_weights is None
    presence = fit(CONFIGS["conditional"], ratings).presence_weights
    assert presence.shape == (ratings.n_items, 10)
    assert np.abs(presence).max() > 0.01


def test_blocks_of_any_size_give_the_same_scores(config, monkeypatch):
    ratings = grid()
    model = fit(config, ratings)
    rows, items = np.divmod(np.arange(ratings.n_users * ratings.n_items), ratings.n_items)
    whole = model.score(everyone(ratings)), model.score_pairs(everyone(ratings), rows, items)
    for cells in (1, 250):
        monkeypatch.setattr(rbm_module, "_CELLS_AT_ONCE", cells)
        np.testing.assert_allclose(model.score(everyone(ratings)), whole[0], rtol=1e-5)
        np.testing.assert_allclose(model.score_pairs(everyone(ratings), rows, items), whole[1], rtol=1e-5)


def test_tastes_are_learnt_beyond_the_biases(config):
    """On ratings held out of a matrix of rank 2; on ratings without a pattern there is nothing to gain."""
    ratings = stars(low_rank(300, 60, density=0.5, noise=0.1))
    held = np.arange(ratings.n_observed) % 5 == 0

    def rmse(config, ratings):
        model = fit(config, ratings.keep(~held))
        left = model.score_pairs(everyone(ratings.keep(~held)), ratings.rows()[held], ratings.columns[held])
        return np.sqrt(np.mean((left - ratings.values[held]) ** 2))

    config = config.model_copy(update={"hidden": 40, "l2": 1.0})
    assert rmse(config, ratings) < 0.75 * rmse(BiasesConfig(), ratings)
    shuffled = permuted(ratings)
    assert rmse(with_epochs(config, 3), shuffled) > 0.97 * rmse(MeanConfig(), shuffled)


def test_training_lowers_the_loss_and_shows_its_terms(config):
    trained = train(config, stars(low_rank(100, 30, density=0.5)))
    first, last = trained.epochs[0], trained.epochs[-1]
    assert set(last.terms) == {"reconstruction", "l2"}
    assert last.terms["reconstruction"] < 0.97 * first.terms["reconstruction"]
    assert last.total == pytest.approx(sum(last.terms.values()))
    assert set(train(config.model_copy(update={"l2": 0.0}), grid()).epochs[-1].terms) == {"reconstruction"}


def test_items_without_ratings_have_the_mean_rating_and_users_that_of_an_empty_row(config):
    ratings = grid()
    known = ratings.keep((ratings.rows() != 3) & (ratings.columns != 5))
    model = fit(config, known)
    scores = model.score(everyone(known))
    np.testing.assert_allclose(scores[:, 5], known.mean(), rtol=1e-5)
    stranger = UserBatch(np.array([-1]), csr_array((1, ratings.n_items), dtype=np.float32))
    np.testing.assert_allclose(scores[3], model.score(stranger)[0], rtol=1e-5)
    assert np.ptp(scores[3]) > 0.1


def test_ratings_with_a_zero_far_away_keep_their_digits(config):
    """Years, for example: float32 has two more digits of them than of their differences."""
    ratings = stars(low_rank(60, 30, density=0.4))
    far = revalued(ratings, ratings.values + 2000)
    plain = fit(config, ratings).score(everyone(ratings))
    np.testing.assert_allclose(fit(config, far).score(everyone(far)) - 2000.0, plain, atol=3e-4)


@pytest.mark.parametrize(("factor", "shift"), [(20.0, 0.0), (1e-3, -4.0)])
def test_quantiles_of_ratings_in_other_units_give_the_same_model(config, factor, shift):
    """There are hundreds of distinct ratings."""
    ratings = low_rank(60, 30, density=0.4)
    ratings = revalued(ratings, np.round(ratings.values.astype(np.float64), 2))
    mapped = revalued(ratings, factor * ratings.values.astype(np.float64) + shift)
    config = config.model_copy(update={"levels": 6})
    plain, other = fit(config, ratings), fit(config, mapped)
    assert len(plain.levels) == 6
    back = (other.score(everyone(mapped)).astype(np.float64) - shift) / factor
    np.testing.assert_allclose(back, plain.score(everyone(ratings)), atol=2e-3)


def test_many_items_of_few_ratings_get_few_units(caplog):
    """400 items with one rating each, of two levels, and one that nobody rated, which decides nothing: a unit
    has two weights for each item, and a third where the machine is conditional."""
    matrix = csr_array(
        (np.arange(400, dtype=np.float32) % 2, np.arange(400), np.arange(0, 401, 40)), shape=(10, 401)
    )
    ratings = Ratings(matrix, IdMap(np.arange(10)), IdMap(np.arange(401)))
    for conditional, width in ((False, 50), (True, 33)):
        caplog.clear()
        config = RBMConfig(hidden=80, conditional=conditional, training=TrainingConfig(epochs=1))
        assert fit(config, ratings).hidden_bias.shape == (width,)
        assert f"hidden layers have at most {width} units" in caplog.text


def test_steps_of_sampling_grow_with_the_epochs():
    growing = RBMConfig(steps=2, grow_every=3)
    assert [gibbs_steps(growing, epoch) for epoch in range(1, 8)] == [2, 2, 2, 3, 3, 3, 4]
    assert [gibbs_steps(RBMConfig(), epoch) for epoch in (1, 99)] == [1, 1]
    config, ratings = CONFIGS["rbm"], stars(low_rank(60, 30, density=0.4))
    grown = config.model_copy(update={"grow_every": 10})
    for epochs in (10, 11):
        one, other = (fit(with_epochs(each, epochs), ratings).weights for each in (config, grown))
        assert np.array_equal(one, other) == (epochs == 10)


def test_a_training_that_was_stopped_ends_like_one_that_was_not(config, tmp_path):
    """Its draws are those of its epoch, however often it is stopped."""
    ratings = grid()
    config = with_epochs(config, 9)
    validator = Scoring(lambda model: float(np.abs(model.weights).sum()))

    def press_ctrl_c(epoch):
        if epoch.number == 4:
            signal.raise_signal(signal.SIGINT)

    early = train(config, ratings, validator=validator, on_epoch=press_ctrl_c, checkpoints=tmp_path)
    assert early.interrupted
    resumed = train(config, ratings, validator=validator, checkpoints=tmp_path, resume=True)
    whole = train(config, ratings, validator=validator)
    assert (resumed.best_epoch, len(resumed.epochs)) == (whole.best_epoch, 10)
    for name, array in state_of(whole.model).arrays.items():
        np.testing.assert_array_equal(state_of(resumed.model).arrays[name], array)


def test_other_seeds_draw_otherwise_and_an_epoch_shares_no_memory(config):
    ratings = grid()
    kept: list[RBMRecommender] = []
    validator = Scoring(lambda model: kept.append(model) or float(len(kept)))
    train(with_epochs(config, 2), ratings, validator=validator)
    assert not np.array_equal(kept[0].weights, kept[1].weights)
    assert not np.shares_memory(kept[1].weights, kept[2].weights)
    assert not np.array_equal(fit(config, ratings, seed=1).weights, fit(config, ratings, seed=2).weights)


def test_a_history_may_hold_ratings_between_the_levels(config):
    ratings = grid()
    model = fit(config, ratings)
    history = select_rows(ratings.matrix, np.array([0]))
    near = csr_array((history.data + 0.3, history.indices, history.indptr), shape=history.shape)
    some = np.array([-1])
    np.testing.assert_array_equal(model.score(UserBatch(some, near)), model.score(UserBatch(some, history)))
