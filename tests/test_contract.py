"""What every model promises, whatever its config. A kind of model that is missing from CONFIGS fails here."""

from __future__ import annotations

import pickle
import signal
from typing import get_args

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array
from toys import everyone, fit, train

from recsys_ae.data.histories import Histories, UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings, select_rows
from recsys_ae.errors import CapabilityError, DataError
from recsys_ae.models import configs as c
from recsys_ae.models.codec import fingerprint_of
from recsys_ae.models.penalty_configs import PenaltyConfig
from recsys_ae.models.storage import load_model, save_model
from recsys_ae.recommender import Recommender
from recsys_ae.serving.workers import in_order, one_thread_each
from recsys_ae.types import Epoch

TRAINING = c.TrainingConfig(epochs=40, batch_size=64, learning_rate=1e-2, patience=None)
PRETRAINING = c.PretrainingConfig(epochs=10)
LBFGS = c.TrainingConfig(optimizer="l-bfgs-b", epochs=4, iterations_per_epoch=10, patience=None)
RPROP = c.TrainingConfig(optimizer="rprop", epochs=4, iterations_per_epoch=10, patience=None)
REFEED = TRAINING.model_copy(update={"refeed": 1, "epochs": 15})
ADAMW = TRAINING.model_copy(update={"optimizer": "adamw", "weight_decay": 0.1})
CALM = TRAINING.model_copy(update={"learning_rate": 5e-3})  # noise in the codes makes rounding grow
DRAWN = c.GaussianCodeConfig(code=3, beta=0.1, anneal_epochs=5)
CONFIGS: dict[str, c.ModelConfig] = {
    "i-autorec-noisy": c.ItemAutoRecConfig(
        hidden=(12, 8),
        output="scaled",
        debias=None,
        l2=1.0,
        corruption=c.GaussianNoiseConfig(),
        training=TRAINING,
    ),
    "u-autorec-noisy": c.UserAutoRecConfig(
        hidden=(12, 8), output="scaled", debias=None, l2=1.0, training=TRAINING
    ),
    "u-autorec-linear": c.UserAutoRecConfig(hidden=(8,), activation="identity", training=TRAINING),
    "i-autorec-tied": c.ItemAutoRecConfig(
        hidden=(16,), tied=True, l2=0.2, corruption=None, training=TRAINING
    ),
    "u-autorec-mirror": c.UserAutoRecConfig(
        hidden=(16, 8), decoder="mirror", l2=0.2, corruption=None, training=TRAINING
    ),
    "u-autorec-tied": c.UserAutoRecConfig(
        hidden=(16, 8), decoder="mirror", tied=True, l2=0.2, hidden_dropout=0.1, training=TRAINING
    ),
    "i-autorec-stacked": c.ItemAutoRecConfig(
        hidden=(16, 8), decoder="mirror", l2=0.2, pretraining=PRETRAINING, training=TRAINING
    ),
    "u-autorec-stacked": c.UserAutoRecConfig(
        hidden=(16, 8),
        decoder="mirror",
        tied=True,
        l2=0.2,
        hidden_dropout=0.1,
        corruption=c.GaussianNoiseConfig(),
        pretraining=PRETRAINING,
        training=TRAINING,
    ),
    "i-vae": c.ItemAutoRecConfig(hidden=(16,), bottleneck=DRAWN, l2=1.0, corruption=None, training=CALM),
    "u-vae": c.UserAutoRecConfig(hidden=(16,), bottleneck=DRAWN, l2=1.0, corruption=None, training=CALM),
    "mult-dae": c.MultDAEConfig(hidden=(16, 8), l2=0.1, training=TRAINING),
    "mult-vae": c.MultVAEConfig(hidden=(16,), code=8, anneal_epochs=10, positive=2.0, training=TRAINING),
    "mult-dae-l-bfgs-b": c.MultDAEConfig(hidden=(16, 8), l2=0.1, training=LBFGS),
    "rbm": c.RBMConfig(hidden=12, l2=0.05, training=TRAINING),
    "rbm-conditional": c.RBMConfig(
        hidden=12, levels=4, conditional=True, steps=2, grow_every=20, l2=0.05, training=TRAINING
    ),
    "implicit-autorec": c.ImplicitAutoRecConfig(hidden=(16,), l2=0.1, training=TRAINING),
    "implicit-autorec-sampled": c.ImplicitAutoRecConfig(
        hidden=(16, 8), loss=c.SampledLossConfig(power=0.5), positive=2.0, l2=0.1, training=TRAINING
    ),
    "mean": c.MeanConfig(),
    "biases": c.BiasesConfig(),
    "popularity": c.PopularityConfig(),
    "popularity-positive": c.PopularityConfig(positive=3.0),
    "u-autorec-free": c.UserAutoRecConfig(
        hidden=(16,), presence="free", anchored=False, l2=0.2, corruption=None, training=TRAINING
    ),
    "i-autorec-values": c.ItemAutoRecConfig(
        hidden=(8,), activation="identity", presence="none", l2=0.2, corruption=None, training=TRAINING
    ),
    "biased-mf": c.BiasedMFConfig(
        factors=4, l2=0.3, biases=c.BiasesConfig(item_damping=0.3, user_damping=0.3)
    ),
    "bayesian-mf": c.BayesianMFConfig(factors=4, sweeps=60, samples=8),
    "bayesian-mf-plain": c.BayesianMFConfig(factors=4, sweeps=60, samples=8, implicit="none"),
    "als": c.ALSConfig(factors=4, l2=0.1),
    "als-positive": c.ALSConfig(factors=4, l2=0.1, positive=3.0),
    "bpr": c.BPRConfig(factors=4, epochs=300, learning_rate=0.1),
    "item-knn": c.ItemKNNConfig(weighting="cosine"),
    "item-knn-tfidf": c.ItemKNNConfig(weighting="tfidf", positive=3.0),
    "item-knn-bm25": c.ItemKNNConfig(weighting="bm25"),
    "ease": c.EASEConfig(),
    "ease-positive": c.EASEConfig(l2=0.3, positive=3.0),
    "edlae": c.EDLAEConfig(),
    "dlae": c.DLAEConfig(dropout=0.3),
    "pca": c.PCAConfig(factors=2, biases=c.BiasesConfig(item_damping=0.3, user_damping=0.3)),
    "pure-svd": c.PureSVDConfig(factors=4),
    "pure-svd-positive": c.PureSVDConfig(factors=4, positive=3.0),
}
OF_BOTH_SIDES: dict[str, dict] = {
    "": {"corruption": None},
    "-l-bfgs-b": {"hidden": (8,), "corruption": None, "training": LBFGS},
    "-rprop": {"hidden": (8,), "training": RPROP},
    "-salt-and-pepper": {"corruption": c.SaltAndPepperConfig(), "emphasis": c.EmphasisConfig()},
    "-masked": {
        "corruption": c.MaskingConfig(probability=0.3, rescale=False),
        "emphasis": c.EmphasisConfig(corrupted=2.0, uncorrupted=1.0),
        "training": ADAMW,
    },
    "-refeed": {"training": REFEED},
}
CONFIGS |= {
    f"{side}-autorec{name}": kind(**{"hidden": (16,), "l2": 0.2, "training": TRAINING, **settings})
    for side, kind in (("i", c.ItemAutoRecConfig), ("u", c.UserAutoRecConfig))
    for name, settings in OF_BOTH_SIDES.items()
}
_KL = {"kind": "kl-sparse", "rho": 0.3, "beta": 0.01}  # mild: a steep slope makes much of rounding
SPARSE: dict[str, dict] = {
    "kl-sparse-running": {"penalty": {**_KL, "over": "running"}},
    "kl-sparse-data": {"penalty": {**_KL, "over": "data"}},
    "top-k": {"activation": "relu", "bottleneck": {"kind": "top-k", "k": 5}},  # no ties where units saturate
}
PENALTIES = [member() for member in get_args(get_args(PenaltyConfig)[0])]  # each with its defaults
CONFIGS |= {
    f"u-autorec-{penalty.kind}": c.UserAutoRecConfig(
        hidden=(16,), l2=0.2, corruption=None, penalty=penalty, training=TRAINING
    )
    for penalty in PENALTIES
}
CONFIGS |= {
    f"i-autorec-{name}": c.ItemAutoRecConfig(
        hidden=(16,), l2=0.2, corruption=None, training=TRAINING, **settings
    )
    for name, settings in SPARSE.items()
}
CONFIGS["u-autorec-top-k"] = c.UserAutoRecConfig(
    hidden=(16,), anchored=False, l2=0.2, corruption=None, training=TRAINING, bottleneck=c.TopKConfig(k=5)
)
RATES = {"i-autorec", "u-autorec", "rbm", "mean", "biases", "biased-mf", "bayesian-mf", "pca"}
RANKS = {
    "i-autorec",
    "u-autorec",
    "rbm",
    "biases",
    "popularity",
    "biased-mf",
    "bayesian-mf",
    "als",
    "bpr",
    "item-knn",
    "mult-dae",
    "mult-vae",
    "implicit-autorec",
    "ease",
    "edlae",
    "dlae",
    "pca",
    "pure-svd",
}
FOLDS_IN = {
    "i-autorec",
    "u-autorec",
    "rbm",
    "mean",
    "biases",
    "popularity",
    "biased-mf",
    "bayesian-mf",
    "als",
    "item-knn",
    "mult-dae",
    "mult-vae",
    "implicit-autorec",
    "ease",
    "edlae",
    "dlae",
    "pca",
    "pure-svd",
}
PERSONAL = [name for name, config in CONFIGS.items() if config.kind not in {"mean", "biases", "popularity"}]

COLD_USERS, COLD_ITEMS = [7, 49], [0, 39]


def make_ratings(
    rows: np.ndarray, columns: np.ndarray, values: np.ndarray, shape: tuple[int, int]
) -> Ratings:
    cells = coo_array((values.astype(np.float32), (rows, columns)), shape=shape)
    users = IdMap(np.array(sorted(f"u{n:03}" for n in range(shape[0])), dtype=object))
    return Ratings(csr_array(cells), users, IdMap(np.arange(shape[1]) * 10), scale=(-1.0, 5.0))


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    """50 × 40, values -1 to 5 with stored zeros and negatives; two users and two items without ratings."""
    rng = np.random.default_rng(8)
    seen = rng.random((50, 40)) < 0.3
    seen[COLD_USERS], seen[:, COLD_ITEMS] = False, False
    rows, columns = np.argwhere(seen).T
    tastes = rng.normal(size=(50, 2)) @ rng.normal(size=(2, 40))
    made = make_ratings(rows, columns, np.clip(np.round(2 + 1.5 * tastes[rows, columns]), -1, 5), (50, 40))
    assert (made.values == 0).any()
    assert (made.values < 0).any()
    return made


@pytest.fixture(scope="module", params=CONFIGS)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(name, ratings) -> Recommender:
    return fit(CONFIGS[name], ratings, seed=5)


def strangers(ratings: Ratings) -> UserBatch:
    return UserBatch(np.full(ratings.n_users, -1), ratings.matrix)


def test_every_kind_of_model_is_here():
    union = get_args(c.ModelConfig)[0]
    kinds = {member.model_fields["kind"].default for member in get_args(union)}
    assert kinds == {config.kind for config in CONFIGS.values()}


def test_capabilities_are_what_is_documented(name, model):
    kind = CONFIGS[name].kind
    assert model.predicts_ratings == (kind in RATES)
    assert model.ranks == (kind in RANKS)
    assert model.folds_in == (kind in FOLDS_IN)
    assert isinstance(model, Recommender)


def test_scores_are_a_finite_float32_block(model, ratings):
    scores = model.score(everyone(ratings))
    assert isinstance(scores, np.ndarray)
    assert scores.dtype == np.float32
    assert scores.shape == ratings.matrix.shape
    assert np.isfinite(scores).all()


def test_predicted_ratings_stay_in_the_scale_and_follow_the_ratings(name, model, ratings):
    if not model.predicts_ratings:
        pytest.skip("predicts no ratings")
    users, items = np.divmod(np.arange(50 * 40), 40)
    predicted = model.score_pairs(everyone(ratings), users, items)
    assert predicted.min() >= -1.0
    assert predicted.max() <= 5.0
    errors = predicted.reshape(50, 40)[ratings.rows(), ratings.columns] - ratings.values
    limit = ratings.values.std() * (1.001 if name == "mean" else 0.97)
    assert np.sqrt(np.mean(errors**2)) < limit


def test_fitting_again_gives_the_same_scores_bit_for_bit_and_leaves_the_ratings_alone(
    name, model, ratings, tmp_path
):
    """A training over epochs is stopped half-way, and resumed."""
    config, before = CONFIGS[name], ratings.fingerprint()

    def stop(epoch: Epoch) -> None:
        if epoch.number == config.max_epochs // 2:
            signal.raise_signal(signal.SIGINT)

    if config.trains_in_epochs:
        stopped = train(config, ratings, seed=5, checkpoints=tmp_path, on_epoch=stop)
        assert stopped.interrupted
        resumed = train(config, ratings, seed=5, checkpoints=tmp_path, resume=True)
        assert resumed.epochs[: len(stopped.epochs)] == stopped.epochs  # told again, not trained again
        again = resumed.model
    else:
        again = fit(config, ratings, seed=5)
    np.testing.assert_array_equal(again.score(everyone(ratings)), model.score(everyone(ratings)))
    assert ratings.fingerprint() == before


def test_scoring_twice_gives_the_same_scores(model, ratings):
    np.testing.assert_array_equal(model.score(everyone(ratings)), model.score(everyone(ratings)))


def test_scoring_leaves_the_history_alone(model, ratings):
    history = ratings.matrix.copy()
    positions = np.arange(ratings.n_users)
    model.score(UserBatch(positions, history))
    model.score_pairs(UserBatch(positions, history), np.array([0, 1]), np.array([3, 4]))
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(history, part), getattr(ratings.matrix, part))
    np.testing.assert_array_equal(positions, np.arange(ratings.n_users))


def test_a_saved_model_scores_the_same_bit_for_bit(model, ratings, tmp_path):
    histories = Histories(ratings.users, np.arange(ratings.n_users), ratings.matrix)
    save_model(tmp_path / "model", model, histories=histories, info={"seed": 5})
    stored = load_model(tmp_path / "model")
    again = stored.recommender
    np.testing.assert_array_equal(again.score(everyone(ratings)), model.score(everyone(ratings)))
    assert again.users.ids.tolist() == ratings.users.ids.tolist()
    assert again.items.ids.tolist() == ratings.items.ids.tolist()
    for promise in ("kind", "predicts_ratings", "ranks", "folds_in"):
        assert getattr(again, promise) == getattr(model, promise)
    assert fingerprint_of(again) == fingerprint_of(model)
    np.testing.assert_array_equal(stored.histories.matrix.toarray(), ratings.matrix.toarray())
    if model.folds_in:
        np.testing.assert_array_equal(again.score(strangers(ratings)), model.score(strangers(ratings)))


def test_a_pickled_model_scores_the_same(model, ratings):
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.score(everyone(ratings)), model.score(everyone(ratings)))


def test_blocks_scored_by_several_threads_have_the_same_bits(model, ratings):
    batches = [
        UserBatch(users, select_rows(ratings.matrix, users)) for users in np.array_split(np.arange(50), 9)
    ]
    with one_thread_each():
        one_by_one = np.vstack([model.score(batch) for batch in batches])
        at_once = np.vstack(list(in_order(model.score, batches, workers=4)))
    np.testing.assert_array_equal(at_once, one_by_one)


def test_the_size_of_a_batch_does_not_matter(model, ratings):
    whole = model.score(everyone(ratings))
    users = np.arange(50)[:, None]
    single = [model.score(UserBatch(user, select_rows(ratings.matrix, user))) for user in users]
    np.testing.assert_allclose(np.vstack(single), whole, rtol=1e-4, atol=1e-5)


def test_the_order_of_users_does_not_matter(model, ratings):
    order = np.random.default_rng(0).permutation(50)
    shuffled = model.score(UserBatch(order, select_rows(ratings.matrix, order)))
    np.testing.assert_allclose(shuffled, model.score(everyone(ratings))[order], rtol=1e-4, atol=1e-5)


def test_an_empty_batch_is_an_empty_block(model, ratings):
    nobody = UserBatch(np.empty(0, dtype=np.int64), select_rows(ratings.matrix, np.empty(0, dtype=np.int64)))
    assert model.score(nobody).shape == (0, 40)
    assert model.score_pairs(nobody, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)).shape == (0,)


def test_pairs_are_cells_of_the_block(model, ratings):
    rng = np.random.default_rng(1)
    rows, items = rng.integers(0, 50, 300), rng.integers(0, 40, 300)
    pairs = model.score_pairs(everyone(ratings), rows, items)
    assert pairs.dtype == np.float32
    expected = model.score(everyone(ratings))[rows, items]
    if model.predicts_ratings:
        expected = expected.clip(*ratings.scale)
    np.testing.assert_allclose(pairs, expected, rtol=1e-4, atol=1e-5)


def test_unseen_users_are_folded_in_or_refused(model, ratings):
    if not model.folds_in:
        with pytest.raises(CapabilityError, match="not seen in training"):
            model.score(strangers(ratings))
        return
    scores = model.score(strangers(ratings))
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    empty = UserBatch(np.array([-1]), csr_array((1, 40), dtype=np.float32))
    assert np.isfinite(model.score(empty)).all()


def test_a_user_without_training_ratings_is_read_from_the_history_like_an_unseen_one(model, ratings):
    """Such as one whose ratings all chose the epoch: the user has a place, and nothing was learnt."""
    if not model.folds_in:
        pytest.skip("reads no history")
    history = select_rows(ratings.matrix, np.array([1, 2]))
    placed = model.score(UserBatch(np.array(COLD_USERS), history))
    np.testing.assert_array_equal(placed, model.score(UserBatch(np.array([-1, -1]), history)))


def test_folding_in_uses_the_history(name, model, ratings):
    if not model.folds_in or CONFIGS[name].kind in {"mean", "popularity"}:
        pytest.skip("reads no history")
    scores = model.score(strangers(ratings))
    assert (scores[1] != scores[2]).any()


def test_users_and_items_without_training_ratings_get_finite_scores(model, ratings):
    scores = model.score(everyone(ratings))
    assert np.isfinite(scores[COLD_USERS]).all()
    assert np.isfinite(scores[:, COLD_ITEMS]).all()


def test_cold_users_are_all_alike(model, ratings):
    first, second = model.score(everyone(ratings))[COLD_USERS]
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


def test_stored_zeros_are_ratings(name, model, ratings):
    """Training without the zeros is another training set, and gives another model."""
    without = fit(CONFIGS[name], ratings.keep(ratings.values != 0), seed=5)
    differ = (without.score(everyone(ratings)) != model.score(everyone(ratings))).any()
    assert differ == (getattr(CONFIGS[name], "positive", None) is None)


def test_nothing_but_zeros_can_be_learnt(name, ratings):
    zeros = make_ratings(ratings.rows(), ratings.columns, np.zeros(ratings.n_observed), (50, 40))
    if getattr(CONFIGS[name], "positive", None) is not None and CONFIGS[name].kind != "popularity":
        with pytest.raises(DataError):
            fit(CONFIGS[name], zeros)
        return
    model = fit(CONFIGS[name], zeros, seed=5)
    scores = model.score(everyone(zeros))
    assert np.isfinite(scores).all()
    if model.predicts_ratings:
        assert np.abs(scores[zeros.rows(), zeros.columns]).mean() < 0.5


def test_nothing_to_learn_from_is_a_sentence(name, ratings):
    with pytest.raises(DataError, match="no ratings left"):
        fit(CONFIGS[name], ratings.keep(np.zeros(ratings.n_observed, dtype=bool)))


def test_a_single_rating_can_be_learnt(name, ratings):
    one = ratings.keep(np.arange(ratings.n_observed) == int(np.argmax(ratings.values)))
    assert one.values[0] >= 3.0  # it is positive for all configs
    assert np.isfinite(fit(CONFIGS[name], one).score(everyone(one))).all()


def checkerboard(n: int, *, explicit: bool) -> Ratings:
    """Even users like even items and odd users odd ones; the diagonal is withheld. `explicit`: the liked
    half is rated 5 and the other half 1, but for one unrated item a user; else the liked half alone is
    observed."""
    user, item = np.indices((n, n))
    liked = (user + item) % 2 == 0
    seen = (liked | ((item - user) % n != 1)) if explicit else liked.copy()
    np.fill_diagonal(seen, False)
    rows, columns = np.argwhere(seen).T
    return make_ratings(rows, columns, np.where(liked, 5.0, 1.0)[rows, columns], (n, n))


@pytest.mark.parametrize("name", PERSONAL)
def test_the_withheld_diagonal_of_a_checkerboard_comes_first(name):
    """Of all that a user has not seen, the withheld item alone is of the user's kind."""
    board = checkerboard(20, explicit=CONFIGS[name].kind in RATES)
    scores = fit(CONFIGS[name], board, seed=1).score(everyone(board))
    scores[board.rows(), board.columns] = -np.inf
    assert (scores.argmax(axis=1) == np.arange(20)).mean() >= 0.9
