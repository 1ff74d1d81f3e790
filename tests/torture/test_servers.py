"""The command `train` against servers that behave as badly as one can, at once or half-way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import write_ratings
from servers import WAYS, serving

from recsys_ae.results.tracking import whole_run

pytestmark = pytest.mark.torture

COST = 15.0  # seconds that a bad server may cost: ten, and what a busy machine adds
MEMORY = 600  # MB more than a training that is not tracked; MLflow alone takes about 250
COMMAND = """
import resource, sys
from recsys_ae.cli import main

code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def call(*words: str) -> tuple[subprocess.CompletedProcess, float, float]:
    """The process, its seconds, and its peak memory in MB."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    command, start = [sys.executable, "-c", COMMAND, *words], time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    seconds = time.monotonic() - start
    *lines, memory = done.stderr.splitlines()
    done.stderr = "\n".join(lines)
    return done, seconds, int(memory) / 1024


def train(folder: Path, ratings: Path, *words: str) -> tuple[subprocess.CompletedProcess, float, float]:
    return call("train", "--data", str(ratings), "--model", "u-autorec", "--set", "hidden=[6]", "--set",
                "training.epochs=4", "--out", str(folder), "--quiet", *words)  # fmt: skip


@pytest.fixture(scope="module")
def ratings(tmp_path_factory) -> Path:
    return write_ratings(tmp_path_factory.mktemp("data") / "ratings.csv")


@pytest.fixture(scope="module")
def well(ratings, tmp_path_factory) -> tuple[float, float]:
    """What the same training costs with a server that behaves: seconds and MB."""
    folder = tmp_path_factory.mktemp("well") / "run"
    with serving() as server:
        done, seconds, memory = train(folder, ratings, "--tracking-uri", server.uri)
    assert done.returncode == 0, done.stderr
    assert server.run["status"] == "FINISHED"
    assert "warning" not in done.stderr
    return seconds, memory


@pytest.mark.parametrize("n_good", [0, 1, 4, 9, 14, 22])
@pytest.mark.parametrize("way", WAYS)
def test_a_bad_server_costs_ten_seconds_and_one_warning(way, n_good, well, ratings, tmp_path):
    folder = tmp_path / "run"
    with serving(way, n_good=n_good) as server:
        done, seconds, memory = train(folder, ratings, "--tracking-uri", server.uri)
    assert done.returncode == 0, done.stderr
    assert server.n_requests > n_good
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning:")]
    assert len(warnings) == 1, done.stderr
    assert f"recsys-ae upload {folder}" in warnings[0]
    assert "Traceback" not in done.stderr
    assert seconds < well[0] + COST
    assert memory < well[1] + MEMORY
    whole_run(folder)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", ["compare", "recommend", "upload"])
def test_commands_that_read_end_in_a_sentence(command, way, well, ratings, tmp_path):
    words = {"compare": ["compare", "demo"], "upload": ["upload", str(tmp_path / "run")],
             "recommend": ["recommend", f"runs:/{'0af5' * 8}/model", "--users", "all", "-n", "2",
                           "--out", str(tmp_path / "r.csv")]}[command]  # fmt: skip
    if command == "upload":
        train(tmp_path / "run", ratings, "--no-tracking")
    with serving(way) as server:
        done, seconds, memory = call(*words, "--tracking-uri", server.uri)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert seconds < well[0] + COST
    assert memory < well[1] + MEMORY
