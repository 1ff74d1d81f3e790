"""Bars for whoever watches, and silence for everybody else."""

from __future__ import annotations

import io
import re
import sys
import time

import pytest
from commands import write_ratings

import recsys_ae as ra
from recsys_ae.metrics import RMSE
from recsys_ae.reporting import progress
from recsys_ae.reporting.progress import count_bar, epoch_bar
from recsys_ae.types import Epoch


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def watching(monkeypatch):
    """Makes stderr another file; within the test, as pytest sets its own when the test begins."""

    def watch(file: io.StringIO) -> io.StringIO:
        monkeypatch.setattr(sys, "stderr", file)
        return file

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return watch


def seen(text: str) -> str:
    """Without what colours and moves."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def epoch(number: int) -> Epoch:
    return Epoch(number, {}, 0.5, 0.0, 1, score=0.25)


def test_an_epoch_is_shown_with_its_loss_and_its_score(watching):
    terminal = watching(Terminal())
    with epoch_bar(7, metric=RMSE, shown=True) as bar:
        bar(epoch(1))
        bar(epoch(2))
    assert "2/7" in seen(terminal.getvalue())
    assert "loss 0.5000  validation rmse 0.2500" in seen(terminal.getvalue())


def test_pieces_are_counted_as_they_are_done(watching):
    terminal = watching(Terminal())
    with count_bar("users", 30, shown=True) as tell:
        tell(10, "")
        tell(10, "now this")
    assert "20/30" in seen(terminal.getvalue())
    assert "now this" in seen(terminal.getvalue())


def test_short_work_shows_nothing_and_long_work_shows_itself(watching, monkeypatch):
    terminal = watching(Terminal())
    with count_bar("users", 3, shown=None) as tell:
        tell(3, "")
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    with count_bar("users", 3, shown=None) as tell:
        for _ in range(1000):  # another thread shows it
            time.sleep(0.01)
            tell(0, "still here")
            if terminal.getvalue():
                break
    assert "users" in seen(terminal.getvalue())


def test_whoever_wants_none_and_whoever_cannot_watch_gets_none(watching, capsys):
    terminal = watching(Terminal())
    with epoch_bar(7, metric=None, shown=False) as bar:
        bar(epoch(1))
    assert terminal.getvalue() == ""
    nobody = watching(io.StringIO())
    with count_bar("users", 3, shown=True) as tell:
        tell(1, "")
    assert nobody.getvalue() == ""
    assert capsys.readouterr().out == ""


def test_fitting_and_listing_and_benchmarks_are_watched_on_stderr(watching, tmp_path, capsys):
    terminal = watching(Terminal())
    ratings = ra.load(write_ratings(tmp_path / "ratings.csv"))
    split = ra.split(ratings)
    model = ra.fit("biased-mf", split, factors=2, progress=True)
    assert "validation rmse" in seen(terminal.getvalue())
    model.recommend(progress=True)
    assert "40/40" in seen(terminal.getvalue())
    ra.benchmark(ratings, ["biases", "mean"], folder=tmp_path / "out", progress=True)
    assert "mean, seed 0" in seen(terminal.getvalue())
    assert "1/2" in seen(terminal.getvalue())
    assert capsys.readouterr().out == ""
