"""Lists in another order than that of the scores: boosted by a column, of so many items of a category, and of
items that are not alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys_ae.kernels.choosing import most_marginal, within_categories
from recsys_ae.ranking import TopN, top_n
from recsys_ae.recommender import ItemVectors
from recsys_ae.serving.cosines import cosines_among
from recsys_ae.types import BoolVector, FloatMatrix, FloatVector, PositionMatrix, PositionVector

CANDIDATES = 10  # for each place of a list, among which it is chosen for diversity
_LOOKED_AT = 4  # for each place of a list, at first, where categories are limited
_ROWS = 16  # of lists that are filled at once


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """`most` items of a category at most, and so `room` for how many in all.

    `categories`: (n_items,) int64 from 0, -1 for items without one, of which there may be any number.
    """

    categories: PositionVector
    most: int
    room: int

    @classmethod
    def of(cls, categories: PositionVector, most: int, allowed: BoolVector | None) -> Limit:
        """The room is that of the items that are `allowed`; None: of all."""
        listed = categories if allowed is None else categories[allowed]
        sizes = np.bincount(listed[listed >= 0])
        return cls(categories, most, int(np.minimum(sizes, most).sum() + np.count_nonzero(listed < 0)))

    def best(self, scores: FloatMatrix, n: int) -> TopN:
        """The n best of each row of scores (b, n_items), -inf where there is none, without those whose
        category is full by then. As many are looked at as it takes until a list is full or nothing is left.
        """
        items = np.full((len(scores), n), -1, dtype=np.int64)
        unfilled, size = np.arange(len(scores)), min(_LOOKED_AT * n, scores.shape[1])
        while len(unfilled):
            parts = np.array_split(unfilled, -(-len(unfilled) // _ROWS))
            unfilled = np.concatenate([self._fill(items, part, scores, size) for part in parts])
            size = min(_LOOKED_AT * size, scores.shape[1])
        return with_scores(items, scores)

    def _fill(
        self, items: PositionMatrix, rows: PositionVector, scores: FloatMatrix, size: int
    ) -> PositionVector:
        """Fill these `rows` from the best `size`: the rows for which more must be looked at."""
        best, n = top_n(scores[rows], size).items, items.shape[1]
        kept = np.full((len(rows), n), -1, dtype=np.int64)
        within_categories(best, self.categories, self.most, kept)
        items[rows] = kept
        is_full = kept[:, min(n, self.room) - 1] >= 0
        return rows[~is_full & (best[:, -1] >= 0)] if size < scores.shape[1] else rows[:0]


@dataclass(frozen=True, slots=True, eq=False)
class Diversity:
    """Lists of items that are less alike: maximal marginal relevance (Carbonell & Goldstein 1998).

    `share`: of how much alike items are, from 0 to 1; the rest is that of relevance. `lengths`: (n_items,)
    of the `vectors`, whose cosines say how much alike items are.
    """

    vectors: ItemVectors
    lengths: FloatVector
    share: float

    def chosen(self, candidates: TopN, n: int) -> PositionMatrix:
        """(b, n) positions, -1 where there are no more.

        Each item is the candidate of a row for which (1 - share) · relevance - share · the greatest cosine
        to an item before it is greatest; of equals the better candidate. Relevance is the candidates' scores,
        scaled to 0 for the worst and 1 for the best.
        """
        items = np.full((len(candidates), n), -1, dtype=np.int64)
        for row, (listed, scores) in enumerate(zip(candidates.items, candidates.scores, strict=True)):
            places = listed[listed >= 0]
            order = np.empty(min(n, len(places)), dtype=np.int64)
            alike = cosines_among(self.vectors, self.lengths, places)
            most_marginal(_scaled(scores[: len(places)]), alike, self.share, order)
            items[row, : len(order)] = places[order]
        return items


def boosted(scores: FloatMatrix, boosts: FloatVector) -> FloatMatrix:
    """The same array, written over: scores (b, n_items) in units of each row, plus boosts (n_items,).

    A row's scores that are not -inf become standard scores (their mean taken off, divided by their standard
    deviation): so boosts mean the same for every model and user, as in sums of the scores of several engines
    (Montague & Aslam 2001).
    """
    for row in scores:
        listed = row != -np.inf
        if listed.any():
            row[listed] = standardised(row[listed].astype(np.float64)) + boosts[listed]
    return scores


def standardised(values: FloatVector) -> FloatVector:
    """Float64 values of mean 0 and standard deviation 1; 0 where all are the same."""
    low, high = values.min(), values.max()
    if low == high:  # whose deviation may be a rounding error
        return np.zeros(len(values))
    shares = (values - low) / (high - low)
    return (shares - shares.mean()) / shares.std()


def with_scores(items: PositionMatrix, scores: FloatMatrix) -> TopN:
    """Lists (b, n) with what scores (b, n_items) say of their items."""
    values = np.take_along_axis(scores, np.maximum(items, 0), axis=1).astype(np.float32)
    return TopN(items, np.where(items >= 0, values, np.float32(-np.inf)))


def _scaled(scores: FloatVector) -> FloatVector:
    """Descending scores as float64 from 1 to 0; 1 where all are the same."""
    if not len(scores) or scores[0] == scores[-1]:
        return np.ones(len(scores))
    values = scores.astype(np.float64)
    return (values - values[-1]) / (values[0] - values[-1])
