"""Each script for schedulers runs from end to end on small ratings."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from commands import succeed, write_ratings
from recording import RecordingTracker

import recsys_ae as ra
from recsys_ae.metrics import NDCG
from recsys_ae.models.configs import MaskingConfig
from recsys_ae.models.storage import load_model
from recsys_ae.results.folder import read_run
from recsys_ae.settings.load import default_experiment, load_experiment
from recsys_ae.splitting.configs import AllSplitConfig
from recsys_ae.tracking.runs import experiment_runs
from recsys_ae.tracking.tracker import NullTracker

PIPELINES = Path(__file__).resolve().parents[1] / "pipelines"
EXPERIMENT = """\
name: movies
data: {source: ratings.csv}
model: {kind: u-autorec, hidden: [4], training: {epochs: 6, batch_size: 16, learning_rate: 0.2}}
evaluation: {cutoffs: [5, 10]}
"""
WORDS = ("movies.yaml", "--lists", "top.csv", "--out", "out")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"pipeline_{name}", PIPELINES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def night(*words: str, tracker_of: Callable = lambda *given, **options: NullTracker()) -> int:
    return script("night").main([*WORDS, *words], tracker_of)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A working folder with ratings, an experiment, and yesterday's lists."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write_ratings(tmp_path / "ratings.csv")
    Path("movies.yaml").write_text(EXPERIMENT)
    Path("top.csv").write_text("yesterday")
    return tmp_path


def test_every_script_is_tested():
    tested = {name.removeprefix("test_").split("_")[0] for name in globals() if name.startswith("test_")}
    assert {path.stem for path in PIPELINES.glob("*.py")} - {"linear_equivalence", "speed"} <= tested


def test_night_keeps_yesterdays_lists_unless_the_model_is_good_enough(here, capsys):
    assert night("--limit", "test/rmse=9", "--limit", "test/rmse=0.01") == 1
    assert Path("top.csv").read_text() == "yesterday"
    assert "test/rmse is " in capsys.readouterr().err
    assert not Path("out/production").exists()
    assert night("--limit", "test/rmse=9", "--limit", "test/ndcg_at_5=0", "--out", "good") == 0
    assert Path("top.csv").read_text().startswith("user,rank,item,score")


def test_night_writes_the_lists_of_a_model_fitted_to_all_ratings(here, capsys):
    """The same lists as by the commands that a person would type."""
    assert night("-n", "3") == 0
    _, tested = read_run(Path("out/tested"))
    config, production = read_run(Path("out/production"))
    best = tested.fit.best_epoch
    assert best is not None
    assert best < tested.fit.epochs_run  # so that the number of epochs is a choice
    assert (production.fit.epochs_run, production.fit.best_epoch, production.fit.metric) == (best, best, None)
    assert production.report.counts["holdout_ratings"] == 0
    assert config.name == "movies-production"

    changes = (f"training.epochs={best}", "validation=null", "split={kind: all}")
    sets = [word for change in changes for word in ("--set", change)]
    succeed("train", "movies.yaml", *sets, "--no-tracking", "--out", "by-hand")
    succeed("recommend", "by-hand/model", "-n", "3", "--out", "by-hand.csv")
    assert Path("top.csv").read_bytes() == Path("by-hand.csv").read_bytes()
    succeed("recommend", "out/tested/model", "-n", "3", "--out", "tested.csv")
    assert Path("top.csv").read_bytes() != Path("tested.csv").read_bytes()
    said = capsys.readouterr().out
    assert f"tested model:     {Path('out/tested/model')}" in said
    assert f"production model: {Path('out/production/model')}" in said


def test_night_fits_models_without_epochs_to_all_ratings_too(here):
    assert night("--set", "model={kind: popularity}") == 0
    _, production = read_run(Path("out/production"))
    _, tested = read_run(Path("out/tested"))
    held_out = tested.report.counts["holdout_ratings"]
    assert production.report.counts["train_ratings"] == tested.report.counts["train_ratings"] + held_out


def test_night_tracks_both_runs_where_a_training_would(here):
    assert script("night").main([*WORDS]) == 0
    runs = {run.name: run for run in experiment_runs("ratings")}
    assert runs.keys() == {"movies", "movies-production"}
    assert "test/rmse" in runs["movies"].metrics
    assert runs["movies-production"].params["split.kind"] == "all"
    for name, run in runs.items():
        folder = Path("out") / ("tested" if name == "movies" else "production")
        found = read_run(folder)[1]
        assert (found.run_id, found.model[:10]) == (run.run_id, "models:/m-")


def test_night_hands_the_options_of_tracking_on(here):
    given = []

    def tracker_of(experiment: str, name: str, **options: object) -> RecordingTracker:
        given.append((experiment, name, options))
        return RecordingTracker(name)

    words = ("--experiment", "nights", "--tracking-uri", "http://store", "--no-tracking")
    assert night(*words, tracker_of=tracker_of) == 0
    assert given == [
        ("nights", name, {"uri": "http://store", "off": True, "folder": Path("out") / folder})
        for name, folder in (("movies", "tested"), ("movies-production", "production"))
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--limit", "test/rsme=1.6"), "u-autorec has no metric 'test/rsme'; did you mean 'test/rmse'?"),
        (("--limit", "test/ndcg_at_20=0.1"), "u-autorec has no metric 'test/ndcg_at_20'; did you mean"),
        (("--limit", "test/rmse"), "--limit test/rmse: write METRIC=NUMBER, such as test/rmse=1.6"),
        (("--limit", "test/rmse=low"), "--limit test/rmse=low: write METRIC=NUMBER"),
        (("--limit", "test/rmse=nan"), "--limit test/rmse=nan: write METRIC=NUMBER"),
        (
            ("--set", "model={kind: popularity}", "--limit", "test/rmse=1.6"),
            "popularity has no metric 'test/rmse'",
        ),
        (("--set", "model={kind: mean}"), "movies.yaml: the model 'mean' ranks nothing"),
        (("--set", "split.kind=all"), "movies.yaml: the split 'all' leaves nothing to test on"),
        (
            ("--set", "split={kind: predefined, train: a.csv, test: b.csv}"),
            "movies.yaml: the split 'predefined' is made of two files",
        ),
        (("--lists", "ratings.csv/top.csv"), "is no folder that can be written to"),
        (("--lists", "/proc/nowhere/top.csv"), "is no folder that can be written to"),
        (("--lists", "top.txt"), "--lists top.txt: name a file that ends with .parquet or .csv"),
        (("-n", "0"), "-n 0: the lists need one item at least"),
        (("--out", "ratings.csv"), "--out ratings.csv: exists already"),
    ],
)
def test_night_refuses_before_training(here, capsys, words, sentence):
    def no_tracker(*given: object, **options: object) -> NullTracker:
        raise AssertionError("training has begun")

    assert night(*words, tracker_of=no_tracker) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert sentence in said.err
    assert not Path("out").exists()


class Stopped(NullTracker):
    """A tracker during whose first epoch the process is sent a signal."""

    def __init__(self, number: int) -> None:
        self.number = number

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        if step == 1:
            signal.raise_signal(self.number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("stopped", ["movies", "movies-production"])
def test_night_that_is_stopped_leaves_the_lists_alone(here, stopped, number, code):
    def tracker_of(experiment: str, name: str, **options: object) -> NullTracker:
        return Stopped(number) if name == stopped else NullTracker()

    assert night(tracker_of=tracker_of) == code
    assert Path("top.csv").read_text() == "yesterday"


def test_night_that_fails_late_leaves_the_lists_alone(here, capsys):
    def tracker_of(experiment: str, name: str, **options: object) -> NullTracker:
        if name == "movies-production":
            Path("ratings.csv").unlink()
        return NullTracker()

    assert night(tracker_of=tracker_of) == 2
    assert "ratings.csv" in capsys.readouterr().err
    assert Path("top.csv").read_text() == "yesterday"


@pytest.mark.parametrize("kind", ["u-autorec", "biases", "popularity"])
def test_night_knows_the_metrics_of_a_model_before_it_is_tested(here, kind):
    changes = ("--set", f"model={{kind: {kind}}}", "--no-tracking", "--json", "--out", "run")
    found = succeed("train", "movies.yaml", *changes).document["report"]["metrics"]
    assert set(script("night").test_metrics(load_experiment("run/config.yaml"))) == set(found)


def test_night_misses_a_limit_on_what_is_undefined():
    limit = script("night").Limit("test/ndcg_at_10", NDCG.at(10), 0.1)
    assert limit.is_missed_by({})
    assert limit.is_missed_by({"test/ndcg_at_10": float("nan")})
    assert limit.is_missed_by({"test/ndcg_at_10": 0.09})
    assert not limit.is_missed_by({"test/ndcg_at_10": 0.1})


def test_night_changes_nothing_of_a_config_but_what_is_fitted_to():
    config = default_experiment("ratings.csv", "i-autorec", ["seed=4", "hidden=[7]", "l2=3"])
    found = script("night").production_config(config, 5)
    assert (found.split, found.validation, found.model.training.epochs) == (AllSplitConfig(), None, 5)
    assert (found.seed, found.data, found.model.hidden, found.model.l2) == (4, config.data, (7,), 3)
    assert found.model.corruption == MaskingConfig()


def test_night_refuses_with_a_sentence_and_exit_code_2(here):
    words = ["moveis.yaml", "--lists", "top.csv"]
    done = subprocess.run([sys.executable, PIPELINES / "night.py", *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: moveis.yaml: no such config file; did you mean 'movies.yaml'?\n"


EQUIVALENCE = """\
name: small
data: {source: ratings.csv}
seeds: [0, 1]
models:
  - {name: biased-mf, model: {kind: biased-mf, factors: 2, iterations: 20}}
  - name: linear
    model: {kind: i-autorec, hidden: [2], activation: identity, presence: none, l2: 1, corruption: null,
            training: {epochs: 20, learning_rate: 0.05}}
  - {name: biases, model: {kind: biases}}
reference: biased-mf
"""


def test_linear_equivalence_writes_a_table_of_each_experiment(here, capsys):
    Path("small.yaml").write_text(EQUIVALENCE)
    words = ["--benchmark", "small.yaml", "--out", "found", "--only", "shrinkage", "ratings"]
    main = script("linear_equivalence").main
    assert main(words) == 0
    assert "## shrinkage" in Path("found/equivalence.md").read_text()
    found = json.loads(Path("found/equivalence.json").read_text())
    assert list(found) == ["shrinkage", "ratings", "agreement"]
    for row in found["shrinkage"]["rows"]:
        assert row[2] == pytest.approx(row[3], abs=1e-3)  # what is kept, and what the closed form says
    ((name, correlation, _, median, largest),) = found["agreement"]["rows"]
    assert name == "linear"
    assert 0 < median <= largest <= 90
    assert correlation == pytest.approx(np.mean([correlation_of_stored_models(seed) for seed in (0, 1)]))
    assert main(words) == 2  # results are never overwritten
    assert "name a new folder" in capsys.readouterr().err


def correlation_of_stored_models(seed: int) -> float:
    split = ra.split(ra.load("ratings.csv"), test_share=0.1, seed=seed)
    models = [load_model(Path(f"found/ratings/{name}/seed-{seed}/model")) for name in ("linear", "biased-mf")]
    parts = [ra.evaluate(model.recommender, split).predictions.predicted for model in models]
    return np.corrcoef(*parts)[0, 1]


def test_linear_equivalence_wants_a_bias_model(here, capsys):
    Path("small.yaml").write_text(EQUIVALENCE.replace("name: biases", "name: others"))
    assert (
        script("linear_equivalence").main(
            ["--benchmark", "small.yaml", "--out", "found", "--only", "ratings"]
        )
        == 2
    )
    assert "name a model 'biases'" in capsys.readouterr().err


def test_scale_measures_lists_beside_the_products(tmp_path, capsys):
    words = ["--users", "50", "--items", "40", "--factors", "3", "--ratings", "4", "-n", "5", "--rounds", "2"]
    assert script("scale").main([*words, "--threads", "2", "--out", str(tmp_path / "lists")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "50 users with 4 ratings each, 40 items, 3 factors, top 5, 2 threads"
    assert [line.split()[0] for line in said[2:5]] == ["1", "2", "all"]
    for number, users in ((1, range(25)), (2, range(25, 50))):
        lists = pd.read_parquet(tmp_path / "lists" / f"round-{number}")
        assert (lists.groupby("user").size() == 5).all()
        assert set(lists.user) == set(users)
    with pytest.raises(SystemExit, match="2"):
        script("scale").main(["--users", "0"])
    assert "0 is not at least 1" in capsys.readouterr().err
    assert script("scale").main([*words, "--out", str(PIPELINES / "scale.py")]) == 2
