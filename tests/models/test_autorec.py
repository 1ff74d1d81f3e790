"""User- and item-based AutoRec as recommenders."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import torch
from networks import drawn_network
from pydantic import ValidationError
from scipy.sparse import csr_array
from strategies import grid
from toys import Scoring, everyone, fit
from toys import train as train_model

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError, DataError, DivergenceError
from recsys_ae.models import configs as c
from recsys_ae.models.autorec import item_recommender, start_network
from recsys_ae.models.biases import Biases
from recsys_ae.models.codec import state_of
from recsys_ae.nn.autoencoder import Architecture
from recsys_ae.nn.corruption import mask
from recsys_ae.nn.layers import ACTIVATIONS
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import numpy_generator, torch_seed
from recsys_ae.training.loop import shuffled_batches
from recsys_ae.types import Epoch

KINDS = [c.ItemAutoRecConfig, c.UserAutoRecConfig]


def low_rank(seed: int = 0) -> tuple[Ratings, np.ndarray]:
    """120 × 80 ratings of rank 3 with biases and a little noise, 40 % observed; and all true ratings."""
    rng = numpy_generator(seed, "low-rank")
    truth = 3 + rng.normal(0, 0.4, (120, 1)) + rng.normal(0, 0.4, (1, 80))
    truth += rng.normal(0, 0.7, (120, 3)) @ rng.normal(0, 0.7, (3, 80))
    known = rng.random(truth.shape) < 0.4
    rows, columns = np.where(known)
    values = (truth[rows, columns] + rng.normal(0, 0.1, len(rows))).astype(np.float32)
    matrix = csr_array((values, columns, np.r_[0, np.cumsum(known.sum(axis=1))]), shape=truth.shape)
    return Ratings(matrix, IdMap(np.arange(120)), IdMap(np.arange(80))), np.where(known, np.nan, truth)


def standardised_rows(config: c.AutoRecConfig, ratings: Ratings) -> tuple[Biases, Ratings]:
    """What the network reads, a row for each user or item."""
    biases = Biases.of_mean(ratings) if config.debias is None else Biases.solve(ratings, config.debias)
    rows = biases.removed_from(ratings)
    return biases, rows.transposed() if isinstance(config, c.ItemAutoRecConfig) else rows


def error(recommender, ratings: Ratings, truth: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean((recommender.score(everyone(ratings)) - truth) ** 2)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("debias", [None, c.BiasesConfig(item_damping=1, user_damping=1)])
def test_learns_what_biases_cannot(kind, debias):
    ratings, truth = low_rank()
    training = c.TrainingConfig(epochs=150, batch_size=20, learning_rate=3e-3)
    config = kind(hidden=(32,), activation="tanh", debias=debias, l2=15.0, training=training,
                  corruption=c.MaskingConfig(probability=0.2))  # fmt: skip
    baseline = error(fit(c.BiasesConfig(item_damping=1, user_damping=1), ratings), ratings, truth)
    assert error(fit(config, ratings), ratings, truth) < 0.85 * baseline


def test_many_columns_of_few_ratings_get_narrow_layers(caplog):
    """400 columns with one rating each, and one that nobody rated, which decides nothing."""
    matrix = csr_array(
        (np.arange(400.0, dtype=np.float32), np.arange(400), np.arange(0, 401, 40)), shape=(10, 401)
    )
    ratings = Ratings(matrix, IdMap(np.arange(10)), IdMap(np.arange(401)))
    with caplog.at_level("WARNING"):
        fitted = fit(c.UserAutoRecConfig(hidden=(150, 60), training=c.TrainingConfig(epochs=1)), ratings)
    assert fitted.network.architecture.encoder == (100, 60)
    assert "hidden layers have at most 100 units" in caplog.text
    as_rows = fit(c.ItemAutoRecConfig(hidden=(150,), training=c.TrainingConfig(epochs=1)), ratings)
    assert as_rows.item_factors.shape == (401, 150)


@pytest.mark.parametrize("kind", KINDS)
def test_best_epoch_is_restored(kind):
    ratings, truth = low_rank()
    scores = []

    def validate(recommender):
        scores.append(-error(recommender, ratings, truth))
        return scores[-1]

    config = kind(hidden=(32,), l2=0.0, corruption=None, debias=None,
                  training=c.TrainingConfig(epochs=40, learning_rate=0.03, patience=5))  # fmt: skip
    epochs = []
    best = fit(config, ratings, validator=Scoring(validate), on_epoch=epochs.append)
    assert -error(best, ratings, truth) == pytest.approx(max(scores), rel=1e-6)
    assert [epoch.score for epoch in epochs] == scores
    assert epochs[-1].number == min(40, int(np.argmax(scores)) + 5)  # the first score is of epoch 0


def test_patience_waits_for_the_next_validation():
    """Validated at 20 (best) and 40: ten epochs have passed at 30, but nothing was heard since."""
    scores = iter([0.0, 1.0, 0.5, 2.0])
    epochs: list[Epoch] = []
    training = c.TrainingConfig(epochs=70, patience=10, validate_every=20)
    fit(c.UserAutoRecConfig(hidden=(2,), training=training), grid(),
        validator=Scoring(lambda recommender: next(scores)), on_epoch=epochs.append)  # fmt: skip
    assert [epoch.number for epoch in epochs if epoch.score is not None] == [0, 20, 40]
    assert epochs[-1].number == 40


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_epoch_is_validated_whatever_the_interval(kind):
    epochs: list[Epoch] = []
    training = c.TrainingConfig(epochs=10, patience=None, validate_every=4)
    fit(kind(hidden=(2,), training=training), grid(), validator=Scoring(lambda model: 1.0),
        on_epoch=epochs.append)  # fmt: skip
    assert [epoch.number for epoch in epochs if epoch.score is not None] == [0, 4, 8, 10]


@pytest.mark.parametrize("kind", KINDS)
def test_candidates_stay_as_they_were_while_training_goes_on(kind):
    ratings, _ = low_rank()
    kept, scores = [], []

    def validate(candidate):
        kept.append(candidate)
        scores.append(candidate.score(everyone(ratings)))
        return 0.0

    training = c.TrainingConfig(epochs=3, learning_rate=0.05)
    last = fit(kind(hidden=(4,), training=training), ratings, validator=Scoring(validate))
    for candidate, score in zip(kept, scores, strict=True):
        np.testing.assert_array_equal(candidate.score(everyone(ratings)), score)
    assert (scores[0] != scores[2]).any()
    np.testing.assert_array_equal(last.score(everyone(ratings)), scores[0])


@pytest.mark.parametrize("kind", KINDS)
def test_every_epoch_is_corrupted_anew(kind):
    """One step an epoch, along a gradient that nearly stands still: what differs between the losses is how
    the network takes the masks."""
    ratings, _ = low_rank()
    training = c.TrainingConfig(epochs=6, batch_size=200, min_steps=1, learning_rate=1e-4)
    config = kind(hidden=(8,), l2=0.0, debias=None, training=training)

    def losses(config):
        """Of all epochs but the first two, in which the outputs have hardly begun to depend on the input."""
        return [epoch.terms["reconstruction"] for epoch in train_model(config, ratings).epochs][2:]

    assert losses(config) == losses(config)
    clean = losses(config.model_copy(update={"corruption": None}))
    assert np.abs(np.diff(losses(config), n=2)).max() > 20 * np.abs(np.diff(clean, n=2)).max()


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_the_plain_loop_over_batches_and_masks_of_its_seed(kind):
    """Parameters, batches and masks come from the seed, each from a stream of its own, the last two anew in
    every epoch. The loss here is over dense rows, its gradient torch's."""
    ratings, _ = low_rank()
    training = c.TrainingConfig(epochs=3, batch_size=32, min_steps=2, learning_rate=0.01)
    config = kind(hidden=(8,), l2=50.0, debias=None, corruption=c.MaskingConfig(probability=0.3),
                  training=training)  # fmt: skip
    biases, rows = standardised_rows(config, ratings)
    network, noise = start_network(config, rows, seed=3), torch.Generator()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    sizes = np.diff(rows.matrix.indptr)
    for epoch in (1, 2, 3):
        noise.manual_seed(torch_seed(3, "corruption", epoch))
        for chosen in shuffled_batches(sizes, size=32, seed=3, epoch=epoch):
            read = rows.matrix[chosen]
            observed = torch.zeros(read.shape, dtype=torch.bool)
            observed[np.repeat(np.arange(len(chosen)), sizes[chosen]), read.indices] = True
            output = network(mask(RowBatch.of(read), noise, probability=0.3)).dense()
            errors = (output - torch.from_numpy(read.toarray()))[observed]
            weights = sum(p.square().sum() for p in network.parameters() if p.dim() == 2)
            optimizer.zero_grad()
            (errors.square().mean() + 50.0 / 2 / rows.n_observed * weights).backward()
            optimizer.step()
    with torch.no_grad():
        expected = biases.mean + biases.deviation * network(RowBatch.of(rows.matrix)).dense().numpy()
    expected = expected.T if kind is c.ItemAutoRecConfig else expected
    scores = fit(config, ratings, seed=3).score(everyone(ratings))
    np.testing.assert_allclose(scores, expected, atol=1e-3)
    assert np.abs(fit(config, ratings, seed=4).score(everyone(ratings)) - expected).max() > 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_has_steps_enough_however_few_the_rows(kind):
    """Rows without ratings make no steps."""
    ratings, _ = low_rank()
    train = ratings.keep((ratings.rows() < 60) & (ratings.columns < 30))
    n_rows = 30 if kind is c.ItemAutoRecConfig else 60
    for batch_size, min_steps in ((512, 8), (512, 1), (7, 2), (512, 1000)):
        training = c.TrainingConfig(epochs=1, batch_size=batch_size, min_steps=min_steps)
        (epoch,) = train_model(kind(hidden=(3,), training=training), train).epochs
        size = min(batch_size, -(-n_rows // min_steps))
        assert epoch.n_steps == -(-n_rows // size)
    many = c.TrainingConfig(epochs=1, batch_size=1, min_steps=2, max_steps=5)
    (epoch,) = train_model(kind(hidden=(3,), training=many), train).epochs
    assert epoch.n_steps == 5


@pytest.mark.parametrize("kind", KINDS)
def test_before_training_it_is_the_bias_model_for_everybody(kind):
    """For users of training, for users folded in, and for those without any history."""
    ratings, _ = low_rank()
    train = ratings.keep(ratings.rows() % 5 > 0)
    untrained = fit(kind(hidden=(6,), training=c.TrainingConfig(epochs=0)), train)
    biases = fit(c.BiasesConfig(), train)
    unseen = UserBatch(np.full(120, -1), ratings.matrix)
    for batch in (everyone(train), unseen):
        np.testing.assert_allclose(untrained.score(batch), biases.score(batch), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_penalty_is_a_term_of_the_curve(kind):
    """Of the first epoch, of one step, it is that of the weights that training starts from."""
    ratings, _ = low_rank()
    training = c.TrainingConfig(epochs=1, batch_size=200, min_steps=1)
    config = kind(hidden=(8, 5), presence="free", l2=70.0, training=training)
    network = start_network(config, standardised_rows(config, ratings)[1], seed=0)
    weights = [p for p in network.parameters() if p.dim() == 2]
    assert len(weights) == 4
    expected = (
        70.0 / 2 * sum(float(weight.detach().square().sum()) for weight in weights) / ratings.n_observed
    )
    (epoch,) = train_model(config, ratings).epochs
    assert epoch.terms["l2"] == pytest.approx(expected, rel=1e-5)
    assert epoch.total == pytest.approx(epoch.terms["reconstruction"] + epoch.terms["l2"])


@pytest.mark.parametrize("debias", [None, c.BiasesConfig()])
def test_the_average_user_is_one_of_those_with_ratings(debias):
    """The user factors are seen from it, so those of users with ratings cancel out, and so do their biases,
    but for those that are solved before training."""
    ratings, _ = low_rank()
    train = ratings.keep(ratings.rows() % 3 > 0)  # every third user is cold
    config = c.ItemAutoRecConfig(hidden=(6,), debias=debias, training=c.TrainingConfig(epochs=5))
    model = fit(config, train)
    warm = np.arange(120) % 3 > 0
    np.testing.assert_allclose(model.user_factors[warm].mean(axis=0), 0.0, atol=1e-6)
    assert np.abs(model.user_factors[warm]).max() > 1e-2
    assert not model.user_factors[~warm].any()
    learnt = model.user_biases - (0.0 if debias is None else Biases.solve(train, debias).users)
    assert abs(learnt[warm].mean()) < 1e-5
    assert np.abs(learnt[warm]).max() > 1e-3
    assert not model.user_biases[~warm].any()


@pytest.mark.parametrize("kind", KINDS)
def test_resumed_training_equals_uninterrupted(kind, tmp_path):
    ratings, truth = low_rank()
    config = kind(hidden=(16,), training=c.TrainingConfig(epochs=9, batch_size=16, patience=None,
                                                          schedule=c.CosineSchedule()))  # fmt: skip

    validator = Scoring(lambda model: error(model, ratings, truth), higher_is_better=False)
    before: list[Epoch] = []

    def press_ctrl_c(epoch):
        before.append(epoch)
        if epoch.number == 4:
            signal.raise_signal(signal.SIGINT)

    states = tmp_path / "states"
    early = train_model(config, ratings, validator=validator, on_epoch=press_ctrl_c, checkpoints=states)
    assert early.interrupted
    assert np.isfinite(early.model.score(everyone(ratings))).all()
    curve: list[Epoch] = []
    resumed = train_model(
        config, ratings, validator=validator, on_epoch=curve.append, checkpoints=states, resume=True
    )
    assert [epoch.number for epoch in curve] == list(range(10))
    assert curve[:5] == before  # told again, seconds and all, not trained again
    whole = train_model(config, ratings, validator=validator)
    assert resumed.best_epoch == whole.best_epoch
    for name, array in state_of(whole.model).arrays.items():
        np.testing.assert_array_equal(state_of(resumed.model).arrays[name], array)


def test_only_a_training_of_the_same_result_is_continued(tmp_path, caplog):
    """Config, ratings, seed and what candidates are chosen by decide it, each of them alone."""
    config = c.UserAutoRecConfig(hidden=(3,), training=c.TrainingConfig(epochs=4, patience=None))
    same = {"config": config, "ratings": grid(), "seed": 1, "validator": Scoring(lambda model: 0.0)}

    def press_ctrl_c(epoch):
        if epoch.number == 2:
            signal.raise_signal(signal.SIGINT)

    assert train_model(**same, checkpoints=tmp_path, on_epoch=press_ctrl_c).interrupted
    for other in (
        {"config": config.model_copy(update={"l2": config.l2 + 1})},
        {"ratings": grid().keep(np.arange(grid().n_observed) > 0)},
        {"seed": 2},
        {"validator": Scoring(lambda model: 0.0, fingerprint="another")},
        {"validator": None},
        {},
    ):
        caplog.clear()
        train_model(**(same | other), checkpoints=tmp_path, resume=True)
        assert ("training starts anew" in caplog.text) == bool(other), other


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("debias", [None, c.BiasesConfig(item_damping=5, user_damping=5)])
def test_users_and_items_without_ratings_fall_back(kind, debias):
    """A user without training ratings is the average user, an item without any has no taste of its own."""
    ratings = grid()
    known = (ratings.rows() != 3) & (ratings.columns != 5)
    train = ratings.keep(known)
    recommender = fit(kind(hidden=(6,), debias=debias, training=c.TrainingConfig(epochs=20)), train)
    scores = recommender.score(everyone(train))
    assert np.isfinite(scores).all()
    assert abs(scores[3].mean() - train.mean()) < 0.5
    if kind is c.UserAutoRecConfig and debias is None:
        np.testing.assert_allclose(scores[:, 5], train.mean(), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_goes_down_the_papers_objective(kind):
    """The sum of squared errors and half of lambda times the squared weights, biases left out (eq. 2), here
    written out over dense rows of standardised ratings, beside each of which stands that it was rated.
    Scaled by the number of ratings it is what two steps on all rows follow; the first moves only the outputs,
    which begin at 0."""
    ratings, _ = low_rank()
    training = c.TrainingConfig(epochs=2, batch_size=200, min_steps=1, optimizer="sgd", learning_rate=1e-2)
    config = kind(hidden=(8,), l2=300.0, anchored=False, debias=None, corruption=None, training=training)
    biases, rows = standardised_rows(config, ratings)
    network = start_network(config, rows, seed=0)
    observed = torch.zeros(rows.matrix.shape)
    observed[rows.rows(), rows.columns] = 1.0
    dense = torch.from_numpy(rows.matrix.toarray())
    first, last = network.encoder.first, network.decoder.last
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-2, momentum=0.9, nesterov=True)
    for _ in range(2):
        read = dense + 4.0 * observed
        output = torch.sigmoid(read @ first.weight + first.bias) @ last.weight.T + last.bias
        weights = first.weight.square().sum() + last.weight.square().sum()
        optimizer.zero_grad()
        errors = ((output - dense).square() * observed).sum()
        ((errors + 300.0 / 2 * weights) / rows.n_observed).backward()
        optimizer.step()
    with torch.no_grad():
        expected = biases.mean + biases.deviation * network(RowBatch.of(rows.matrix)).dense().numpy()
    expected = expected.T if kind is c.ItemAutoRecConfig else expected
    np.testing.assert_allclose(fit(config, ratings).score(everyone(ratings)), expected, atol=1e-4)


@pytest.mark.parametrize("debias", [None, c.BiasesConfig(user_damping=3.0)])
def test_unseen_user_pays_the_penalty_of_the_papers_objective(debias):
    """Half of lambda on the squared factors beside the sum of squared errors, as rows of a least-squares
    problem; the bias is damped as those of training are."""
    ratings, _ = low_rank()
    training = c.TrainingConfig(epochs=5, batch_size=20)
    model = fit(c.ItemAutoRecConfig(hidden=(4,), l2=15.0, debias=debias, training=training), ratings)
    history = ratings.matrix[:1]
    rest = history.data - model.mean - model.item_biases[history.indices]
    design = np.column_stack([model.item_factors, np.ones(ratings.n_items)])
    penalty = np.diag(np.sqrt([7.5] * 4 + [3.0 if debias else 5.0]))
    system = np.vstack([design[history.indices], penalty])
    user = np.linalg.lstsq(system, np.append(rest, np.zeros(5)), rcond=None)[0]
    scores = model.score(UserBatch(np.array([-1]), history))[0]
    np.testing.assert_allclose(scores, design @ user + model.item_biases + model.mean, atol=1e-4)


def test_unseen_user_is_folded_in_close_to_a_user_with_the_same_history():
    ratings, truth = low_rank()
    config = c.ItemAutoRecConfig(hidden=(32,), l2=15.0,
                                 training=c.TrainingConfig(epochs=100, batch_size=20))  # fmt: skip
    recommender = fit(config, ratings)
    unseen = recommender.score(UserBatch(np.full(120, -1), ratings.matrix))
    average = np.nanmean((np.nanmean(truth, axis=0) - truth) ** 2)
    assert np.nanmean((unseen - truth) ** 2) < 0.7 * average


def test_divergence_is_told():
    config = c.ItemAutoRecConfig(activation="identity", debias=None,
                                 training=c.TrainingConfig(optimizer="sgd", learning_rate=1e6))  # fmt: skip
    with pytest.raises(DivergenceError, match="try a learning rate ten times smaller"):
        fit(config, low_rank()[0])


def test_scaled_output_and_debias_clash():
    with pytest.raises(ValidationError, match="set debias: null"):
        c.ItemAutoRecConfig(output="scaled")


@pytest.mark.parametrize("kind", KINDS)
def test_scaled_output_over_a_single_value_is_refused(kind):
    ones = grid().keep(grid().values == 1)
    with pytest.raises(DataError, match="all ratings are equal and no scale is declared; declare one"):
        fit(kind(output="scaled", debias=None), ones)
    declared = fit(kind(output="scaled", debias=None), ones.with_scale((0.0, 2.0)))
    assert np.isfinite(declared.score(everyone(ones))).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("output", ["identity", "scaled"])
def test_item_scores_are_the_reconstruction_of_the_items_rows_plus_biases(activation, output):
    """Factors and biases, seen from the average user, say just what the network says."""
    train = grid().with_scale((-100.0, 100.0))
    rng = numpy_generator(0, "biases")
    biases = Biases(train.mean(), *(rng.normal(size=n).astype(np.float32) for n in (12, 15)), 5.0, 2.5)
    if output == "scaled":
        biases = Biases.of_mean(train)
    rows = biases.removed_from(train).transposed()
    limits = rows.limits() if output == "scaled" else None
    network = drawn_network(Architecture(12, (6, 4), activation=activation, limits=limits, presence=4.0), 1)
    with torch.no_grad():
        outputs = network(RowBatch.of(rows.matrix)).dense().numpy().T
    expected = biases.mean + biases.users[:, None] + biases.items + biases.deviation * outputs
    config = c.ItemAutoRecConfig(hidden=(6, 4), activation=activation, output=output, debias=None)
    scores = item_recommender(config, train, rows, biases, network).score(everyone(train))
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["gpu", "cuda"])
def test_device_that_is_not_there(name):
    if name == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(ConfigError, match="use"):
        fit(c.ItemAutoRecConfig(), grid(), device=name)


@pytest.mark.parametrize("presence", ["none", "tied", "free"])
def test_without_presence_a_rating_that_biases_explain_looks_like_none(presence):
    ratings, _ = low_rank()
    rows = Biases.solve(ratings, c.BiasesConfig()).removed_from(ratings)
    network = start_network(c.UserAutoRecConfig(hidden=(4,), presence=presence), rows, 0)
    one_zero = csr_array((np.zeros(1, dtype=np.float32), ([0], [5])), shape=(2, 80))  # the other row is empty
    codes = network(RowBatch.of(one_zero)).code
    assert torch.equal(codes[0], codes[1]) == (presence == "none")


@pytest.mark.parametrize("optimizer", ["l-bfgs-b", "rprop"])
def test_layers_are_not_pretrained_on_all_rows_at_once(optimizer):
    training = c.TrainingConfig(optimizer=optimizer)
    with pytest.raises(ValidationError, match=rf"pretraining .* optimizer '{optimizer}'"):
        c.UserAutoRecConfig(
            hidden=(8, 4), decoder="mirror", pretraining=c.PretrainingConfig(), training=training
        )
