"""Lists as rows, against lists written out by hand."""

from __future__ import annotations

import numpy as np

from recsys_ae.data.ids import IdMap
from recsys_ae.ranking import TopN
from recsys_ae.serving.lists import TopNBlock, columns_of, frame_of

USERS = IdMap(np.array(["ann", "bob", "eve"], dtype=object))
ITEMS = IdMap(np.array([10, 20, 30]))
GAP = -np.inf
SCORES = np.array([[0.5, 0.0], [GAP, GAP], [-2.0, GAP]], dtype=np.float32)
BLOCK = TopNBlock(np.array([2, 0, 1]), TopN(np.array([[1, 0], [-1, -1], [2, -1]]), SCORES))


def test_padding_is_left_out_and_a_score_of_zero_is_not():
    columns = columns_of(BLOCK, USERS, ITEMS)
    rows = list(zip(*(column.tolist() for column in columns.values()), strict=True))
    assert list(columns) == ["user", "rank", "item", "score"]
    assert rows == [("eve", 1, 20, 0.5), ("eve", 2, 10, 0.0), ("bob", 1, 30, -2.0)]
    assert [columns[name].dtype for name in ("rank", "item", "score")] == [np.int32, np.int64, np.float32]


def test_blocks_follow_each_other_and_none_is_an_empty_table():
    frame, nothing = (frame_of(blocks, users=USERS, items=ITEMS) for blocks in ([BLOCK, BLOCK], []))
    assert frame["user"].tolist() == ["eve", "eve", "bob"] * 2
    assert frame.index.tolist() == list(range(6))
    assert len(nothing) == 0
    assert list(nothing.columns) == list(frame.columns)
    assert all(nothing[name].dtype == frame[name].dtype for name in ("rank", "item", "score"))
