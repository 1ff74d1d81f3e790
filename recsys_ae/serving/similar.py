"""Items that a model holds to be alike."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.histories import blocks_of
from recsys_ae.errors import brief
from recsys_ae.ranking import TopN, top_n
from recsys_ae.recommender import Recommender
from recsys_ae.serving.asked import check_at_least
from recsys_ae.serving.cosines import cosines, lengths_of, vectors_of
from recsys_ae.serving.lists import TopNBlock
from recsys_ae.serving.rules import among
from recsys_ae.types import BoolVector, PositionVector

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
    vectors = vectors_of(recommender)
    lengths = lengths_of(vectors)
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
        return top_n(among(cosines(vectors, lengths, block), listed), n, exclude)

    return (TopNBlock(block, lists_of(block)) for block in blocks_of(places[known[places]], len(known)))


def _themselves(block: PositionVector, n_items: int) -> csr_array:
    """(b, n_items) the items of the block, which are in no list of their own."""
    return csr_array((np.ones(len(block)), block, np.arange(len(block) + 1)), shape=(len(block), n_items))
