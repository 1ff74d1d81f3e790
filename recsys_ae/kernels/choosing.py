"""Lists chosen one item after the other, when what is in a list decides what may follow."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def within_categories(items, categories, most, kept):
    """Writes the first items of each row, of a category `most` at most, in their order.

    `items`: (b, m) int64 positions, -1 where there are no more. `categories`: (n_items,) int64 from 0, -1 for
    items without one, of which there may be any number. `kept`: (b, n) int64 filled with -1.
    """
    counts = np.zeros(1 + max(-1, categories.max()), dtype=np.int64)
    for row in range(len(items)):
        size = 0
        for item in items[row]:
            if item < 0 or size == kept.shape[1]:
                break
            category = categories[item]
            if category >= 0:
                if counts[category] == most:
                    continue
                counts[category] += 1
            kept[row, size] = item
            size += 1
        for place in range(size):
            if categories[kept[row, place]] >= 0:
                counts[categories[kept[row, place]]] = 0


@njit(cache=True, nogil=True)
def most_marginal(relevance, similarity, weight, chosen):
    """Writes the places chosen by maximal marginal relevance (Carbonell & Goldstein 1998), in their order.

    Each is the place j, of equals the first, at which (1 - weight) · relevance[j] - weight · the greatest
    similarity[j, i] to a place i that was chosen before is greatest; for the first place it is 0.
    `relevance`: (m,) float64; `similarity`: (m, m) float32; `chosen`: (n,) int64, n at most m.
    """
    nearest = np.zeros(len(relevance), dtype=np.float64)
    free = np.ones(len(relevance), dtype=np.bool_)
    for size in range(len(chosen)):
        best, greatest = -1, -np.inf
        for place in range(len(relevance)):
            value = (1.0 - weight) * relevance[place] - weight * nearest[place]
            if free[place] and (best < 0 or value > greatest):
                best, greatest = place, value
        chosen[size] = best
        free[best] = False
        for place in range(len(relevance)):
            alike = np.float64(similarity[place, best])
            if size == 0 or alike > nearest[place]:
                nearest[place] = alike
