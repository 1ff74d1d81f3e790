"""The command line called in this process, and ratings small enough for it."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_ae.cli import main

SMALL = ("--set", "hidden=[6]", "--set", "training.epochs=4", "--set", "training.batch_size=16")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """stdout as the one JSON document that it must be; NaN and Infinity are refused."""
        return json.loads(self.out, parse_constant=_refuse)


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def call(*words: str | Path) -> Outcome:
    """Run `recsys-ae` with these words."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(word) for word in words])
    return Outcome(code, out.getvalue(), err.getvalue())


def succeed(*words: str | Path) -> Outcome:
    """The same for a command that must work."""
    outcome = call(*words)
    assert outcome.code == 0, outcome.err
    return outcome


def rating_lines(n_users: int = 40, n_items: int = 25, seed: int = 0) -> list[str]:
    """CSV lines with a header: whole ratings 1 to 5 of a rank-two taste, two fifths of the cells observed."""
    rng = np.random.default_rng(seed)
    taste, kinds = rng.normal(size=(n_users, 2)), rng.normal(size=(n_items, 2))
    ratings = np.clip(np.rint(3 + taste @ kinds.T), 1, 5).astype(int)
    observed = rng.random((n_users, n_items)) < 0.4
    lines = [f"u{user:03},{item + 100},{ratings[user, item]}" for user, item in np.argwhere(observed)]
    return ["user,item,rating", *lines]


def write_ratings(path: Path, **size: int) -> Path:
    path.write_text("\n".join(rating_lines(**size)) + "\n", encoding="utf-8")
    return path
