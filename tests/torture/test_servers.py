"""The commands `train` and `benchmark` against servers that behave badly, at once or half-way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import write_ratings
from servers import WAYS, serving

from recsys_ae.results.tracking import whole_run

pytestmark = pytest.mark.torture

COST = 12.0  # seconds that anybody may wait for a bad server: ten, and what a busy machine adds
EXIT = 10.0  # seconds more from the last line to the end of the process
MEMORY = 600  # MB more than with a server that behaves
COMMAND = """
import json, resource, sys, time
from contextlib import contextmanager
from recsys_ae.cli import main
from recsys_ae.tracking.messenger import Messenger

def timed(*what, ask=Messenger.ask):
    global waited
    start, before = time.monotonic(), own
    try:
        return ask(*what)
    finally:
        waited += time.monotonic() - start - (own - before)

@contextmanager
def working(messenger, work=Messenger.working):
    global own
    start = time.monotonic()
    try:
        with work(messenger):
            yield
    finally:
        own += time.monotonic() - start

waited = own = 0.0  # own: what the command does itself meanwhile, such as packing the model
Messenger.ask, Messenger.working = timed, working
code = main(sys.argv[1:])
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"waited": waited, "memory": memory, "ended": time.time()}), file=sys.stderr)
sys.exit(code)
"""


@dataclass(frozen=True)
class Outcome:
    """`lines`: of stderr; `waited`: seconds for a store; `leaving`: from the last line to the end of the
    process; `memory`: its peak, in MB."""

    code: int
    lines: list[str]
    waited: float
    leaving: float
    memory: float


def call(*words: str) -> Outcome:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    command = [sys.executable, "-c", COMMAND, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180, check=False)
    ended = time.time()
    *lines, last = done.stderr.splitlines()
    cost = json.loads(last)
    return Outcome(done.returncode, lines, cost["waited"], ended - cost["ended"], cost["memory"])


def train(folder: Path, ratings: Path, *words: str) -> Outcome:
    return call("train", "--data", str(ratings), "--model", "u-autorec", "--set", "hidden=[6]", "--set",
                "training.epochs=4", "--out", str(folder), "--quiet", *words)  # fmt: skip


@pytest.fixture(scope="module")
def ratings(tmp_path_factory) -> Path:
    return write_ratings(tmp_path_factory.mktemp("data") / "ratings.csv")


@pytest.fixture(scope="module")
def well(ratings, tmp_path_factory) -> Outcome:
    """The same training with a server that behaves."""
    with serving() as server:
        done = train(tmp_path_factory.mktemp("well") / "run", ratings, "--tracking-uri", server.uri)
    assert done.code == 0, done.lines
    assert server.run["status"] == "FINISHED"
    assert not [line for line in done.lines if line.startswith("warning:")]
    return done


def check_cost(done: Outcome, well: Outcome) -> None:
    assert done.waited < COST
    assert done.leaving < well.leaving + EXIT
    assert done.memory < well.memory + MEMORY
    assert "Traceback" not in "".join(done.lines)


@pytest.mark.parametrize("n_good", [0, 1, 4, 9, 14, 22])
@pytest.mark.parametrize("way", WAYS)
def test_a_bad_server_costs_ten_seconds_and_one_warning(way, n_good, well, ratings, tmp_path):
    folder = tmp_path / "run"
    with serving(way, n_good=n_good) as server:
        done = train(folder, ratings, "--tracking-uri", server.uri)
    assert done.code == 0, done.lines
    assert server.n_requests > n_good
    warnings = [line for line in done.lines if line.startswith("warning:")]
    assert len(warnings) == 1, done.lines
    assert f"recsys-ae upload {folder}" in warnings[0]
    check_cost(done, well)
    whole_run(folder)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", ["compare", "recommend", "upload"])
def test_commands_that_need_the_store_end_in_a_sentence(command, way, well, ratings, tmp_path):
    words = {"compare": ["compare", "demo"], "upload": ["upload", str(tmp_path / "run")],
             "recommend": ["recommend", f"runs:/{'0af5' * 8}/model", "--users", "all", "-n", "2",
                           "--out", str(tmp_path / "r.csv")]}[command]  # fmt: skip
    if command == "upload":
        train(tmp_path / "run", ratings, "--no-tracking")
    with serving(way) as server:
        done = call(*words, "--tracking-uri", server.uri)
    assert done.code == 2, done.lines
    (line,) = done.lines
    assert line.startswith("error: ")
    check_cost(done, well)


@pytest.mark.parametrize("delay", [0.4, 1.5])
def test_a_benchmark_waits_no_longer_than_a_training(delay, well, ratings, tmp_path):
    """A server that answers each question within its time, and has many asked."""
    config, folder = tmp_path / "small.yaml", tmp_path / "out"
    config.write_text(
        f"name: small\ndata: {{source: {ratings}}}\nseeds: [0, 1, 2]\ntrials: 1\nreference: biases\n"
        "models: [{name: biases, model: {kind: biases}}, {name: mean, model: {kind: mean}}]\n"
    )
    words = ("benchmark", str(config), "--quiet", "--out", str(folder))
    with serving(delay=delay) as server:
        done = call(*words, "--tracking-uri", server.uri)
    assert done.code == 0, done.lines
    (warning,) = [line for line in done.lines if line.startswith("warning:")]
    assert f"recsys-ae upload {folder}" in warning
    check_cost(done, well)
    uploaded = call("upload", str(folder), "--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert uploaded.code == 0, uploaded.lines
