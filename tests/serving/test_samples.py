"""Users who do not exist: rows like those of training, and the way from one user to another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import softmax
from synthetic import low_rank
from toys import fit

from recsys_ae.data.histories import Histories, UserBatch
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import CapabilityError, ConfigError, UnknownIdError
from recsys_ae.models import configs as c
from recsys_ae.rng import numpy_generator
from recsys_ae.serving import samples
from recsys_ae.serving.samples import sample, walk

TRAINING = c.TrainingConfig(epochs=60, batch_size=50, learning_rate=1e-2)
DRAWN = c.GaussianCodeConfig(code=4, beta=0.2, anneal_epochs=5)
CONFIGS = {
    "rating": c.UserAutoRecConfig(
        hidden=(32,), bottleneck=DRAWN, l2=2.0, corruption=None, training=TRAINING
    ),
    "share": c.MultVAEConfig(hidden=(16,), code=4, anneal_epochs=5, positive=3.5,
                             training=TRAINING.model_copy(update={"epochs": 15})),
}  # fmt: skip
KINDS = pytest.mark.parametrize("model", CONFIGS, indirect=True)


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    """Two tastes, and items that are better than others."""
    plain = low_rank(300, 30, rank=2, density=0.5, noise=0.2, seed=3)
    better = np.linspace(-1, 1, 30)[plain.columns]
    values = np.clip(plain.values + better, 1, 5).astype(np.float32)
    matrix = csr_array((values, plain.columns, plain.matrix.indptr), shape=(300, 30))
    return replace(plain, matrix=matrix)


@pytest.fixture(scope="module")
def models(ratings) -> dict:
    return {name: fit(config, ratings) for name, config in CONFIGS.items()}


@pytest.fixture
def model(request, models):
    return models[request.param]


@pytest.fixture(scope="module")
def rating_model(models):
    return models["rating"]


def histories(ratings: Ratings) -> Histories:
    return Histories(ratings.users, np.arange(ratings.n_users), ratings.matrix)


def whole_rows(frame, n_items: int = 30) -> np.ndarray:
    """(n, n_items) what is said of each item, items in the order of their ids."""
    numbered, _, item, said = frame.columns
    wide = frame.pivot(index=numbered, columns=item, values=said).to_numpy()
    assert wide.shape[1] == n_items
    return wide


def test_samples_are_rated_like_the_ratings_of_training(rating_model, ratings):
    """Items that are rated high are so in samples, those that please the same users do so in samples, and
    ratings differ from sample to sample by about as much as from user to user; within the scale."""
    rows = whole_rows(sample(rating_model, 400, seed=1, top=30).frame())
    assert rows.shape == (400, 30)
    assert rows.min() >= 1.0
    assert rows.max() <= 5.0
    dense = np.full(ratings.matrix.shape, np.nan)
    dense[ratings.rows(), ratings.columns] = ratings.values
    assert np.corrcoef(rows.mean(axis=0), np.nanmean(dense, axis=0))[0, 1] > 0.9
    assert np.abs(rows.mean(axis=0) - np.nanmean(dense, axis=0)).mean() < 0.25
    spread = rows.std(axis=0) / np.nanstd(dense, axis=0)
    assert 0.6 < spread.mean() < 1.3
    of_training, of_samples = np.ma.corrcoef(np.ma.masked_invalid(dense), rowvar=False), np.corrcoef(rows.T)
    pairs = np.triu_indices(30, 1)
    assert np.corrcoef(of_samples[pairs], of_training.filled(0)[pairs])[0, 1] > 0.9


def test_samples_of_likes_are_shares_like_those_of_training(models, ratings):
    rows = whole_rows(sample(models["share"], 300, seed=1, top=30).frame())
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-4)
    likes = np.bincount(ratings.columns[ratings.values >= 3.5], minlength=30)
    assert np.corrcoef(rows.mean(axis=0), likes)[0, 1] > 0.9
    assert (rows.std(axis=0) > 0.15 * rows.mean(axis=0))[likes > 0].all()


@KINDS
def test_samples_are_what_the_network_makes_of_standard_normal_codes(model):
    """By the output layer, and for ratings with the mean and the biases of the items put back."""
    parts, (weight, bias) = model.network.copied_parameters(), model.network.output_layer()
    found = whole_rows(sample(model, 2000, seed=5, top=30).frame())
    draws = numpy_generator(5, "samples").standard_normal((2000, 5), dtype=np.float32)
    codes = draws[:, :4]
    if model.predicts_ratings:
        empty = 1 / (1 + np.exp(-parts["encoder.first.bias"]))
        means = empty @ parts["bottleneck.posterior.weight"][:4].T + parts["bottleneck.posterior.bias"][:4]
        expected = (codes - means) @ weight.T + bias
        expected = model.biases.mean + model.biases.items + model.biases.deviation * expected
        expected += (model.biases.users.std() * draws[:, 4:]).astype(np.float32)
        expected = expected.clip(1, 5)
    else:
        weights, biases = (parts[f"decoder.hidden.layers.0.{name}"] for name in ("weight", "bias"))
        expected = softmax(np.tanh(codes @ weights.T + biases) @ weight.T + bias, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@KINDS
def test_a_seed_gives_the_same_rows_and_the_first_of_more(model):
    few, again = (sample(model, 3, seed=7, top=5).frame() for _ in range(2))
    assert few.equals(again)
    more = sample(model, 40, seed=7, top=5).frame()
    assert more[more["sample"] <= 3][["sample", "rank", "item"]].equals(few[["sample", "rank", "item"]])
    other = sample(model, 3, seed=8, top=5).frame()
    assert not other.iloc[:, 3].equals(few.iloc[:, 3])


@KINDS
def test_blocks_decide_nothing(model, ratings, monkeypatch):
    def everything():
        ends = {"start": 3, "end": 8}
        made_up = [sample(model, 23, top=4), walk(model, histories(ratings), **ends, steps=9, top=4)]
        return [whole.frame() for whole in made_up]

    expected = everything()
    monkeypatch.setattr(samples, "_CELLS_AT_ONCE", 4 * 30)
    assert len(list(sample(model, 23, top=4).blocks)) == 6
    for ours, whole in zip(everything(), expected, strict=True):
        assert ours.iloc[:, :3].equals(whole.iloc[:, :3])
        np.testing.assert_allclose(ours.iloc[:, 3], whole.iloc[:, 3], rtol=1e-5)


@KINDS
def test_a_list_is_the_best_of_its_row(model):
    frame, whole = (sample(model, 4, top=top).frame() for top in (5, 10**15))
    assert frame.columns[0] == "sample"
    assert frame["rank"].tolist() == [1, 2, 3, 4, 5] * 4
    assert frame["sample"].tolist() == np.repeat([1, 2, 3, 4], 5).tolist()
    assert len(whole) == 4 * 30
    assert whole[whole["rank"] <= 5].reset_index(drop=True).equals(frame)
    assert all(part.iloc[:, 3].is_monotonic_decreasing for _, part in whole.groupby("sample"))


@KINDS
def test_a_walk_goes_from_the_scores_of_one_user_to_those_of_the_other(model, ratings):
    frame = walk(model, histories(ratings), start=3, end=8, steps=5, top=30).frame()
    assert frame.columns[0] == "step"
    rows = whole_rows(frame)
    assert len(rows) == 5
    ends = model.score(UserBatch(np.array([3, 8]), ratings.matrix[[3, 8]]))
    ends = ends.clip(1, 5) if model.predicts_ratings else softmax(ends, axis=1)
    np.testing.assert_allclose(rows[[0, -1]], ends, rtol=1e-4, atol=1e-5)
    back = whole_rows(walk(model, histories(ratings), start=8, end=3, steps=5, top=30).frame())
    np.testing.assert_allclose(back[::-1], rows, rtol=1e-4, atol=1e-5)
    assert (np.abs(np.diff(rows, axis=0)).max(axis=1) > 0).all()


def test_codes_and_biases_change_in_equal_steps(rating_model, ratings):
    """Outputs are linear in the codes of such a network: what is not clipped moves in equal steps."""
    rows = whole_rows(walk(rating_model, histories(ratings), start=3, end=8, steps=6, top=30).frame())
    inside = ((rows > 1.0) & (rows < 5.0)).all(axis=0)
    assert inside.sum() > 5
    expected = np.linspace(rows[0], rows[-1], 6)[:, inside]
    np.testing.assert_allclose(rows[:, inside], expected, atol=1e-4)


def test_users_unseen_in_training_are_walked_between_by_their_histories(rating_model, ratings):
    unseen = Histories(ratings.users, np.full(ratings.n_users, -1), ratings.matrix)
    found, expected = (
        walk(rating_model, each, start=0, end=299).frame() for each in (unseen, histories(ratings))
    )
    assert found.equals(expected)


@pytest.mark.parametrize(
    "config",
    [
        c.BiasesConfig(),
        c.MultDAEConfig(hidden=(4,), training=c.TrainingConfig(epochs=1)),
        c.UserAutoRecConfig(hidden=(4,), training=c.TrainingConfig(epochs=1)),
        c.ItemAutoRecConfig(hidden=(4,), bottleneck=DRAWN, training=c.TrainingConfig(epochs=1)),
    ],
    ids=lambda config: config.kind,
)
def test_models_without_codes_to_draw_say_so(config, ratings):
    model = fit(config, ratings)
    with pytest.raises(CapabilityError, match=r"this model draws no codes of users, .* train mult-vae, or"):
        sample(model, 3)
    with pytest.raises(CapabilityError, match="this model draws no codes"):
        walk(model, histories(ratings), start=0, end=1)


def test_impossible_wishes_are_refused(rating_model, ratings):
    known = histories(ratings)
    for wish, sentence in (
        (lambda: sample(rating_model, 0), "n is 0, but must be at least 1"),
        (lambda: sample(rating_model, 2.5), "n must be a whole number, and is 2.5"),
        (lambda: sample(rating_model, 3, top=0), "top is 0, but must be at least 1"),
        (lambda: sample(rating_model, 3, seed=-1), "seed is -1, but must be at least 0"),
        (lambda: walk(rating_model, known, start=0, end=1, steps=1), "steps is 1, but must be at least 2"),
        (
            lambda: walk(rating_model, known, start=4, end="4"),
            "from the user 4 to the same one leads nowhere",
        ),
    ):
        with pytest.raises(ConfigError, match=sentence):
            wish()
    with pytest.raises(UnknownIdError, match="the user 'nobody' is unknown"):
        walk(rating_model, known, start=0, end="nobody")
    with pytest.raises(UnknownIdError, match="the user 300 is unknown"):
        walk(rating_model, known, start=300, end=0)


def test_absurd_numbers_are_cut_and_tables_beyond_memory_refused(rating_model, ratings, caplog, monkeypatch):
    assert sample(rating_model, 10**30).n == samples.MOST_ROWS
    assert "n is 1000000000000000000000000000000: cut to 100000" in caplog.text
    assert walk(rating_model, histories(ratings), start=0, end=1, steps=10**6).n == samples.MOST_ROWS
    assert "steps is 1000000: cut to 100000" in caplog.text
    monkeypatch.setattr(samples, "MOST_IN_MEMORY", 100)
    assert len(sample(rating_model, 10, top=10).frame()) == 100
    with pytest.raises(ConfigError, match="11 lists of 10 items are more than a table of 100 rows holds"):
        sample(rating_model, 11, top=10).frame()
