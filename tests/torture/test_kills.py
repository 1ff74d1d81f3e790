"""kill -9 at any moment: whatever had been found is still there, and the next start goes on from it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from torture.jobs import RESUME, Tortured


@pytest.mark.parametrize("name", ["train", "recommend", "lists"])
def test_a_few_kills(name, commands, tmp_path, capsys):
    kill(name, 5, commands, tmp_path, capsys)


@pytest.mark.torture
@pytest.mark.parametrize("name", ["train", "recommend", "lists", "tune"])
def test_a_hundred_kills(name, commands, tmp_path, capsys):
    kill(name, 100, commands, tmp_path, capsys)


def kill(name, n_kills, commands, folder, capsys) -> None:
    """So many kills, each after a random share of the time that a whole run takes. A training is always
    started with --resume, so that what one run has done is there for the next, until one ends."""
    job = Tortured.of(name, commands, folder)
    words = RESUME if name == "train" else job.job.words
    where, draws = job.copy("killed"), np.random.default_rng(5)
    start = time.monotonic()
    commands.run(job.copy("timed"), job.job.words)
    whole_time = time.monotonic() - start
    ended = killed = 0
    while killed < n_kills:
        ending = commands.run(where, words, kill_after=draws.uniform(0.02, 1.0) * whole_time)
        found = job.job.found(where)
        assert found == job.whole or found == job.first, ending.err
        if ending.code < 0:
            killed += 1
            continue
        assert ending.code == 0 or (found == job.whole and "exists already" in ending.err), ending.err
        assert found == job.whole
        ended += 1
        where = job.copy("killed")
    job.check_next_start(where)
    with capsys.disabled():
        print(f"\n{name}: {killed} kills, {ended} runs came to their end between them")
