"""Bars for whoever watches, and silence for everybody else."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import call, rating_lines, write_ratings
from hypothesis import given
from hypothesis import strategies as st

import recsys_ae as ra
from recsys_ae.cli import main
from recsys_ae.data.configs import DataConfig
from recsys_ae.data.load import load_ratings
from recsys_ae.data.readers import counting, opened
from recsys_ae.evaluation.evaluator import evaluate
from recsys_ae.metrics import RMSE
from recsys_ae.reporting import progress
from recsys_ae.reporting.progress import Pace, Planned, count_bar, epoch_bar, left_text
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
    assert re.search(r"run 2/2 .* mean, seed 0", seen(terminal.getvalue()))
    assert capsys.readouterr().out == ""


def test_reading_and_testing_are_watched(watching, tmp_path, capsys):
    terminal = watching(Terminal())
    path = write_ratings(tmp_path / "ratings.csv", n_users=300, n_items=90)
    ratings = ra.load(path, progress=True)
    size = f"{path.stat().st_size / 1e3:.1f}"
    assert f"reading {size}/{size} kB" in seen(terminal.getvalue())
    split = ra.split(ratings)
    ra.evaluate(ra.fit("biases", split), split, progress=True)
    n = len(split.evaluated_users)
    assert f"testing {n}/{n}" in seen(terminal.getvalue())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=lambda p: p.__name__
)
def test_bytes_of_several_files_are_told_in_order_up_to_all(tmp_path, monkeypatch, pack):
    suffix = {bytes: "", gzip.compress: ".gz", bz2.compress: ".bz2", lzma.compress: ".xz"}[pack]
    monkeypatch.setattr(counting, "BLOCK_BYTES", 1 << 12)
    monkeypatch.setattr(opened, "BUFFER_BYTES", 1 << 12)
    header, *lines = rating_lines(n_users=200, n_items=100)
    names = []
    for number, part in enumerate((lines[:3000], lines[3000:])):
        names.append(tmp_path / f"part-{number}.csv{suffix}")
        names[-1].write_bytes(pack("\n".join([header, *part, ""]).encode()))
    heard: list[tuple[int, int]] = []
    load_ratings(
        DataConfig(source=tuple(map(str, names))), on_read=lambda done, total: heard.append((done, total))
    )
    whole = sum(name.stat().st_size for name in names)
    done = [each for each, _ in heard]
    assert {total for _, total in heard} == {whole}
    assert done == sorted(done)
    assert done[-1] == whole
    assert any(0 < each < names[0].stat().st_size for each in done)


def test_users_of_a_test_are_told_of_their_ratings_and_of_their_lists(tmp_path):
    split = ra.split(ra.load(write_ratings(tmp_path / "ratings.csv")))
    heard: list[int] = []
    evaluate(
        ra.fit("biases", split).recommender, split, batch_size=16, on_tested=lambda n, _: heard.append(n)
    )
    n = len(split.evaluated_users)
    assert heard == [*range(16, n, 16), n] * 2


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_time_left_is_that_of_finished_fits_for_all_to_come():
    """By hand: a has 3 trials and b one; a fit of a takes 10 s, one of b 2 s."""
    clock = Clock()
    plan = [Planned("a", 0, 3), Planned("b", 0), Planned("a", 1, 3), Planned("b", 1)]
    pace = Pace(plan, clock)
    assert pace.left() is None
    pace.run(0)
    clock.now += 500
    pace.fitted(0)  # now libraries are loaded
    clock.now += 9
    assert pace.left() is None  # nothing is done yet
    clock.now += 1
    pace.fitted(1)
    assert pace.left() == 10 * (3 + 2 + 4 + 2)  # b is taken for another a
    clock.now += 4
    assert pace.left() == 10 * (3 + 2 + 4 + 2) - 4
    clock.now += 26
    pace.fitted(4)
    pace.run(1)
    clock.now += 4
    pace.fitted(2)
    pace.run(2)
    assert pace.left() == 40 + 4
    clock.now += 39
    assert pace.left() == 3 * 39 + 4  # the first of 4 fits takes 39 s or more
    pace.fitted(1)
    assert pace.left() == 3 * 39 + 4


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), min_size=1, max_size=6),
    st.lists(st.floats(0, 1e4), min_size=40, max_size=40),
)
def test_time_left_is_never_nothing_or_less(runs, seconds):
    clock, passing = Clock(), iter(seconds)
    plan = [Planned(name, seed, trials) for seed, (name, trials) in enumerate(runs)]
    pace = Pace(plan, clock)
    for at, run in enumerate(plan):
        pace.run(at)
        for n in range(run.fits):
            clock.now += next(passing)
            assert (left := pace.left()) is None or left > 0
            pace.fitted(n + 1)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00 left"), (65, "1:05 left"), (3600, "1:00:00 left"), (-3, "0:00 left")]
)
def test_time_left_is_written_as_clocks_write_it(seconds, text):
    assert left_text(seconds) == text


def screen_of(data: str) -> list[str]:
    """What a terminal of enough columns shows in the end, without empty lines at the end."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", data):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part.endswith("A") and part[0] == "\x1b":
            row -= int(part[2:-1] or 1)
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part[0] != "\x1b":
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + len(part) :]
            column += len(part)
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.rstrip() for line in lines]


@dataclass
class Watched:
    """A command whose stderr was a terminal: all that went there, what it shows in the end, and stdout."""

    code: int
    data: str
    out: str

    @property
    def screen(self) -> list[str]:
        return screen_of(self.data)


def watch(*words: str | Path, once_seen: str = "", then: Callable[[], None] = lambda: None) -> Watched:
    """Run a command in this process with a pseudo-terminal as stderr. `then`: is called once the text
    was seen there."""
    master, slave = os.openpty()
    read: list[bytes] = []

    def drain() -> None:
        waiting = bool(once_seen)
        while True:
            try:
                block = os.read(master, 4096)
            except OSError:  # so Linux reports the end of a terminal
                return
            if not block:
                return
            read.append(block)
            if waiting and once_seen in seen(b"".join(read).decode(errors="replace")):
                waiting = False
                then()

    reader = threading.Thread(target=drain)
    reader.start()
    out = io.StringIO()
    try:
        with (
            os.fdopen(slave, "w", encoding="utf-8") as terminal,
            redirect_stdout(out),
            redirect_stderr(terminal),
        ):
            code = main([str(word) for word in words])
    finally:
        reader.join()
        os.close(master)
    return Watched(code, b"".join(read).decode(), out.getvalue())


BENCHMARK = """\
name: small
data: {{source: {data}}}
seeds: [0, 1]
trials: 2
reference: biases
models:
  - {{name: biases, model: {{kind: biases}}, grid: {{item_damping: [10, 1000000]}}}}
  - name: slow
    model: {{kind: biased-mf, factors: 2, iterations: {iterations}, patience: {iterations}}}
  - {{name: broken, model: {{kind: i-autorec, hidden: [4], output: identity, training:
      {{epochs: 3, optimizer: sgd, learning_rate: 1.0e+30}}}}}}
"""


@pytest.fixture
def small(watching, tmp_path, monkeypatch) -> Callable[[int], Path]:
    """A benchmark whose model called slow has so many iterations."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def write(iterations: int) -> Path:
        path = tmp_path / "small.yaml"
        data = write_ratings(tmp_path / "ratings.csv")
        path.write_text(BENCHMARK.format(data=data, iterations=iterations))
        return path

    return write


def test_a_benchmark_says_how_far_it_is_and_leaves_nothing_on_the_terminal(small):
    found = watch("benchmark", small(20), "--no-tracking", "--json", "--out", "out")
    assert found.code == 1
    assert [entry["name"] for entry in json.loads(found.out)["models"]] == ["biases", "slow", "broken"]
    text = seen(found.data)
    assert re.search(r"run 1/6 .*biases, seed 0, trial [12]/2", text)
    assert re.search(r"run [25]/6 .* \d+:\d\d left .*slow, seed [01], .*epoch \d+", text)
    assert "fitting" not in text
    assert "\x1b[?25h" in found.data[found.data.rindex("\x1b[?25l") :]  # the cursor is back
    assert found.screen  # of warnings, whole and each on lines of its own, and of nothing else
    assert all("run " not in line and "━" not in line for line in found.screen), found.screen
    assert any(line.startswith("warning: broken, seed 0 failed: ") for line in found.screen)
    assert any(line.startswith("read: ") for line in found.screen)


def test_without_a_terminal_a_benchmark_tells_in_lines(small):
    outcome = call("benchmark", small(2), "--no-tracking", "--json", "--out", "out")
    told = [line for line in outcome.err.splitlines() if line.startswith("fitting ")]
    wanted = ["biases, seed 0", "slow, seed 0", "broken, seed 0", "biases, seed 1", "slow, seed 1"]
    assert told == [f"fitting {run}" for run in wanted]
    assert "\x1b" not in outcome.err
    quiet = call("benchmark", small(2), "--no-tracking", "--json", "--out", "quiet", "--quiet")
    assert "fitting " not in quiet.err


def test_ctrl_c_leaves_the_terminal_as_it_was(small):
    def stop() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    path = small(100_000)
    found = watch("benchmark", path, "--no-tracking", "--out", "out", once_seen="slow, seed 0", then=stop)
    assert found.code == 130
    assert "\x1b[?25h" in found.data[found.data.rindex("\x1b[?25l") :]
    assert all("run " not in line and "━" not in line for line in found.screen), found.screen
    assert "stopped by Ctrl-C" in found.screen[-1]


class AtOnce:
    """A timer that waits for nothing."""

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        self.start = action

    def cancel(self) -> None:
        pass

    def join(self) -> None:
        pass


def test_train_recommend_and_evaluate_are_watched_and_quiet_where_asked(small, monkeypatch):
    small(1)
    found = watch("train", "--data", "ratings.csv", "--model", "biased-mf", "--no-tracking", "--out", "out")
    assert re.search(r"epoch \d+/\d+ .* validation rmse", seen(found.data))
    for words in (("recommend", "out/model", "--out", "lists.csv"), ("evaluate", "out/model")):
        monkeypatch.setattr(progress, "Timer", AtOnce)
        found = watch(*words, "--json")
        assert found.code == 0
        json.loads(found.out)
        wanted = {"recommend": r"users 40/40", "evaluate": r"testing (\d+)/\1 "}[words[0]]
        assert re.search(wanted, seen(found.data))
        assert all("━" not in line for line in found.screen), found.screen
        quiet = watch(*words, "--json", "--quiet")
        assert (quiet.code, quiet.out) == (0, found.out)
        assert "\x1b" not in quiet.data


def test_lists_of_many_users_tell_how_many_get_theirs_in_a_second(small, monkeypatch):
    small(1)
    assert (
        watch("train", "--data", "ratings.csv", "--model", "biases", "--no-tracking", "--out", "out").code
        == 0
    )
    monkeypatch.setattr(progress, "Timer", AtOnce)
    found = watch("recommend", "out/model", "--out", "lists", "--shard-users", "2")
    assert re.search(r"users \d+/40 .* [\d,]+ users/s", seen(found.data))
    assert all("users/s" not in line for line in found.screen), found.screen


def test_a_search_keeps_a_line_for_each_trial_and_no_bar(small):
    small(1)
    Path("search.yaml").write_text(
        "name: search\ndata: {source: ratings.csv}\ntrials: 3\n"
        "model: {kind: biased-mf, factors: 2}\nspace: {l2: {low: 1, high: 9}}\n"
    )
    found = watch("tune", "search.yaml", "--no-tracking", "--json", "--out", "out")
    assert found.code == 0
    assert [line[:7] for line in found.screen if line.startswith("trial ")] == [
        "trial 1",
        "trial 2",
        "trial 3",
    ]
    assert "trial 0/3" in seen(found.data)
    assert all("━" not in line for line in found.screen), found.screen
