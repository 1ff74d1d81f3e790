"""Rows of users who do not exist: drawn from the prior of a variational autoencoder, or on the way from one
user to another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys_ae.data.histories import Histories
from recsys_ae.data.ids import IdMap
from recsys_ae.errors import CapabilityError, ConfigError, UnknownIdError, brief
from recsys_ae.ranking import TopN, top_n
from recsys_ae.recommender import Codes, Recommender, SamplesRows
from recsys_ae.rng import numpy_generator
from recsys_ae.serving.asked import check_at_least
from recsys_ae.serving.lists import TopNBlock, frame_of

MOST_ROWS = 100_000  # that are made up at once: more are cut to as many
MOST_IN_MEMORY = 10_000_000  # rows of a table, about 300 MB
_CELLS_AT_ONCE = 1 << 24  # 64 MiB of float32 scores
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class MadeUp:
    """Made-up rows, each as the list of its best items.

    `blocks`: the lists, made while they are read, once. `n`: how many there are; `top`: items of each.
    `rows`: their numbers from 1, in place of ids of users. `names`: of the columns: what numbers the rows,
    rank, item, and what is said of an item: "rating", or "share" where the model knows likes alone.
    """

    blocks: Iterator[TopNBlock]
    n: int
    top: int
    items: IdMap
    names: tuple[str, str, str, str]

    @property
    def rows(self) -> IdMap:
        return IdMap(np.arange(1, self.n + 1))

    def frame(self) -> pd.DataFrame:
        """All lists in one table. Raises ConfigError for more than `MOST_IN_MEMORY` rows of it."""
        if self.n * self.top > MOST_IN_MEMORY:
            raise ConfigError(
                f"{self.n} lists of {self.top} items are more than a table of {MOST_IN_MEMORY} rows holds; "
                "ask for fewer or shorter ones, or have the command write them to a file (--out)"
            )
        return frame_of(self.blocks, users=self.rows, items=self.items, names=self.names)


def sample(recommender: Recommender, n: int, *, seed: int = 0, top: int = 10) -> MadeUp:
    """`n` rows, at most `MOST_ROWS`: codes are drawn from their prior, the standard normal, and decoded
    (Kingma and Welling 2014, section 2); how high a user rates is drawn from a normal distribution of the
    same deviation as in training. Ratings are those expected of the code, without noise of their own. The
    same seed gives the same rows, and the first of more.

    Raises CapabilityError for a model without drawn codes, ConfigError for `n` or `top` below 1 or a negative
    seed.
    """
    model, code_size = _drawing(recommender)
    check_at_least("seed", seed, 0)
    n = _bounded("n", n, 1)
    generator = numpy_generator(seed, "samples")

    def codes(rows: np.ndarray) -> Codes:
        drawn = generator.standard_normal((len(rows), code_size + 1), dtype=np.float32)
        return Codes(drawn[:, :-1].copy(), drawn[:, -1] * np.float32(model.bias_deviation))

    return _made_up(model, n, top, codes, "sample")


def walk(
    recommender: Recommender,
    histories: Histories,
    *,
    start: str | int,
    end: str | int,
    steps: int = 7,
    top: int = 10,
) -> MadeUp:
    """Rows on the straight way from the code of the user `start` to that of `end`, both included, in equal
    `steps`, from 2 to `MOST_ROWS`. The biases of the users change along with the codes.

    Raises CapabilityError for a model without drawn codes, UnknownIdError for users who are not there,
    ConfigError for numbers too small and for a user who is both.
    """
    model, _ = _drawing(recommender)
    steps = _bounded("steps", steps, 2)
    ends = histories.users.positions([start, end], missing="negative")
    for name, place in zip((start, end), ends, strict=True):
        if place < 0:
            raise UnknownIdError(f"the user {brief(name)} is unknown; walk between users with ratings")
    if ends[0] == ends[1]:
        raise ConfigError(f"a walk from the user {brief(start)} to the same one leads nowhere; name two")
    of_ends = model.encode(histories.batch(ends))

    def codes(rows: np.ndarray) -> Codes:
        share = (rows / (steps - 1)).astype(np.float32)
        between = [
            np.multiply.outer(1 - share, each[0]) + np.multiply.outer(share, each[1])
            for each in (of_ends.codes, of_ends.biases)
        ]
        return Codes(*between)

    return _made_up(model, steps, top, codes, "step")


def _drawing(recommender: Recommender) -> tuple[SamplesRows, int]:
    """The model as one that samples, and the size of its codes."""
    if not isinstance(recommender, SamplesRows) or recommender.code_size is None:
        raise CapabilityError(
            "this model draws no codes of users, so there are none to sample or to walk between; train "
            "mult-vae, or u-autorec with bottleneck: {kind: gaussian}"
        )
    return recommender, recommender.code_size


def _made_up(model: SamplesRows, n: int, top: int, codes: Callable[[np.ndarray], Codes], row: str) -> MadeUp:
    """`codes`: of rows with these numbers from 0, asked for in ascending order; `row`: what one is called."""
    check_at_least("top", top, 1)
    top = min(top, len(model.items))
    size = max(1, _CELLS_AT_ONCE // max(1, len(model.items)))

    def blocks() -> Iterator[TopNBlock]:
        for first in range(0, n, size):
            rows = np.arange(first, min(first + size, n))
            best = top_n(model.decode(codes(rows)), top)
            yield TopNBlock(rows, TopN(best.items, model.told(best.scores)))

    said = "rating" if model.predicts_ratings else "share"
    return MadeUp(blocks(), n, top, model.items, (row, "rank", "item", said))


def _bounded(name: str, number: int, least: int) -> int:
    """The number, at most `MOST_ROWS`."""
    check_at_least(name, number, least)
    if number > MOST_ROWS:
        log.warning("%s is %s: cut to %d", name, brief(number), MOST_ROWS)
    return min(number, MOST_ROWS)
