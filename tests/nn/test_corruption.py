"""Inputs made worse on purpose, what the loss knows of them, and that nobody else ever sees them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from networks import drawn_network
from pydantic import ValidationError
from scipy.sparse import csr_array
from strategies import grid, small_ratings
from toys import fit

from recsys_ae.data.histories import UserBatch
from recsys_ae.models import configs as c
from recsys_ae.models.biases import Biases
from recsys_ae.models.parts import make_corruption, make_objective
from recsys_ae.nn.autoencoder import Architecture
from recsys_ae.nn.corruption import add_noise, keep_clean, mask, salt_and_pepper
from recsys_ae.nn.losses import emphasised_squared_error, masked_squared_error
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import torch_generator

CORRUPTIONS = {
    "none": keep_clean,
    "masking": partial(mask, probability=0.4),
    "masking without rescale": partial(mask, probability=0.4, rescale=False),
    "noise": partial(add_noise, deviation=0.3),
    "salt and pepper": partial(salt_and_pepper, probability=0.4, limits=(-2.0, 7.0)),
}


def long_batch(n: int = 100_000) -> RowBatch:
    values = np.full(n, 3.0, dtype=np.float32)
    return RowBatch.of(csr_array((values, np.arange(n), np.array([0, n])), shape=(1, n)))


@pytest.mark.parametrize("name", CORRUPTIONS)
@given(ratings=small_ratings())
def test_observed_entries_alone_are_corrupted_and_marked(name, ratings):
    """The pattern stays, the clean batch too, and what is not marked is read as it was, up to one factor."""
    clean = RowBatch.of(ratings.matrix)
    before = clean.values.clone()
    read = CORRUPTIONS[name](clean, torch_generator(0, "test"))
    for part in ("starts", "columns", "column_starts", "rows", "order"):
        assert getattr(read, part) is getattr(clean, part)
    assert torch.equal(clean.values, before)
    assert clean.corrupted is None
    marked = torch.zeros(len(before), dtype=torch.bool) if read.corrupted is None else read.corrupted
    assert marked.shape == before.shape
    factor = 1 / (1 - 0.4) if name == "masking" else 1.0
    torch.testing.assert_close(read.values[~marked], factor * before[~marked])
    if name.startswith("masking"):
        assert not read.values[marked].any()
        assert not read.presence[marked].any()
        torch.testing.assert_close(read.presence[~marked], torch.full_like(before[~marked], factor))
    if name == "salt and pepper":
        assert set(read.values[marked].tolist()) <= {-2.0, 7.0}
        assert read.presence is None


def test_salt_and_pepper_are_as_likely_and_as_many_as_stated():
    read = salt_and_pepper(long_batch(), torch_generator(0, "test"), probability=0.3, limits=(1.0, 5.0))
    shares = [float((read.values == value).float().mean()) for value in (1.0, 3.0, 5.0)]
    assert shares == pytest.approx([0.15, 0.7, 0.15], abs=0.006)
    assert float(read.corrupted.float().mean()) == pytest.approx(0.3, abs=0.006)
    everything = salt_and_pepper(long_batch(99), torch_generator(0, "test"), probability=1.0, limits=(1, 5))
    assert everything.corrupted.all()


def test_masking_without_rescaling_leaves_what_is_seen_as_it_is():
    plain = mask(long_batch(), torch_generator(0, "test"), probability=0.3, rescale=False)
    scaled = mask(long_batch(), torch_generator(0, "test"), probability=0.3)
    assert set(plain.values.tolist()) == {0.0, 3.0}
    torch.testing.assert_close(scaled.values, plain.values / 0.7)
    assert plain.values.dtype == plain.presence.dtype == torch.float32
    assert float(plain.corrupted.float().mean()) == pytest.approx(0.3, abs=0.006)


@given(small_ratings(min_observed=1))
def test_emphasised_loss_is_the_double_loop(ratings):
    """Over entries with their own weights, divided by the number of entries."""
    clean = RowBatch.of(ratings.matrix)
    chosen = np.random.default_rng(0).random(ratings.n_observed) < 0.4
    marked = clean.marked(torch.from_numpy(chosen))
    reconstruction = drawn_network(Architecture(ratings.n_items, (3,)))(clean)
    outputs = reconstruction.dense().tolist()
    expected = 0.0
    for row in range(ratings.n_users):
        for place in range(ratings.matrix.indptr[row], ratings.matrix.indptr[row + 1]):
            error = outputs[row][ratings.columns[place]] - float(ratings.values[place])
            expected += (1.5 if chosen[place] else 0.25) * error**2
    found = emphasised_squared_error(reconstruction, marked, corrupted=1.5, uncorrupted=0.25)
    assert found.count == ratings.n_observed
    assert float(found.sum.detach()) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    plain = emphasised_squared_error(reconstruction, clean, corrupted=1.5, uncorrupted=0.25)
    whole = masked_squared_error(reconstruction, clean)
    assert float(plain.sum.detach()) == pytest.approx(0.25 * float(whole.sum.detach()), rel=1e-4)


def test_the_objective_tells_the_loss_what_it_corrupted():
    """The input that was read is found again by drawing once more from the same stream."""
    clean, network = (
        RowBatch.of(grid().matrix),
        drawn_network(Architecture(grid().n_items, (4,), presence=1.0)),
    )
    corrupt = CORRUPTIONS["salt and pepper"]
    loss = partial(emphasised_squared_error, corrupted=2.0, uncorrupted=0.5)
    objective = Objective(corruption=corrupt, loss=loss)
    found = objective(network, clean, step=0, epoch=1, generator=torch_generator(5, "test"))["reconstruction"]
    read = corrupt(clean, torch_generator(5, "test"))
    errors = (network(read).at(clean) - clean.values).square()
    expected = (2.0 * errors[read.corrupted]).sum() + (0.5 * errors[~read.corrupted]).sum()
    assert 0 < int(read.corrupted.sum()) < len(errors)
    torch.testing.assert_close(found.sum, expected)


@pytest.mark.parametrize(
    "corruption", [c.MaskingConfig(probability=0.3), c.SaltAndPepperConfig(probability=0.2)]
)
def test_an_entry_counts_1_on_average_so_that_l2_keeps_its_meaning(corruption):
    """Where all errors are 1 in expectation, the loss is 1 whatever the emphasis."""
    emphasis = c.EmphasisConfig(corrupted=3.0, uncorrupted=1.0)
    config = c.UserAutoRecConfig(corruption=corruption, emphasis=emphasis)
    rows = Biases.of_mean(grid()).removed_from(grid())
    loss = make_objective(config, rows).loss
    weights = loss.keywords
    share = corruption.probability
    assert weights["corrupted"] == pytest.approx(3 * weights["uncorrupted"])
    assert share * weights["corrupted"] + (1 - share) * weights["uncorrupted"] == pytest.approx(1.0)
    assert make_objective(c.UserAutoRecConfig(), rows).loss is masked_squared_error


def test_salt_and_pepper_are_the_ends_of_the_scale_in_the_units_of_the_rows():
    """Declared or not; without biases they are what the lowest and the highest rating of all become."""
    corruption = c.SaltAndPepperConfig(probability=1.0)
    for ratings in (grid(), grid().with_scale((-3.0, 9.0))):
        biases = Biases.of_mean(ratings)
        rows = biases.removed_from(ratings)
        read = make_corruption(c.ItemAutoRecConfig(corruption=corruption), rows)(
            RowBatch.of(rows.matrix), torch_generator(0, "test")
        )
        ends = np.unique(read.values.numpy() * biases.deviation + biases.mean)
        np.testing.assert_allclose(ends, ratings.limits(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("rescale", "strength"), [(True, 2.0), (False, 1.0)])
def test_settings_say_whether_masked_rows_are_scaled_up(rescale, strength):
    corrupt = make_corruption(c.ItemAutoRecConfig(corruption=c.MaskingConfig(rescale=rescale)), grid())
    read = corrupt(RowBatch.of(grid().matrix), torch_generator(0, "test"))
    assert set(read.presence.tolist()) == {0.0, strength}


@pytest.mark.parametrize("kind", [c.ItemAutoRecConfig, c.UserAutoRecConfig])
def test_corruption_is_of_training_alone(kind):
    """A model that was never trained scores the same whatever the corruption; so does one scored twice."""
    everyone = UserBatch(np.arange(grid().n_users), grid().matrix)
    corruptions = [None, c.SaltAndPepperConfig(probability=0.9), c.MaskingConfig(rescale=False)]
    untrained = [
        fit(kind(hidden=(4,), corruption=corruption, training={"epochs": 0}), grid()).score(everyone)
        for corruption in corruptions
    ]
    trained = [
        fit(kind(hidden=(4,), corruption=each, training={"epochs": 3}), grid()) for each in corruptions
    ]
    for scores in untrained:
        np.testing.assert_array_equal(scores, untrained[0])
    for model in trained:
        np.testing.assert_array_equal(model.score(everyone), model.score(everyone))
    assert (trained[1].score(everyone) != trained[2].score(everyone)).any()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"corruption": None}, "'emphasis' .* corruption null corrupts no input; set emphasis: null"),
        ({"corruption": c.GaussianNoiseConfig()}, "'emphasis' .* corruption gaussian corrupts every input"),
        ({"corruption": c.MaskingConfig(probability=0.0)}, "'emphasis' .* masking corrupts no input"),
        ({"corruption": c.SaltAndPepperConfig(probability=0.0)}, "'emphasis' .* corrupts no input"),
        ({"corruption": c.SaltAndPepperConfig(probability=1.0)}, "'emphasis' .* corrupts every input"),
        ({"emphasis": {"corrupted": 0, "uncorrupted": 0}}, "'emphasis' leaves no entry to learn from"),
    ],
)
def test_emphasis_needs_entries_of_both_kinds(settings, sentence):
    with pytest.raises(ValidationError, match=sentence):
        c.ItemAutoRecConfig(**{"emphasis": c.EmphasisConfig(), **settings})


@pytest.mark.parametrize("kind", [c.MultDAEConfig, c.MultVAEConfig])
def test_likes_have_no_ends_of_a_scale(kind):
    with pytest.raises(
        ValidationError, match=r"'salt-and-pepper' .* likes have none; set corruption: .*masking"
    ):
        kind(corruption=c.SaltAndPepperConfig())


@pytest.mark.parametrize("kind", [c.MultDAEConfig, c.ImplicitAutoRecConfig])
def test_noise_in_likes_is_a_share_of_what_is_read_of_them(kind):
    """A like of a row of 10,000 is read as 0.01."""
    corrupt = make_corruption(kind(corruption=c.GaussianNoiseConfig(deviation=0.5)), grid())
    clean = long_batch(10_000).with_values(torch.full((10_000,), 0.01))
    noise = (corrupt(clean, torch_generator(0, "test")).values - clean.values).numpy()
    assert noise.std() == pytest.approx(0.005, rel=0.05)
