"""What a run costs is measured, not guessed."""

from __future__ import annotations

import time

import numpy as np

from recsys_ae.experiments.resources import measured, peak_memory_mb, timed


def test_peak_memory_covers_what_was_held_only_for_a_moment():
    with measured() as small:
        pass
    with measured() as large:
        block = np.ones(40_000_000, dtype=np.float64)  # 320 MB
        del block
    assert large.peak_memory_mb - small.peak_memory_mb > 250
    assert peak_memory_mb() > 0


def test_time_is_wall_time_and_kept_when_the_block_fails():
    try:
        with timed() as usage:
            time.sleep(0.02)
            raise ValueError
    except ValueError:
        assert usage.seconds >= 0.02
