"""The objective as a whole: its values and gradients, and parts that the house does not know yet."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from networks import drawn_network
from strategies import grid
from torch import nn
from toys import Scoring

from recsys_ae.data.histories import UserBatch
from recsys_ae.models.biases import Biases
from recsys_ae.models.network import NetworkRecommender
from recsys_ae.nn.autoencoder import Architecture, Autoencoder, Decoder
from recsys_ae.nn.bottleneck import Gaussian
from recsys_ae.nn.corruption import mask
from recsys_ae.nn.losses import Loss, masked_squared_error, multinomial
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.penalties import GaussianKL, L2Penalty
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import torch_generator
from recsys_ae.training.gradient import AutogradStep, GradientTrainee, constant, make_optimizer
from recsys_ae.training.loop import train_epochs
from recsys_ae.training.runner import Context, EpochRules, TrainingOptions, run_training
from recsys_ae.types import Mean

BATCH = RowBatch.of(grid().matrix)
PLAN = Architecture(grid().n_items, (5, 4), (3,), "tanh")
TIED = Architecture(grid().n_items, (5, 4, 3), (4, 5), "tanh", presence=2.0, anchored=True, tied=True)


def network_of(plan: Architecture = PLAN) -> Autoencoder:
    return drawn_network(plan)


class TiedOutput(nn.Module):
    """An output layer with the weights of the encoder's first layer and a bias of its own."""

    def __init__(self, first: nn.Module, n_columns: int) -> None:
        super().__init__()
        self.first = first
        self.bias = nn.Parameter(torch.zeros(n_columns))

    @property
    def weight(self) -> torch.Tensor:
        return self.first.weight

    def at(self, hidden: torch.Tensor, batch: RowBatch) -> torch.Tensor:
        rows = torch.repeat_interleave(torch.arange(batch.n_rows), batch.starts.diff())
        return self.pairs(hidden, rows, batch.columns.long())

    def pairs(self, hidden: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        return (hidden[rows] * self.weight[columns]).sum(dim=1) + self.bias[columns]

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(hidden, self.weight, self.bias)


class Drawn(nn.Module):
    """Codes drawn from a normal distribution in training, its mean otherwise."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spread = nn.Linear(width, width)

    def forward(self, encoding, generator):
        posterior = Gaussian(encoding, self.spread(encoding))
        if not self.training:
            return posterior.mean, posterior
        noise = torch.randn(encoding.shape, generator=generator, dtype=encoding.dtype)
        return posterior.mean + torch.exp(posterior.log_variance / 2) * noise, posterior


class Divergence(nn.Module):
    """Kullback-Leibler divergence to the standard normal, annealed with the steps; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, network, reconstruction, *, step, epoch):
        if self.training:
            with torch.no_grad():
                self.calls += 1
        mean, log_variance = reconstruction.posterior.mean, reconstruction.posterior.log_variance
        rows = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)
        return Mean(min(1.0, step / 10) * rows.sum(), len(rows))


def tied(network: Autoencoder) -> Autoencoder:
    decoder = Decoder((5,), PLAN.n_columns, "tanh", None)
    decoder.last = TiedOutput(network.encoder.first, PLAN.n_columns)
    return Autoencoder(network.encoder, network.bottleneck, decoder)


def variational(network: Autoencoder) -> Autoencoder:
    return Autoencoder(network.encoder, Drawn(4), network.decoder)


VARIANTS = {
    "shallow": (network_of(Architecture(PLAN.n_columns, (5,))), {}),
    "deep decoder": (network_of(), {"l2": L2Penalty(3.0, n_observed=20)}),
    "tied": (tied(network_of(Architecture(PLAN.n_columns, (5,)))), {"l2": L2Penalty(3.0, n_observed=20)}),
    "tied deep": (network_of(TIED), {"l2": L2Penalty(3.0, n_observed=20)}),
    "variational": (variational(network_of()), {"kl": Divergence(), "l2": L2Penalty(3.0, n_observed=20)}),
    "multinomial": (
        network_of(Architecture(PLAN.n_columns, (5,), (4,), "tanh", code=3)),
        {"kl": GaussianKL(0.7, anneal_epochs=0, entries_per_row=9.0)},
    ),
}


def loss_of(name: str) -> Loss:
    return multinomial if name == "multinomial" else masked_squared_error


@pytest.mark.parametrize("name", VARIANTS)
def test_gradient_is_that_of_finite_differences(name):
    """Of the sum of all terms, in float64: what `backward` leaves in the gradients of the parameters."""
    network, penalties = VARIANTS[name]
    network = network.double()
    batch = BATCH.with_values(BATCH.values.double())
    objective = Objective(corruption=partial(mask, probability=0.5), loss=loss_of(name), penalties=penalties)

    def terms():
        return objective(network, batch, step=5, epoch=1, generator=torch_generator(7, "test"))

    def total() -> float:
        with torch.no_grad():
            return float(sum(term.value for term in terms().values()))

    network.zero_grad()
    found = terms()
    assert set(found) == {"reconstruction", *penalties}
    objective.backward(network, found)
    rng = np.random.default_rng(0)
    for parameter in network.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for place in rng.integers(0, len(flat), 6):
            kept, values = flat[place].item(), []
            for change in (1e-5, -1e-5):
                flat[place] = kept + change
                values.append(total())
            flat[place] = kept
            expected = (values[0] - values[1]) / 2e-5
            assert gradient[place].item() == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("name", "n_matrices"), [("deep decoder", 4), ("tied", 1), ("tied deep", 3)])
def test_l2_is_half_of_lambda_times_the_squared_weights_without_biases(name, n_matrices):
    """Beside the mean over 20 entries; a weight that encoder and decoder share counts once."""
    network, penalties = VARIANTS[name]
    matrices = {id(p): p for p in network.parameters() if p.dim() == 2}
    assert len(matrices) == n_matrices
    expected = 3.0 / 2 / 20 * sum(float(p.detach().double().square().sum()) for p in matrices.values())
    term = penalties["l2"](network, network(BATCH.with_values(BATCH.values.double())), step=0, epoch=1)
    assert float(term.value) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("epoch", "share"), [(1, 0.0), (4, 0.3), (11, 1.0), (40, 1.0)])
def test_kl_is_that_of_torch_and_rises_with_the_epochs(epoch, share):
    network, _ = VARIANTS["multinomial"]
    reconstruction = network.float()(BATCH)
    found = GaussianKL(0.7, anneal_epochs=10, entries_per_row=9.0)(
        network, reconstruction, step=99, epoch=epoch
    )
    mean, log_variance = reconstruction.posterior.mean, reconstruction.posterior.log_variance
    normal = torch.distributions.Normal
    divergence = torch.distributions.kl_divergence(
        normal(mean, torch.exp(log_variance / 2)), normal(0.0, 1.0)
    )
    expected = 0.7 * share * float(divergence.detach().sum(dim=1).mean()) / 9
    assert float(found.value.detach()) == pytest.approx(expected, rel=1e-5)


def train(name: str, *, epochs: int = 3, context: Context | None = None):
    """Train a variant as models do, through the one loop and the one runner."""
    template, penalties = VARIANTS[name]
    state = {key: value.float().clone() for key, value in template.state_dict().items()}
    network = template.float()
    objective = Objective(loss=loss_of(name), penalties=penalties)
    for buffer in objective.buffers():
        buffer.zero_()
    optimizer = make_optimizer("adam", network.parameters(), learning_rate=0.02)
    noise = torch.Generator()

    def run(*, done):
        step = AutogradStep(
            partial(objective, network, generator=noise),
            partial(objective.backward, network),
            optimizer,
            constant,
        )

        def batches(epoch):
            noise.manual_seed(epoch)
            return [BATCH, BATCH]

        return train_epochs(step, batches, max_epochs=epochs, done=done)

    def fitted():
        assert not network.training
        matrix = grid().matrix
        biases = Biases.of_mean(grid())
        model = NetworkRecommender(grid().users, grid().items, network, limits=(0.0, 5.0), biases=biases)
        return model.score(UserBatch(np.full(12, -1), matrix))

    trainee = GradientTrainee(network, objective, optimizer, run, fitted)
    options = TrainingOptions(validator=Scoring(lambda scores: float(scores.mean())),
                              context=context or Context(), key="key")  # fmt: skip
    try:
        return run_training(trainee, EpochRules(epochs), options), objective
    finally:
        network.load_state_dict(state)


@pytest.mark.parametrize("name", VARIANTS)
def test_new_parts_train_through_the_same_loop_and_score_through_the_same_recommender(name):
    trained, objective = train(name, epochs=12)
    assert np.isfinite(trained.model).all()
    first, last = trained.epochs[1], trained.epochs[-1]
    assert last.terms["reconstruction"] < first.terms["reconstruction"]
    assert set(first.terms) == {"reconstruction", *VARIANTS[name][1]}
    if name == "variational":
        assert first.terms["kl"] == pytest.approx(first.terms["kl"])
        assert objective.penalties["kl"].calls == 24  # in training only, not when candidates score


def test_what_penalties_remember_is_resumed(tmp_path):
    """The step number and the buffers go on where they were; the result is that of a whole training."""
    import signal

    def press_ctrl_c(epoch):
        if epoch.number == 2:
            signal.raise_signal(signal.SIGINT)

    whole, _ = train("variational", epochs=6)
    stopped, _ = train("variational", epochs=6, context=Context(checkpoints=tmp_path, on_epoch=press_ctrl_c))
    assert stopped.interrupted
    resumed, objective = train("variational", epochs=6, context=Context(checkpoints=tmp_path, resume=True))
    assert objective.penalties["kl"].calls == 12
    np.testing.assert_array_equal(resumed.model, whole.model)
    assert [epoch.terms for epoch in resumed.epochs] == [epoch.terms for epoch in whole.epochs]
