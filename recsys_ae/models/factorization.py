"""Models of implicit feedback, fitted by the library implicit (its only importer)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import assert_never

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from implicit.recommender_base import ModelFitError
from implicit.utils import ParameterWarning
from scipy.sparse import csr_array, csr_matrix
from threadpoolctl import threadpool_limits

from recsys_ae.data.ratings import Ratings, entry_rows
from recsys_ae.errors import DivergenceError
from recsys_ae.models.configs import ALSConfig, BPRConfig, ItemKNNConfig
from recsys_ae.models.factors import FactorRecommender
from recsys_ae.models.folding import ConfidenceFoldIn
from recsys_ae.models.linear import LinearRecommender
from recsys_ae.models.positives import Likes, confidences, least_liked, spread
from recsys_ae.rng import derived_seed
from recsys_ae.training.runner import Trained, TrainingOptions
from recsys_ae.types import Epoch

_NEIGHBOURS = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}


def fit_implicit(
    config: ALSConfig | BPRConfig | ItemKNNConfig, train: Ratings, options: TrainingOptions
) -> Trained[FactorRecommender] | Trained[LinearRecommender]:
    """Fit to the liked items alone, on the CPU; the same seed gives the same model whatever the number of
    threads. All epochs are run: these models are not validated on the way. Users and items without likes are
    not told to the library, so that they cannot change its draws or its weights; they score 0.

    Raises DataError where no rating reaches `config.positive`, DivergenceError where factors overflow.
    """
    config = config.model_copy(update={"positive": least_liked(config.positive, train.feedback)})
    likes = Likes.of(train, config.positive, kind=config.kind)
    with threadpool_limits(limits=1, user_api="blas"):  # the library has threads of its own
        match config:
            case ALSConfig():
                return _fit_als(config, train, likes, options)
            case BPRConfig():
                return _fit_bpr(config, train, likes, options)
            case ItemKNNConfig():
                return Trained(_fit_item_knn(config, train, likes))
            case _:
                assert_never(config)


def _told(likes: Likes, weights: float | np.ndarray) -> csr_matrix:
    """As the library takes it, which accepts csr_matrix only and wants 32-bit positions. `weights`: of all
    likes, or of each."""
    data = np.full(likes.matrix.nnz, weights, dtype=np.float32)
    parts = (data, likes.matrix.indices.astype(np.int32), likes.matrix.indptr.astype(np.int32))
    return csr_matrix(parts, shape=likes.matrix.shape)


def _fit_als(
    config: ALSConfig, train: Ratings, likes: Likes, options: TrainingOptions
) -> Trained[FactorRecommender]:
    mean_count = float(likes.values.mean(dtype=np.float64)) if train.feedback == "counts" else None
    confidence = confidences(likes.values, config.alpha, mean_count)
    model = AlternatingLeastSquares(
        factors=config.factors,
        regularization=config.l2,
        alpha=1.0,
        iterations=config.iterations,
        calculate_training_loss=True,
        random_state=_seed(options.seed, config.kind),
    )

    n_cells, n_likes = math.prod(likes.matrix.shape), likes.matrix.nnz
    all_confidences = n_cells + (confidence - 1.0).sum()  # what the library divides its loss by

    def epoch(iteration: int, seconds: float, loss: float) -> Epoch:
        total = float(loss) * all_confidences / n_likes
        return Epoch(iteration + 1, {"weighted_error": total}, total, seconds, 2)

    epochs = _run(model.fit, _told(likes, confidence), epoch, config.kind, options)
    recommender = FactorRecommender(
        users=train.users,
        items=train.items,
        user_factors=spread(model.user_factors, likes.users, train.n_users),
        item_factors=spread(model.item_factors, likes.items, train.n_items),
        user_biases=np.zeros(train.n_users, dtype=np.float32),
        item_biases=np.zeros(train.n_items, dtype=np.float32),
        fold_in=ConfidenceFoldIn(config.l2, 1.0 + config.alpha, config.positive, mean_count),
        predicts_ratings=False,
    )
    return _trained(recommender, epochs)


def _fit_bpr(
    config: BPRConfig, train: Ratings, likes: Likes, options: TrainingOptions
) -> Trained[FactorRecommender]:
    model = BayesianPersonalizedRanking(
        factors=config.factors,
        learning_rate=config.learning_rate,
        regularization=config.l2,
        iterations=config.epochs,
        num_threads=1,
        random_state=_seed(options.seed, config.kind),
    )

    n_likes = likes.matrix.nnz

    def epoch(iteration: int, seconds: float, correct: int, skipped: int) -> Epoch:
        wrong = 1.0 - correct / max(n_likes - skipped, 1)
        return Epoch(iteration + 1, {"wrong_pairs": wrong}, None, seconds, n_likes)

    epochs = _run(model.fit, _told(likes, 1.0), epoch, config.kind, options)
    biases = model.item_factors[:, -1]
    recommender = FactorRecommender(
        users=train.users,
        items=train.items,
        user_factors=spread(model.user_factors[:, :-1], likes.users, train.n_users),
        item_factors=spread(model.item_factors[:, :-1], likes.items, train.n_items),
        user_biases=np.zeros(train.n_users, dtype=np.float32),
        # an item that was never liked was never compared: 0 would rank it in the middle
        item_biases=spread(biases, likes.items, train.n_items, fill=biases.min()),
        predicts_ratings=False,
    )
    return _trained(recommender, epochs)


def _fit_item_knn(config: ItemKNNConfig, train: Ratings, likes: Likes) -> LinearRecommender:
    """An item is no neighbour of its own: it is asked for one more and struck out."""
    model = _NEIGHBOURS[config.weighting](K=config.neighbours + 1)
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ParameterWarning)  # of the library, about its own weighting
        model.fit(_told(likes, 1.0), show_progress=False)
    near = _strongest_others(csr_array(model.similarity), config.neighbours)
    starts = np.zeros(train.n_items + 1, dtype=near.indptr.dtype)
    starts[likes.items + 1] = np.diff(near.indptr)
    cells = (near.data, likes.items[near.indices], np.cumsum(starts))
    weights = csr_array(cells, shape=(train.n_items, train.n_items))
    return LinearRecommender(train.users, train.items, weights, reads="ones", positive=config.positive)


def _strongest_others(similarities: csr_array, n: int) -> csr_array:
    """float32 csr_array of the `n` largest entries off the diagonal of each row; ties: lower column first.
    NaN counts as nothing: tf-idf gives no length to an item that only certain users like."""
    rows = entry_rows(similarities)
    kept = (similarities.indices != rows) & np.isfinite(similarities.data)
    rows, columns, values = rows[kept], similarities.indices[kept], similarities.data[kept]
    order = np.lexsort((columns, -values, rows))  # strongest first within each row
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=similarities.shape[0]))])
    order = order[np.arange(len(order)) - starts[rows[order]] < n]
    order = order[np.lexsort((columns[order], rows[order]))]
    ends = np.cumsum(np.bincount(rows[order], minlength=similarities.shape[0]))
    parts = (values[order].astype(np.float32), columns[order], np.concatenate([[0], ends]))
    return csr_array(parts, shape=similarities.shape)


def _run(
    fit: Callable[..., None],
    likes: csr_matrix,
    epoch: Callable[..., Epoch],
    kind: str,
    options: TrainingOptions,
) -> list[Epoch]:
    """Fit, and tell of each iteration as `epoch` puts the library's figures."""
    epochs: list[Epoch] = []

    def tell(*figures: float) -> None:
        epochs.append(epoch(*figures))
        options.context.on_epoch(epochs[-1])

    try:
        fit(likes, show_progress=False, callback=tell)
    except ModelFitError as error:
        raise DivergenceError(
            f"model {kind!r} reached factors that are not numbers; raise `l2` or lower the learning rate"
        ) from error
    return epochs


def _trained(recommender: FactorRecommender, epochs: list[Epoch]) -> Trained[FactorRecommender]:
    return Trained(recommender, tuple(epochs), epochs[-1].number if epochs else None)


def _seed(seed: int, kind: str) -> int:
    return derived_seed(seed, kind) & 0x7FFF_FFFF
