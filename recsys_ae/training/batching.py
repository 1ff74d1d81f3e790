"""Which rows go into which minibatch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from recsys_ae.rng import random_keys
from recsys_ae.types import CountVector, PositionVector


def shuffled_batches(row_sizes: CountVector, *, size: int, seed: int, epoch: int) -> Iterator[PositionVector]:
    """Positions of the rows with at least one entry, each once, in the order that (seed, epoch) gives; the
    last batch may be smaller and is never dropped. `row_sizes`: (n_rows,) entries of each row."""
    rows = np.flatnonzero(row_sizes > 0)
    order = rows[np.argsort(random_keys(len(rows), seed, "batches", epoch), kind="stable")]
    for start in range(0, len(order), size):
        yield order[start : start + size]
