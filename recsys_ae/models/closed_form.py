"""Linear autoencoders of implicit feedback in closed form: EASE, EDLAE and DLAE.

Each is algebra on the Gram matrix G = X'X of the likes X (users × items, ones). There is one copy of it, in
float32, which is factorised and inverted in place and then becomes the item weights.
"""

from __future__ import annotations

import logging
from typing import assert_never

import numpy as np
import psutil
from scipy.linalg import get_lapack_funcs
from scipy.sparse import csr_array

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError, DivergenceError
from recsys_ae.models.configs import DLAEConfig, EASEConfig, EDLAEConfig
from recsys_ae.models.linear import LinearRecommender
from recsys_ae.models.positives import Likes, least_liked
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector

AutoencoderConfig = EASEConfig | EDLAEConfig | DLAEConfig

log = logging.getLogger(__name__)

_CELLS_AT_ONCE = 1 << 22  # of the Gram matrix, while it is made
_ROWS_AT_ONCE = 512
_LEAST_RECIPROCAL_CONDITION = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-13}


def fit_linear_autoencoder(config: AutoencoderConfig, train: Ratings) -> LinearRecommender:
    """Fit to the likes alone. Items without likes have weights of 0 and change none of the others.

    Raises DataError where nothing is liked or the weights of all items do not fit into the memory,
    DivergenceError where `l2` is too small for numbers of 64 bits.
    """
    positive = least_liked(config.positive, train.feedback)
    _check_memory(config, train.n_items, _bytes_of(np.float32, train.n_items))
    likes = Likes.of(train, positive, kind=config.kind)
    return LinearRecommender(
        users=train.users,
        items=train.items,
        item_weights=_item_weights(config, likes, train.n_items),
        reads="ones",
        positive=positive,
        unliked=likes.unliked(train.n_items),
    )


def _item_weights(config: AutoencoderConfig, likes: Likes, n_items: int) -> FloatMatrix:
    """(n_items, n_items) float32."""
    cells = np.empty(n_items**2, dtype=np.float32)
    n_liked = len(likes.items)
    inverse = cells[: n_liked**2].reshape(n_liked, n_liked)
    penalties = _penalties(config, np.bincount(likes.matrix.indices, minlength=n_liked))
    if not _invert_penalised_gram(inverse, likes.matrix, penalties):
        log.info("%s: the Gram matrix is ill-conditioned, and inverted in 64 bits", config.kind)
        _check_memory(config, n_liked, _bytes_of(np.float64, n_liked))
        wide = np.empty((n_liked, n_liked), dtype=np.float64)
        if not _invert_penalised_gram(wide, likes.matrix, penalties):
            raise DivergenceError(
                f"{config.kind} with `l2` {config.l2:g} has no solution in numbers of 64 bits; raise `l2`"
            )
        _make_weights(config, wide, penalties)
        inverse[:] = wide
    else:
        _make_weights(config, inverse, penalties)
    return _spread_in_place(cells, likes.items, n_items)


def _penalties(config: AutoencoderConfig, counts: np.ndarray) -> FloatVector:
    """(n,) float64 diagonal of Λ, `counts` (n,) being how often each item was liked, the diagonal of G."""
    dropout = 0.0 if isinstance(config, EASEConfig) else config.dropout
    return config.l2 * counts.mean() + dropout / (1.0 - dropout) * counts


def _make_weights(config: AutoencoderConfig, inverse: FloatMatrix, penalties: FloatVector) -> None:
    """Turn P = (G + Λ)⁻¹ into the weights B, in place."""
    match config:
        case EASEConfig() | EDLAEConfig():  # B_ij = -P_ij / P_jj off the diagonal, which is 0
            inverse /= -inverse.diagonal()
            np.fill_diagonal(inverse, 0.0)
        case DLAEConfig():  # B = (G + Λ)⁻¹ G = I - P Λ
            np.multiply(inverse, -penalties, out=inverse, casting="same_kind")
            inverse[np.diag_indices_from(inverse)] += 1.0
        case _:
            assert_never(config)


def _invert_penalised_gram(out: FloatMatrix, likes: csr_array, penalties: FloatVector) -> bool:
    """Write (G + Λ)⁻¹ into `out` (n, n), C order. False where its precision does not suffice for that; what
    is in `out` then means nothing."""
    _write_gram(out, likes)
    out[np.diag_indices_from(out)] += penalties
    potrf, pocon, potri, lange = get_lapack_funcs(("potrf", "pocon", "potri", "lange"), (out,))
    same = out.T  # it is symmetric, and LAPACK takes columns first
    norm = lange("1", same)
    factor, failed = potrf(same, lower=1, clean=0, overwrite_a=1)
    if failed or pocon(factor, norm, uplo="L")[0] < _LEAST_RECIPROCAL_CONDITION[out.dtype]:
        return False
    _, failed = potri(factor, lower=1, overwrite_c=1)
    _mirror_upper(out)
    return not failed


def _write_gram(out: FloatMatrix, likes: csr_array) -> None:
    """X'X into `out` (n, n), some rows at a time: as a sparse matrix all of it takes twice the memory."""
    by_item = likes.T.tocsr()
    step = max(1, _CELLS_AT_ONCE // len(out))
    for start in range(0, len(out), step):
        out[start : start + step] = (by_item[start : start + step] @ likes).toarray()


def _mirror_upper(matrix: FloatMatrix) -> None:
    """Copy what stands above the diagonal below it."""
    for start in range(0, len(matrix), _ROWS_AT_ONCE):
        stop = start + _ROWS_AT_ONCE
        corner = matrix[start:stop, start:stop]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
        matrix[stop:, start:stop] = matrix[start:stop, stop:].T


def _spread_in_place(cells: FloatVector, items: PositionVector, n_items: int) -> FloatMatrix:
    """The m × m matrix at the beginning of `cells` (n_items²,) as an n_items × n_items one, its rows and
    columns at the positions `items` (m,) ascending, with zeros elsewhere. From the last row to the first: no
    row is written over before it has moved."""
    matrix, m = cells.reshape(n_items, n_items), len(items)
    if m == n_items:
        return matrix
    end = n_items
    for row in range(m - 1, -1, -1):
        moving = cells[row * m : (row + 1) * m].copy()
        matrix[items[row] : end] = 0.0
        matrix[items[row], items] = moving
        end = items[row]
    matrix[:end] = 0.0
    return matrix


def _bytes_of(dtype: type[np.floating], n: int) -> int:
    """Of a square matrix, and of what is made on the way to it."""
    return np.dtype(dtype).itemsize * n**2 + 16 * min(n**2, _CELLS_AT_ONCE)


def _check_memory(config: AutoencoderConfig, n_items: int, n_bytes: int) -> None:
    """Raises DataError where so many bytes are not free."""
    free = psutil.virtual_memory().available
    if n_bytes > free:
        raise DataError(
            f"model {config.kind!r} needs {n_bytes / 2**30:,.1f} GiB for {n_items:,} × {n_items:,} item "
            f"weights, and {free / 2**30:,.1f} GiB are free; leave out items with few ratings "
            "(data.filters.core, data.filters.min_item_ratings), or take a model without such a matrix "
            "(als, item-knn)"
        )
