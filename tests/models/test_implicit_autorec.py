"""AutoRec of likes against a network written out, closed forms, and what is known of the likes."""

from __future__ import annotations

import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from strategies import grid
from synthetic import checkerboard, power_law
from toys import everyone, fit, train

from recsys_ae.errors import ConfigError, DataError
from recsys_ae.models.configs import (
    ImplicitAutoRecConfig,
    PopularityConfig,
    SampledLossConfig,
    TrainingConfig,
    WeightedLossConfig,
)
from recsys_ae.models.implicit_autorec import weighted_likes
from recsys_ae.models.parts import make_objective
from recsys_ae.models.positives import confidences, unit_rows
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import torch_generator
from recsys_ae.settings.load import default_experiment

TRAINING = TrainingConfig(epochs=40, batch_size=16, min_steps=1, learning_rate=2e-2, patience=None)
PLAIN = ImplicitAutoRecConfig(hidden=(12,), l2=0.1, training=TRAINING)
CONFIGS = {
    "weighted": PLAIN,
    "sampled": PLAIN.model_copy(update={"loss": SampledLossConfig()}),
    "sampled-by-popularity": PLAIN.model_copy(update={"loss": SampledLossConfig(negatives=8, power=0.6)}),
}


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


def untrained(config):
    return config.model_copy(update={"training": TRAINING.model_copy(update={"epochs": 0})})


def test_training_starts_from_popularity_and_unliked_items_come_last(config):
    ratings = power_law(60, 30, density=0.1)
    counts = fit(PopularityConfig(), ratings).score(everyone(ratings))[0]
    rated = counts > 0
    assert not rated.all()
    for epochs in (0, 40):
        config = config.model_copy(update={"training": TRAINING.model_copy(update={"epochs": epochs})})
        scores = fit(config, ratings).score(everyone(ratings))
        assert (scores[:, ~rated].max(axis=1) < scores[:, rated].min(axis=1)).all()
        if epochs == 0:
            order = np.lexsort((counts[rated], scores[0, rated]))
            assert (np.diff(counts[rated][order]) >= 0).all()
            assert np.ptp(scores, axis=0).max() == 0


def test_the_weighted_start_is_the_best_constant():
    """The mean of ones and zeros, weighted by 1 + alpha and 1, found by search."""
    ratings = power_law(60, 30, density=0.1)
    scores = fit(untrained(PLAIN), ratings).score(everyone(ratings))[0]
    counts = np.bincount(ratings.columns, minlength=30)
    n_users = np.count_nonzero(np.diff(ratings.matrix.indptr))
    alpha = PLAIN.loss.alpha
    tried = np.linspace(0, 1, 10001)
    losses = (1 + alpha) * counts[:, None] * (1 - tried) ** 2 + (n_users - counts)[:, None] * tried**2
    np.testing.assert_allclose(scores[counts > 0], tried[losses.argmin(axis=1)][counts > 0], atol=1e-4)


def test_the_sampled_start_is_the_best_constant():
    """Of likes against the draws to be expected, those that hit a like included, found by search."""
    ratings = power_law(60, 30, density=0.1)
    scores = fit(untrained(CONFIGS["sampled"]), ratings).score(everyone(ratings))[0]
    counts = np.bincount(ratings.columns, minlength=30)
    draws = 5 * ratings.n_observed / np.count_nonzero(counts > 0)
    tried = np.linspace(-6, 3, 9001)
    losses = counts[:, None] * np.log1p(np.exp(-tried)) + draws * np.log1p(np.exp(tried))
    np.testing.assert_allclose(scores[counts > 0], tried[losses.argmin(axis=1)][counts > 0], atol=2e-3)


def test_scores_are_those_of_the_network_written_out(config):
    """Ones over the root of their number, tanh, and linear outputs."""
    ratings = grid()
    model = fit(config, ratings)
    parameters = model.network.copied_parameters()
    seen = np.zeros(ratings.matrix.shape)
    seen[ratings.rows(), ratings.columns] = 1
    x = seen / np.sqrt(seen.sum(axis=1, keepdims=True))
    x = np.tanh(x @ parameters["encoder.first.weight"] + parameters["encoder.first.bias"])
    expected = x @ parameters["decoder.last.weight"].T + parameters["decoder.last.bias"]
    np.testing.assert_allclose(model.score(everyone(ratings)), expected, rtol=1e-4, atol=1e-4)


def test_users_are_given_first_what_their_neighbours_like(config):
    """And what is not liked is told from what is: all likes being alike, without the cells that are not
    observed every output would be that of a like."""
    ratings = checkerboard(30)
    scores = fit(config, ratings).score(everyone(ratings))
    users, items = np.indices((30, 30))
    liked = (users + items) % 2 == 0
    least, most = (0.5, 0.25) if config.loss.kind == "weighted" else (0.0, -0.5)
    assert scores[liked].min() > least
    assert scores[~liked].max() < most
    scores[ratings.rows(), ratings.columns] = -np.inf
    np.testing.assert_array_equal(scores.argmax(axis=1), np.arange(30))


def test_linear_units_without_penalty_find_the_likes_of_a_low_rank_pattern_again():
    """With alpha 0, no corruption and rank 2 the loss over all cells of a board is 0 at the board itself."""
    users, items = np.indices((24, 24))
    likes = (users + items) % 2 == 0
    rows, columns = np.argwhere(likes).T
    starts = np.searchsorted(rows, np.arange(25))
    board = replace(
        checkerboard(24),
        matrix=csr_array((np.ones(len(rows), dtype=np.float32), columns, starts), shape=(24, 24)),
    )
    config = ImplicitAutoRecConfig(
        hidden=(4,), activation="identity", l2=0.0, corruption=None, loss=WeightedLossConfig(alpha=0.0),
        training=TRAINING.model_copy(update={"epochs": 200}),
    )  # fmt: skip
    np.testing.assert_allclose(fit(config, board).score(everyone(board)), likes, atol=0.02)


def test_training_lowers_the_loss_and_shows_its_terms(config):
    trained = train(config, power_law(60, 30, density=0.2))
    first, last = trained.epochs[0], trained.epochs[-1]
    assert set(last.terms) == {"reconstruction", "l2"}
    assert last.terms["reconstruction"] < first.terms["reconstruction"]
    assert last.total == pytest.approx(sum(last.terms.values()))


def test_the_weights_of_likes_are_the_confidences_of_als():
    """1 + alpha of events and of ratings, more for larger counts; a sampled loss has none."""
    ratings = replace(power_law(20, 10, density=0.3), scale=None)
    np.testing.assert_array_equal(weighted_likes(PLAIN, ratings).values, np.float32(1 + PLAIN.loss.alpha))
    counts = replace(ratings, feedback="counts")
    expected = confidences(counts.values, PLAIN.loss.alpha, float(counts.values.mean(dtype=np.float64)))
    np.testing.assert_allclose(weighted_likes(PLAIN, counts).values, expected, rtol=1e-6)
    assert (weighted_likes(CONFIGS["sampled"], counts).values == 1).all()


def test_larger_counts_pull_harder():
    """Everyone has each of two items once, but the first is counted a hundred times as often."""
    values = np.tile([100.0, 1.0], 30).astype(np.float32)
    some = np.arange(60) % 7 != 0
    rows, columns = np.repeat(np.arange(30), 2)[some], np.tile([0, 1], 30)[some]
    matrix = csr_array((values[some], columns, np.searchsorted(rows, np.arange(31))), shape=(30, 30))
    ratings = replace(checkerboard(30), matrix=matrix, feedback="counts")
    scores = fit(untrained(PLAIN), ratings).score(everyone(ratings))
    equal = fit(untrained(PLAIN), replace(ratings, feedback="events")).score(everyone(ratings))
    assert scores[0, 0] > equal[0, 0]
    assert scores[0, 1] < equal[0, 1]


def test_training_reads_what_scoring_reads(config):
    """Ones over the root of their number, whatever weighs in the loss, a share of them hidden."""
    ratings = replace(power_law(40, 25, density=0.2), feedback="counts")
    likes = weighted_likes(config, ratings)
    clean = config.model_copy(update={"corruption": None})
    batch, generator = RowBatch.of(likes.matrix), torch_generator(0, "test")
    read = make_objective(clean, likes).corruption(batch, generator)
    np.testing.assert_allclose(read.values, unit_rows(ratings.matrix, None).data, rtol=1e-6)
    hidden = make_objective(config, likes).corruption(batch, generator).values.numpy()
    kept = hidden > 0
    assert 0.3 < kept.mean() < 0.7
    np.testing.assert_allclose(hidden[kept], 2 * read.values.numpy()[kept])


def test_items_are_drawn_by_the_power_of_their_popularity():
    likes = weighted_likes(PLAIN, power_law(60, 30, density=0.1))
    counts = np.bincount(likes.columns, minlength=30).astype(np.float64)
    assert (counts == 0).any()
    for power in (0.0, 0.6, 1.0):
        config = PLAIN.model_copy(update={"loss": SampledLossConfig(power=power)})
        chances = np.where(counts > 0, counts**power, 0)
        found = np.diff(make_objective(config, likes).loss.cumulative.numpy(), prepend=0)
        np.testing.assert_allclose(found, chances / chances.sum(), atol=1e-12)


def test_values_decide_what_is_liked_and_nothing_else(config):
    """Ratings below `positive` are as if they were not there; the others may have any value."""
    ratings = power_law(40, 25, density=0.2)
    kept = ratings.keep(ratings.values >= 3)
    changed = replace(kept, matrix=csr_array((kept.values * 7, kept.matrix.indices, kept.matrix.indptr),
                                             shape=kept.matrix.shape), scale=None)  # fmt: skip
    some = config.model_copy(update={"positive": 3.0})
    expected = fit(some, ratings).score(everyone(ratings))
    np.testing.assert_array_equal(fit(config, changed).score(everyone(kept)), expected)


def test_what_is_drawn_depends_on_the_seed_and_the_epoch_alone(config):
    """No corruption: what still differs from seed to seed is drawn by the start and by the loss."""
    ratings = power_law(40, 25, density=0.2)
    clean = config.model_copy(update={"corruption": None})
    first, again, other = (fit(clean, ratings, seed=n).score(everyone(ratings)) for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_nothing_liked_is_a_sentence(config):
    none = config.model_copy(update={"positive": 9.0})
    with pytest.raises(DataError, match="lower `positive` of model 'implicit-autorec'"):
        fit(none, grid())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["loss.kind=sampled", "loss.alpha=2"], "alpha"),
        (["loss.negatives=0", "loss.kind=sampled"], "negatives"),
        (["loss.kind=sampled", "loss.power=2"], "power"),
        (["loss.alpha=-1"], "alpha"),
        (["loss.kind=hinge"], "hinge"),
    ],
)
def test_settings_of_another_loss_are_refused(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        default_experiment("good.csv", "implicit-autorec", settings)


def test_the_global_generator_is_left_alone(config):
    before = torch.random.get_rng_state()
    fit(config, grid())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_interrupted_training_is_resumed_bit_for_bit(config, tmp_path):
    """Corruption and draws go on where they were."""

    def press_ctrl_c(epoch):
        if epoch.number == 3:
            signal.raise_signal(signal.SIGINT)

    ratings = power_law(40, 25, density=0.2)
    short = config.model_copy(update={"training": TRAINING.model_copy(update={"epochs": 6})})
    assert train(short, ratings, checkpoints=tmp_path, on_epoch=press_ctrl_c).interrupted
    resumed, whole = train(short, ratings, checkpoints=tmp_path, resume=True), train(short, ratings)
    assert [epoch.terms for epoch in resumed.epochs] == [epoch.terms for epoch in whole.epochs]
    batch = everyone(ratings)
    np.testing.assert_array_equal(resumed.model.score(batch), whole.model.score(batch))
