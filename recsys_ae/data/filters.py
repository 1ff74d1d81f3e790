"""Which ratings are kept. Each filter leaves users and items without ratings out of the id maps, and raises
DataError where nothing is left."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.configs import FiltersConfig
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.data.schema import Triples
from recsys_ae.errors import DataError
from recsys_ae.types import BoolVector

log = logging.getLogger(__name__)


def at_least(triples: Triples, least: float | None) -> Triples:
    """The rows without those whose rating is below `least`. Raises DataError where there are no ratings."""
    if least is None:
        return triples
    if triples.values is None:
        raise DataError(f"the filter 'min_rating {least:g}' has no ratings to read; leave it out")
    kept = np.flatnonzero(~(triples.values < least))  # a missing one is refused later, with its line
    if not len(kept):
        raise DataError(f"the filter 'min_rating {least:g}' leaves none of {len(triples)} ratings; loosen it")
    log.info("filters: %d of %d rows have a rating of %g or more", len(kept), len(triples), least)
    return triples.chosen(kept)


def apply_filters(ratings: Ratings, config: FiltersConfig) -> Ratings:
    """All other filters of the config, in its order, and a word on what they leave; the ratings themselves
    where it asks for none."""
    kept = _filtered(ratings, config)
    if kept is not ratings:
        log.info(
            "filters: %d of %d ratings are left, of %d of %d users and %d of %d items",
            *(kept.n_observed, ratings.n_observed, kept.n_users, ratings.n_users),
            *(kept.n_items, ratings.n_items),
        )
    return kept


def _filtered(ratings: Ratings, config: FiltersConfig) -> Ratings:
    if config.threshold is not None:
        ratings = to_implicit(ratings, config.threshold)
    if config.core is not None:
        ratings = k_core(ratings, config.core)
    if config.min_user_ratings:
        ratings = minimum_counts(ratings, users=config.min_user_ratings)
    if config.min_item_ratings:
        ratings = minimum_counts(ratings, items=config.min_item_ratings)
    return ratings


def to_implicit(ratings: Ratings, threshold: float) -> Ratings:
    """Ratings at or above the threshold, as events of value 1 without a scale."""
    kept = _left(ratings, ratings.values >= threshold, f"threshold {threshold:g}")
    matrix = csr_array((np.ones_like(kept.values), kept.columns, kept.matrix.indptr), shape=kept.matrix.shape)
    return replace(kept, matrix=matrix, scale=None, feedback="events")


def k_core(ratings: Ratings, k: int) -> Ratings:
    """The largest part in which every user and every item has at least `k` ratings."""
    rows, columns = ratings.rows(), ratings.columns
    kept = np.ones(ratings.n_observed, dtype=bool)
    while True:
        users = np.bincount(rows[kept], minlength=ratings.n_users)
        items = np.bincount(columns[kept], minlength=ratings.n_items)
        fits = kept & (users[rows] >= k) & (items[columns] >= k)
        if fits.sum() == kept.sum():
            return _left(ratings, kept, f"core {k}")
        kept = fits


def minimum_counts(ratings: Ratings, *, users: int = 0, items: int = 0) -> Ratings:
    """Ratings of users with at least `users` ratings and of items with at least `items`, both counted before
    anything is left out."""
    of_users = np.bincount(ratings.rows(), minlength=ratings.n_users)
    of_items = np.bincount(ratings.columns, minlength=ratings.n_items)
    enough = (of_users[ratings.rows()] >= users) & (of_items[ratings.columns] >= items)
    return _left(ratings, enough, f"at least {users} ratings per user and {items} per item")


def compacted(ratings: Ratings) -> Ratings:
    """The same ratings on id maps of the users and items that have some."""
    matrix = ratings.matrix
    users = np.flatnonzero(np.diff(matrix.indptr))
    used = np.bincount(matrix.indices, minlength=ratings.n_items) > 0
    place = (np.cumsum(used) - 1).astype(matrix.indices.dtype)
    starts = np.append(matrix.indptr[users], matrix.indptr[-1])
    return replace(
        ratings,
        matrix=csr_array((matrix.data, place[matrix.indices], starts), shape=(len(users), int(used.sum()))),
        users=IdMap(ratings.users.ids[users]),
        items=IdMap(ratings.items.ids[used]),
    )


def _left(ratings: Ratings, mask: BoolVector, what: str) -> Ratings:
    if not mask.any():
        raise DataError(f"the filter '{what}' leaves none of {ratings.n_observed} ratings; loosen it")
    return compacted(ratings.keep(mask))
