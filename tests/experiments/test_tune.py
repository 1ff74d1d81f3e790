"""What was tuned is used, and what was read is not read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import write_ratings
from recording import RecordingTracker

from recsys_ae.experiments import fit as fitting
from recsys_ae.experiments.benchmark import run_benchmark
from recsys_ae.experiments.prepare import prepare
from recsys_ae.experiments.tune import tune
from recsys_ae.models.codec import state_of
from recsys_ae.settings.configs import BenchmarkConfig
from recsys_ae.training.runner import Context

MODELS = {
    "u-autorec": {"hidden": [4], "training": {"epochs": 4, "batch_size": 16}},
    "biased-mf": {"factors": 2, "iterations": 5},
    "biases": {},
}
GRIDS = {"u-autorec": {"l2": [1.0, 50.0]}, "biased-mf": {"l2": [0.3, 3.0]}, "biases": {"sweeps": [1, 9]}}


@pytest.fixture(params=MODELS)
def config(request, tmp_path, monkeypatch) -> BenchmarkConfig:
    monkeypatch.chdir(tmp_path)
    write_ratings(tmp_path / "ratings.csv")
    kind = request.param
    entry = {"name": kind, "model": {"kind": kind, **MODELS[kind]}, "grid": GRIDS[kind]}
    return BenchmarkConfig.model_validate(
        {"name": "b", "data": {"source": "ratings.csv"}, "models": [entry], "reference": kind, "trials": 2}
    )


def test_fit_of_the_winner_is_the_fit_that_the_test_would_make(config):
    (entry,) = config.models
    split = prepare(config.data, config.split, 3)
    tuned, fit = tune(entry, split, config, seed=3, context=Context())
    assert (fit is not None) == entry.model.trains_in_epochs
    if fit is None:
        return
    afresh = fitting.fit_split(tuned.model, split, validation=config.validation, seed=3)
    assert [epoch.score for epoch in fit.trained.epochs] == [epoch.score for epoch in afresh.trained.epochs]
    assert (fit.metric, fit.trained.best_epoch) == (afresh.metric, afresh.trained.best_epoch)
    for name, array in state_of(fit.trained.model).arrays.items():
        np.testing.assert_array_equal(array, state_of(afresh.trained.model).arrays[name])


def test_winner_is_not_fitted_twice_and_its_curve_is_tracked(config, monkeypatch):
    fitted, fit = [], fitting.fit

    def counted(model, train, **options):
        fitted.append(train.n_observed)
        return fit(model, train, **options)

    monkeypatch.setattr(fitting, "fit", counted)
    tracker = RecordingTracker()
    result = run_benchmark(config, Path("out"), Context(), tracker)
    (entry,) = result.entries
    if not entry.config.model.trains_in_epochs:  # the test's fit has all training ratings
        assert len(fitted) == 3
        assert fitted[2] == entry.runs[0].report.counts["train_ratings"] > fitted[0]
        return
    assert len(fitted) == 2
    (run,) = entry.runs
    (child,) = tracker.children
    steps = [step for name, _, step in child.logged_metrics if name == "validation/rmse"]
    assert steps == list(range(1, run.fit.epochs_run + 1))
    assert run.cost.fit_seconds > 0
    assert run.cost.peak_memory_mb > 10


@pytest.mark.parametrize("config", ["biased-mf", "biases"], indirect=True)
def test_a_tuned_model_is_warned_of_equal_ratings_once(config, caplog):
    ones = [line.rpartition(",")[0] + ",1" for line in Path("ratings.csv").read_text().splitlines()[1:]]
    Path("ratings.csv").write_text("\n".join(["user,item,rating", *ones]) + "\n")
    run_benchmark(config, Path("out"), Context(), RecordingTracker())
    assert caplog.text.count("all training ratings are 1") == 1


@pytest.mark.parametrize("config", ["biases"], indirect=True)
def test_files_are_read_once_for_all_seeds(config):
    config = config.model_copy(update={"seeds": (0, 1, 2)})

    def remove(text: str) -> None:
        Path("ratings.csv").unlink(missing_ok=True)

    result = run_benchmark(config, Path("out"), Context(), RecordingTracker(), on_run=remove)
    (entry,) = result.entries
    assert entry.error is None
    assert len({run.origin.split_fingerprint for run in entry.runs}) == 3
