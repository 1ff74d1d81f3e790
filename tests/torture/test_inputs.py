"""Ten thousand malformed and odd inputs: exit code 0 or 2, no traceback, and accepted data read right."""

from __future__ import annotations

import pytest
from fuzzing.worker import TARGETS, fuzz

pytestmark = pytest.mark.torture
CASES = {"text": 2500, "compressed": 1000, "yaml": 1500, "set": 1000, "model": 800}
OTHERS = 600  # cases of each of the others: jsonl, ids, parquet, pages, arrow, npz, uri; ten thousand in all


def test_there_are_ten_thousand():
    assert sum(CASES.get(target, OTHERS) for target in TARGETS) >= 10_000


@pytest.mark.parametrize("target", TARGETS)
def test_inputs(target, tmp_path, capsys):
    counts = fuzz(target, CASES.get(target, OTHERS), seed=1, folder=tmp_path)
    with capsys.disabled():
        print(f"\n{target}: {counts['accepted']:,} accepted, {counts['refused']:,} refused", flush=True)
    assert counts.total() >= CASES.get(target, OTHERS)
    assert counts["refused"]
