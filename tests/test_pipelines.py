"""Each script for schedulers runs from end to end on small ratings."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from commands import write_ratings

from recsys_ae.tracking.tracker import RecordingTracker

PIPELINES = Path(__file__).resolve().parents[1] / "pipelines"
EXPERIMENT = """\
name: night
data: {source: ratings.csv}
model: {kind: u-autorec, hidden: [4], training: {epochs: 3, batch_size: 16}}
"""
BENCHMARK = """\
name: pair
data: {source: ratings.csv}
reference: biases
models:
- {name: biases, model: {kind: biases}}
- {name: popularity, model: {kind: popularity}}
"""


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"pipeline_{name}", PIPELINES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_ratings(tmp_path / "ratings.csv")
    Path("night.yaml").write_text(EXPERIMENT)
    Path("pair.yaml").write_text(BENCHMARK)
    return tmp_path


def test_every_script_is_tested():
    tested = {name.removeprefix("test_").split("_")[0] for name in globals() if name.startswith("test_")}
    assert {path.stem for path in PIPELINES.glob("*.py")} - {"linear_equivalence", "speed"} <= tested


def test_train_prints_one_line_of_json_and_tracks_all(here, capsys):
    tracker = RecordingTracker()
    assert script("train").main(["night.yaml", "--out", "out"], tracker) == 0
    answer = json.loads(capsys.readouterr().out)
    assert tracker.status == "FINISHED"
    assert tracker.models == ["model"]
    assert {"config.yaml", "epochs.csv", "curves.svg", "predictions.svg", "per_user.parquet",
            "result.json"} == set(tracker.artifacts)  # fmt: skip
    logged = {name: value for name, value, step in tracker.logged_metrics if step is None}
    assert logged.items() >= answer["metrics"].items()
    steps = [step for name, _, step in tracker.logged_metrics if name == "validation/rmse"]
    assert steps == [1, 2, 3]
    assert tracker.datasets[0].split_fingerprint == answer["split_fingerprint"]
    assert tracker.logged_tags["data_fingerprint"] == answer["data_fingerprint"]


def test_benchmark_prints_the_table_and_nests_runs(here, capsys):
    tracker = RecordingTracker()
    assert script("benchmark").main(["pair.yaml", "--out", "out"], tracker) == 0
    assert capsys.readouterr().out.startswith("| model |")
    assert [child.name for child in tracker.children] == ["biases-seed-0", "popularity-seed-0"]
    assert {"table.csv", "table.md", "page.html", "result.json"} <= set(tracker.artifacts)
    assert any(name == "biases/rmse" for name, _, _ in tracker.logged_metrics)


def test_recommend_writes_lists(here):
    assert script("train").main(["night.yaml", "--out", "out", "--no-tracking"]) == 0
    assert script("recommend").main(["out/model", "top.csv", "-n", "3"]) == 0
    assert pd.read_csv("top.csv").groupby("user").size().eq(3).all()


def test_night_keeps_yesterdays_lists_unless_the_model_is_good_enough(here, capsys):
    words = ["night.yaml", "--lists", "top.csv", "--limit"]
    assert script("night").main([*words, "test/rmse=0.01", "--out", "bad"]) == 1
    assert not Path("top.csv").exists()
    assert script("night").main([*words, "test/rmse=9", "--out", "good"]) == 0
    assert Path("top.csv").exists()


def test_scripts_refuse_with_a_sentence_and_exit_code_2(here):
    done = subprocess.run(
        [sys.executable, PIPELINES / "train.py", "nigth.yaml"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: nigth.yaml: no such config file; did you mean 'night.yaml'?\n"
