"""AutoRec with drawn codes: the bound that it minimises, and what codes say when little or much holds it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import drawn_network
from pydantic import ValidationError
from scipy.sparse import csr_array
from strategies import grid
from synthetic import low_rank
from torch.distributions import Normal, kl_divergence
from toys import everyone, fit, train

from recsys_ae.data.ratings import Ratings
from recsys_ae.models import configs as c
from recsys_ae.models.autorec import item_recommender
from recsys_ae.models.biases import Biases
from recsys_ae.models.parts import make_architecture, make_objective
from recsys_ae.nn.autoencoder import Autoencoder
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import torch_generator

KINDS = [c.ItemAutoRecConfig, c.UserAutoRecConfig]
TRAINING = c.TrainingConfig(epochs=40, batch_size=20, learning_rate=1e-2)
FEW_BIASES = c.BiasesConfig(item_damping=1, user_damping=1)


def variational(kind, *, beta: float = 0.2, anneal_epochs: int = 0, code: int = 4, **settings):
    bottleneck = c.GaussianCodeConfig(code=code, beta=beta, anneal_epochs=anneal_epochs)
    standard = {"hidden": (16,), "l2": 5.0, "corruption": None, "training": TRAINING, "debias": FEW_BIASES}
    return kind(bottleneck=bottleneck, **{**standard, **settings})


def error(model, ratings: Ratings) -> float:
    """Root mean square of the errors at the observed ratings."""
    scores = model.score(everyone(ratings))
    return float(np.sqrt(np.mean((scores[ratings.rows(), ratings.columns] - ratings.values) ** 2)))


def standardised(ratings: Ratings) -> Ratings:
    return Biases.solve(ratings, FEW_BIASES).removed_from(ratings)


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    return low_rank(60, 40, rank=2, density=0.4, noise=0.1, seed=1)


@pytest.fixture(scope="module")
def rows() -> Ratings:
    """Rows as the network reads them; some are empty, some values are 0."""
    return standardised(grid())


def network_of(config: c.AutoRecConfig, rows: Ratings) -> Autoencoder:
    """As in the middle of training, the codes spread as that leaves them: neither none nor all."""
    return drawn_network(make_architecture(config, rows), seed=2).train()


def written_out(network: Autoencoder, rows: Ratings, noise: np.ndarray):
    """Mean and log-variance of the code of each row (n, code), and the outputs (n, n_columns) for the codes
    that such `noise` (n, code) draws, by dense NumPy."""
    p = {name: tensor.numpy().astype(np.float64) for name, tensor in network.state_dict().items()}
    observed, values = np.zeros(rows.matrix.shape), np.zeros(rows.matrix.shape)
    observed[rows.rows(), rows.columns] = 1
    values[rows.rows(), rows.columns] = rows.values
    empty = np.zeros((1, rows.n_items))
    read = np.vstack([values + 4.0 * observed, empty])
    encoded = 1 / (1 + np.exp(-(read @ p["encoder.first.weight"] + p["encoder.first.bias"])))
    says = encoded @ p["bottleneck.posterior.weight"].T + p["bottleneck.posterior.bias"]
    mean, log_variance = np.split(says, 2, axis=1)
    code = mean[:-1] + np.exp(log_variance[:-1] / 2) * noise
    outputs = (code - mean[-1]) @ p["decoder.last.weight"].T + p["decoder.last.bias"]
    return mean[:-1], log_variance[:-1], outputs


def test_what_is_minimised_is_minus_the_evidence_lower_bound(rows):
    """Of ratings that are normal around the outputs with variance beta, times 2 beta and for each rating, up
    to a constant. Codes as the generator draws them; rows without ratings are not trained on."""
    beta = 0.7
    config = variational(c.UserAutoRecConfig, beta=beta, code=3, l2=0.0)
    network, kept = network_of(config, rows), np.flatnonzero(np.diff(rows.matrix.indptr))
    batch = RowBatch.of(rows.matrix[kept])
    terms = make_objective(config, rows)(
        network, batch, step=0, epoch=1, generator=torch_generator(4, "test")
    )
    noise = torch.randn((len(kept), 3), generator=torch_generator(4, "test")).numpy()
    mean, log_variance, outputs = written_out(network, rows, _placed(noise, kept, rows.n_users))
    bound = 0.0
    for row in kept:
        for place in range(rows.matrix.indptr[row], rows.matrix.indptr[row + 1]):
            around = Normal(outputs[row, rows.columns[place]], np.sqrt(beta))
            bound += float(around.log_prob(torch.tensor(float(rows.values[place]), dtype=torch.float64)))
        posterior = Normal(torch.tensor(mean[row]), torch.tensor(np.exp(log_variance[row] / 2)))
        bound -= float(kl_divergence(posterior, Normal(0.0, 1.0)).sum())
    constant = rows.n_observed * beta * np.log(2 * np.pi * beta)
    assert set(terms) == {"reconstruction", "kl"}
    found = float(sum(term.value for term in terms.values()).detach()) * rows.n_observed
    assert found == pytest.approx(-2 * beta * bound - constant, rel=1e-4)


def _placed(rows: np.ndarray, positions: np.ndarray, n: int) -> np.ndarray:
    wide = np.zeros((n, rows.shape[1]))
    wide[positions] = rows
    return wide


def test_the_spread_of_the_codes_learns_from_the_ratings(rows):
    """The noise is taken into the code through the deviation, so that the data term, the divergence left out,
    has a gradient there: that of finite differences in the log-variance."""
    config = variational(c.UserAutoRecConfig, beta=0.0, code=3, l2=0.0)
    network, objective = network_of(config, rows).double(), make_objective(config, rows)
    batch = RowBatch.of(rows.matrix)
    batch = batch.with_values(batch.values.double())

    def loss():
        terms = objective(network, batch, step=0, epoch=1, generator=torch_generator(4, "test"))
        assert set(terms) == {"reconstruction"}
        return terms["reconstruction"].value

    loss().backward()
    bias = network.bottleneck.posterior.bias
    for place in range(3, 6):  # the first three are the means
        values = []
        for change in (1e-5, -1e-5):
            with torch.no_grad():
                bias[place] += change
                values.append(float(loss()))
                bias[place] -= change
        slope = (values[0] - values[1]) / 2e-5
        assert abs(slope) > 1e-4
        assert float(bias.grad[place]) == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_an_anchored_network_reads_how_codes_differ_from_the_mean_code_of_an_empty_row(rows, training):
    config = variational(c.UserAutoRecConfig, code=3)
    network = network_of(config, rows).train(training)
    batch, generator = RowBatch.of(rows.matrix), torch_generator(5, "test")
    empty = RowBatch.of(csr_array((1, rows.n_items), dtype=np.float32))
    with torch.no_grad():
        reconstruction = network(batch, generator)
        of_empty = network.eval()(empty)
        torch.testing.assert_close(reconstruction.hidden, reconstruction.code - of_empty.posterior.mean)
        torch.testing.assert_close(of_empty.dense()[0], network.decoder.last.bias)
    moved = (reconstruction.code - reconstruction.posterior.mean).abs().max() > 0.1
    assert bool(moved) == training


def test_codes_are_as_wide_as_the_ratings_allow(ratings, caplog):
    few = ratings.keep(ratings.rows() < 1)
    plan = make_architecture(variational(c.ItemAutoRecConfig, hidden=(300,), code=200), few)
    assert (plan.encoder, plan.code) == ((100,), 100)
    assert "at most 100 units" in caplog.text
    plan = make_architecture(variational(c.ItemAutoRecConfig, hidden=(300, 20), code=7), ratings)
    assert (plan.encoder, plan.decoder, plan.code) == ((300, 20), (), 7)


@pytest.mark.parametrize("kind", KINDS)
def test_learns_what_biases_cannot(kind, ratings):
    biases = error(fit(FEW_BIASES, ratings), ratings)
    assert error(fit(variational(kind), ratings), ratings) < 0.7 * biases


@pytest.mark.parametrize("kind", KINDS)
def test_before_training_it_is_the_bias_model(kind, ratings):
    config = variational(kind, training=c.TrainingConfig(epochs=0))
    expected = fit(FEW_BIASES, ratings).score(everyone(ratings))
    np.testing.assert_allclose(fit(config, ratings).score(everyone(ratings)), expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_strong_divergence_leaves_the_codes_nothing_to_say(kind, ratings):
    """Posteriors become the prior, and what is left is the bias model."""
    config = variational(kind, beta=1e3)
    expected = fit(FEW_BIASES, ratings).score(everyone(ratings))
    model = fit(config, ratings)
    assert np.abs(model.score(everyone(ratings)) - expected).max() < 0.1
    if kind is c.UserAutoRecConfig:
        with torch.no_grad():
            posterior = model.network(RowBatch.of(standardised(ratings).matrix)).posterior
        assert posterior.mean.abs().max() < 0.1
        assert posterior.log_variance.abs().max() < 0.1


def test_without_divergence_it_trains_like_a_network_with_codes_that_are_not_drawn(ratings):
    """The noise is only in the way, and dies out."""
    free = variational(c.UserAutoRecConfig, beta=0.0)
    model, trained = fit(free, ratings), train(free, ratings)
    assert "kl" not in trained.epochs[-1].terms
    with torch.no_grad():
        posterior = model.network(RowBatch.of(standardised(ratings).matrix)).posterior
    held = fit(variational(c.UserAutoRecConfig, beta=1.0), ratings)
    with torch.no_grad():
        held = held.network(RowBatch.of(standardised(ratings).matrix)).posterior
    spread = (posterior.log_variance / 2).exp().mean() / posterior.mean.std()
    assert spread < 0.2
    assert spread < 0.3 * (held.log_variance / 2).exp().mean() / held.mean.std()
    plain = c.UserAutoRecConfig(**free.model_dump() | {"bottleneck": None})
    assert error(model, ratings) == pytest.approx(error(fit(plain, ratings), ratings), rel=0.15)


def test_the_divergence_is_a_term_of_the_curve_that_rises(ratings):
    """It counts nothing in the first epoch, and in each of the next three a third of its weight more."""
    still = c.TrainingConfig(epochs=5, learning_rate=1e-9)
    config = variational(c.UserAutoRecConfig, anneal_epochs=3, training=still)
    epochs = train(config, ratings).epochs
    whole = train(variational(c.UserAutoRecConfig, training=still), ratings).epochs
    shares = [risen.terms["kl"] / at_once.terms["kl"] for risen, at_once in zip(epochs, whole, strict=True)]
    np.testing.assert_allclose(shares, [0, 1 / 3, 2 / 3, 1, 1], atol=1e-4)


@pytest.mark.parametrize("output", ["identity", "scaled"])
def test_items_are_encoded_once_by_the_means_of_their_codes(output):
    ratings = grid().with_scale((-100.0, 100.0))
    debias = FEW_BIASES if output == "identity" else None
    config = variational(c.ItemAutoRecConfig, code=3, output=output, debias=debias)
    biases = Biases.of_mean(ratings) if debias is None else Biases.solve(ratings, debias)
    rows = biases.removed_from(ratings).transposed()
    network = network_of(config, rows).eval()
    _, _, raw = written_out(network, rows, np.zeros((rows.n_users, 3)))
    low, high = rows.limits()
    outputs = raw if output == "identity" else low + (high - low) / (1 + np.exp(-raw))
    expected = biases.mean + biases.users[:, None] + biases.items + biases.deviation * outputs.T
    model = item_recommender(config, ratings, rows, biases, network)
    np.testing.assert_allclose(model.score(everyone(ratings)), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", [*KINDS, c.MultVAEConfig])
def test_drawn_codes_and_a_line_search_clash(kind):
    training = c.TrainingConfig().model_copy(update={"optimizer": "l-bfgs-b"})
    drawn = {} if kind is c.MultVAEConfig else {"bottleneck": {"kind": "gaussian"}}
    with pytest.raises(
        ValidationError, match="'l-bfgs-b' minimises one function of all rows, and codes that are"
    ):
        kind(training=training, **drawn)
    (kind if kind is not c.MultVAEConfig else c.MultDAEConfig)(training=training)


@pytest.mark.parametrize("setting", [{"code": 0}, {"beta": -1.0}, {"anneal_epochs": -1}, {"kind": "top"}])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValidationError):
        c.UserAutoRecConfig(bottleneck={"kind": "gaussian", **setting})
