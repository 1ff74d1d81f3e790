"""Lists as rows: ids for positions, without padding."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from recsys_ae.data.ids import IdMap
from recsys_ae.ranking import TopN
from recsys_ae.serving.topn import TopNBlock


def rows_of_block(block: TopNBlock, users: IdMap, items: IdMap) -> dict[str, np.ndarray]:
    """Columns user, rank (int32, from 1), item, score (float32), one row per recommendation, in the order of
    the lists. `users`: ids of the rows that the block names; ids have the dtype of their map."""
    lists, places = np.nonzero(block.top.items >= 0)  # the rest is padding
    return {
        "user": users.ids[block.users[lists]],
        "rank": (places + 1).astype(np.int32),
        "item": items.ids[block.top.items[lists, places]],
        "score": block.top.scores[lists, places],
    }


def frame_of(blocks: Iterable[TopNBlock], *, users: IdMap, items: IdMap) -> pd.DataFrame:
    """The rows of all blocks in one table; without any block it is empty, with the same columns."""
    nobody = np.empty(0, dtype=np.int64)
    nothing = TopN(np.empty((0, 0), dtype=np.int64), np.empty((0, 0), dtype=np.float32))
    parts = [rows_of_block(block, users, items) for block in (TopNBlock(nobody, nothing), *blocks)]
    return pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
