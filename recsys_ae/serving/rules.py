"""What the lists of a model may hold, in one value that works on blocks of scores."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.histories import Histories
from recsys_ae.data.ratings import entry_rows, select_rows
from recsys_ae.errors import counted
from recsys_ae.ranking import TopN, top_n
from recsys_ae.recommender import Recommender
from recsys_ae.serving.configs import RulesConfig
from recsys_ae.serving.cosines import lengths_of, vectors_of
from recsys_ae.serving.filtering import allowed_by, excluded_by
from recsys_ae.serving.item_table import boosts_of, categories_of, item_table
from recsys_ae.serving.reranking import CANDIDATES, Diversity, Limit, boosted, with_scores
from recsys_ae.types import BoolVector, FloatMatrix, FloatVector, PositionVector


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Of the lists of one model, for the users of some histories.

    `allowed`: (n_items,) what lists may hold; None: everything. `excluded`: (n_users, n_items) stored is what
    the user of this row of the histories does not get; None: nothing. What is left is put in order by the
    scores with `boosts` (n_items,) float64 (see `boosted`), then held to the `limit` of categories, then made
    less alike by `diversity`; None: not. `asked`: what was asked for and what it meant, as JSON values; empty
    where nothing was.
    """

    allowed: BoolVector | None = None
    excluded: csr_array | None = None
    boosts: FloatVector | None = None
    limit: Limit | None = None
    diversity: Diversity | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)

    def also(self, allowed: BoolVector | None) -> Rules:
        """The same, and lists hold nothing but items that are `allowed`, too."""
        if allowed is None:
            return self
        return replace(self, allowed=allowed if self.allowed is None else self.allowed & allowed)

    def lists(self, scores: FloatMatrix, n: int, rows: PositionVector, seen: csr_array | None) -> TopN:
        """The lists of the users in these `rows` (b,) of the histories by their scores (b, n_items), without
        the stored entries of `seen` (b, n_items). The scores in the lists are those that were given.

        Raises DataError for a score that is not a number, unless no list may hold it.
        """
        hidden = seen if self.excluded is None else _joined(seen, select_rows(self.excluded, rows))
        if self.boosts is None and self.limit is None and self.diversity is None:
            return top_n(among(scores, self.allowed), n, hidden)
        n = min(n, scores.shape[1])
        relevance = _without(among(scores, self.allowed), hidden, own=self.allowed is not None)
        if self.boosts is not None:
            boosted(relevance, self.boosts)
        n_candidates = n if self.diversity is None else min(CANDIDATES * n, scores.shape[1])
        best = top_n if self.limit is None else self.limit.best
        found = best(relevance, n_candidates)
        return with_scores(found.items if self.diversity is None else self.diversity.chosen(found, n), scores)


NO_RULES = Rules()


def rules_of(
    config: RulesConfig, recommender: Recommender, histories: Histories, training: Histories
) -> Rules:
    """The rules of a config, for lists of the users of `histories`. `training`: who rated what is counted
    there.

    Raises DataError for files that are not there or do not hold what they should, and where no item is left;
    ConfigError for an expression that does not hold; CapabilityError for diversity of a model that cannot
    compare items.
    """
    items = recommender.items
    table = None if config.items is None else item_table(config.items, items)
    allowed = allowed_by(config, items, table, training)
    excluded = excluded_by(config.exclude, histories, items)
    meant: dict[str, Any] = {}
    boosts = None if config.boost is None or table is None else boosts_of(config.boost, table, items)
    limit = None
    if config.at_most is not None and table is not None:
        limit = Limit.of(categories_of(config.at_most, table, items), config.at_most.n, allowed)
    diversity = None
    if config.diversity:
        vectors = vectors_of(recommender)
        diversity = Diversity(vectors, lengths_of(vectors), config.diversity)
    if allowed is not None:
        meant |= {"allowed_items": int(np.count_nonzero(allowed)), "allowed": _fingerprint(allowed)}
    if excluded is not None:
        meant |= {
            "excluded_pairs": int(excluded.nnz),
            "excluded": _fingerprint(excluded.indptr, excluded.indices),
        }
    if boosts is not None:
        meant["boosts"] = _fingerprint(boosts)
    if limit is not None:
        meant["categories"] = _fingerprint(limit.categories)
    return Rules(allowed, excluded, boosts, limit, diversity, {**_said(config), **meant})


def among(scores: FloatMatrix, allowed: BoolVector | None) -> FloatMatrix:
    """Scores (b, n_items) that are -inf, which no list holds, for items that are not `allowed` (n_items,)."""
    return scores if allowed is None else np.where(allowed, scores, np.float32(-np.inf))


def _without(scores: FloatMatrix, hidden: csr_array | None, *, own: bool) -> FloatMatrix:
    """Scores that are -inf where `hidden` has something stored. `own`: they may be written over."""
    scores = scores if own else np.array(scores, dtype=np.float32)
    if hidden is not None:
        scores[entry_rows(hidden), hidden.indices] = -np.inf
    return scores


def _joined(one: csr_array | None, other: csr_array) -> csr_array:
    """What is stored in one of two matrices of the same shape, whatever its value."""
    if one is None:
        return other
    rows = np.concatenate([entry_rows(one), entry_rows(other)])
    columns = np.concatenate([one.indices, other.indices])
    return csr_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=one.shape)


def _said(config: RulesConfig) -> dict[str, Any]:
    """The settings that were given, as JSON values: what is no text or number by its size."""
    given = {name: getattr(config, name) for name in config.model_fields_set}
    return {name: _brief(value) for name, value in sorted(given.items()) if value is not None}


def _brief(value: Any) -> Any:
    if isinstance(value, (str, int, float)):
        return value
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return counted(len(value), "row") if hasattr(value, "columns") else counted(int(np.size(value)), "id")


def _fingerprint(*arrays: np.ndarray) -> str:
    """32 hex digits, the same on every machine."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(
            np.ascontiguousarray(array, dtype="<f8" if array.dtype.kind == "f" else "<i8").tobytes()
        )
    return digest.hexdigest()
