"""Items that a model holds to be alike."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.histories import blocks_of
from recsys_ae.data.ratings import entry_rows
from recsys_ae.errors import CapabilityError, brief
from recsys_ae.ranking import TopN, top_n
from recsys_ae.recommender import ComparesItems, ItemVectors, Recommender
from recsys_ae.serving.asked import check_at_least
from recsys_ae.serving.lists import TopNBlock
from recsys_ae.serving.rules import among
from recsys_ae.types import BoolVector, FloatMatrix, FloatVector, PositionVector

SIMILAR_COLUMNS = ("item", "rank", "similar", "score")
log = logging.getLogger(__name__)


def similar_items(
    recommender: Recommender,
    places: PositionVector,
    *,
    n: int = 10,
    allowed: BoolVector | None = None,
    itself: bool = False,
) -> Iterator[TopNBlock]:
    """For the items at `places` the `n` others whose vectors (see `ComparesItems`) point most nearly the same
    way; scores are cosines, from -1 to 1. `allowed`: see `recommend`. `itself`: an item is in its own list,
    too. Items of which nothing was learnt are in no list and have none; a warning counts these.

    Raises, before the first block, CapabilityError for a model without such vectors, and ConfigError for `n`
    below 1.
    """
    check_at_least("n", n, 1)
    if not isinstance(recommender, ComparesItems):
        raise CapabilityError(
            f"this {recommender.kind} model has learnt nothing by which items could be compared; choose a "
            "factorisation, a linear model or an autoencoder"
        )
    vectors = recommender.item_vectors()
    lengths = _lengths(vectors)
    known = lengths > 0
    if not known.any():
        log.warning(
            "nothing was learnt of any item, as where training kept what it began with; none is like another"
        )
    elif n_unknown := np.count_nonzero(~known[places]):
        first = recommender.items.ids.item(int(places[~known[places]][0]))
        log.warning("nothing was learnt of %d of the items, such as %s", n_unknown, brief(first))
    listed = known if allowed is None else known & allowed

    def lists_of(block: PositionVector) -> TopN:
        exclude = None if itself else _themselves(block, len(known))
        return top_n(among(_cosines(vectors, lengths, block), listed), n, exclude)

    return (TopNBlock(block, lists_of(block)) for block in blocks_of(places[known[places]], len(known)))


def _cosines(vectors: ItemVectors, lengths: FloatVector, block: PositionVector) -> FloatMatrix:
    """(b, n_items) float32; 0 where one of the two has no length."""
    matrix, own = vectors.matrix, vectors.own
    products = _dense(matrix[block] @ matrix.T)
    if own is not None:  # (V + D)(V + D)ᵀ without a copy of V
        products = products + own[block, None] * _dense(matrix[:, block]).T + _dense(matrix[block]) * own
        products[np.arange(len(block)), block] += np.square(own[block])
    units = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    products = products * units[block, None] * units
    return np.clip(products, -1.0, 1.0).astype(np.float32)


def _dense(rows: FloatMatrix | csr_array) -> FloatMatrix:
    return rows.toarray() if isinstance(rows, csr_array) else np.asarray(rows)


def _lengths(vectors: ItemVectors) -> FloatVector:
    """(n_items,) float64"""
    matrix = vectors.matrix
    if isinstance(matrix, csr_array):
        squares = np.bincount(
            entry_rows(matrix), np.square(matrix.data, dtype=np.float64), minlength=matrix.shape[0]
        )
    else:
        squares = np.einsum("ik,ik->i", matrix, matrix, dtype=np.float64)
    return np.sqrt(squares if vectors.own is None else squares + np.square(vectors.own, dtype=np.float64))


def _themselves(block: PositionVector, n_items: int) -> csr_array:
    """(b, n_items) the items of the block, which are in no list of their own."""
    return csr_array((np.ones(len(block)), block, np.arange(len(block) + 1)), shape=(len(block), n_items))
