"""A few hundred cases of each fuzzer; `make torture` runs ten thousand."""

from __future__ import annotations

import pytest
from fuzzing.worker import TARGETS, fuzz

CASES = 40  # of each target; a worker takes seconds to start


@pytest.mark.parametrize("target", TARGETS)
def test_malformed_inputs_are_refused_and_others_read_right(target, tmp_path):
    counts = fuzz(target, CASES, seed=0, folder=tmp_path)
    assert counts["accepted"] + counts["refused"] >= CASES
    assert counts["refused"]
