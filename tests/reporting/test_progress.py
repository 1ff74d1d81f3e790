"""Bars for whoever watches, and silence for everybody else."""

from __future__ import annotations

import io
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
def terminal(monkeypatch):
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return found


def epoch(number: int) -> Epoch:
    return Epoch(number, {}, 0.5, 0.0, 1, score=0.25)


def test_an_epoch_is_shown_with_its_loss_and_its_score(terminal):
    with epoch_bar(7, metric=RMSE, shown=True) as bar:
        bar(epoch(1))
        bar(epoch(2))
    assert "2/7" in terminal.getvalue()
    assert "loss 0.5000  validation rmse 0.2500" in terminal.getvalue()


def test_pieces_are_counted_as_they_are_done(terminal):
    with count_bar("users", 30, shown=True) as tell:
        tell(10, "")
        tell(10, "now this")
    assert "20/30" in terminal.getvalue()
    assert "now this" in terminal.getvalue()


def test_short_work_shows_nothing_and_long_work_shows_itself(terminal, monkeypatch):
    with count_bar("users", 3, shown=None) as tell:
        tell(3, "")
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    with count_bar("users", 3, shown=None) as tell:
        while not terminal.getvalue():  # another thread shows it
            time.sleep(0.01)
            tell(0, "still here")
    assert "users" in terminal.getvalue()


def test_whoever_wants_none_and_whoever_cannot_watch_gets_none(terminal, monkeypatch, capsys):
    with epoch_bar(7, metric=None, shown=False) as bar:
        bar(epoch(1))
    assert terminal.getvalue() == ""
    nobody = io.StringIO()
    monkeypatch.setattr(sys, "stderr", nobody)
    with count_bar("users", 3, shown=True) as tell:
        tell(1, "")
    assert nobody.getvalue() == ""
    assert capsys.readouterr().out == ""


def test_fitting_and_listing_and_benchmarks_are_watched_on_stderr(terminal, tmp_path, capsys):
    ratings = ra.load(write_ratings(tmp_path / "ratings.csv"))
    split = ra.split(ratings)
    model = ra.fit("biased-mf", split, factors=2, progress=True)
    assert "validation rmse" in terminal.getvalue()
    model.recommend(progress=True)
    assert "40/40" in terminal.getvalue()
    ra.benchmark(ratings, ["biases", "mean"], folder=tmp_path / "out", progress=True)
    assert "mean, seed 0" in terminal.getvalue()
    assert "1/2" in terminal.getvalue()
    assert capsys.readouterr().out == ""
