"""What was tuned is used, and what was read is not read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import write_ratings
from recording import RecordingTracker

from recsys_ae.data.histories import UserBatch
from recsys_ae.evaluation.validation import Validator
from recsys_ae.experiments import fit as fitting
from recsys_ae.experiments.benchmark import run_benchmark
from recsys_ae.experiments.prepare import prepare
from recsys_ae.experiments.tune import candidates, tune
from recsys_ae.metrics import RMSE
from recsys_ae.models.codec import state_of
from recsys_ae.settings.configs import BenchmarkConfig, ValidationConfig
from recsys_ae.splitting.make import validation_split
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
    tuned = tune(entry, split, config, seed=3, context=Context())
    fit = tuned.first
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
    (run,) = entry.runs
    assert fitted == [fitted[0], fitted[0], run.report.counts["train_ratings"]]  # the last is the refit
    assert run.fit.refitted
    (child,) = tracker.children
    for name in ("validation/rmse", "train/total"):  # of the fit that was validated, not of the refit too
        steps = [step for logged, _, step in child.logged_metrics if logged == name]
        assert steps == list(range(name == "train/total", run.fit.epochs_run + 1))
    scores = [(step, value) for name, value, step in child.logged_metrics if name == "trials/rmse"]
    assert scores == list(enumerate([trial.score for trial in run.validation.trials], 1))
    assert run.cost.fit_seconds > 0
    assert run.cost.peak_memory_mb > 10


def test_benchmarks_refit_unless_told_otherwise(config):
    """Whatever else a benchmark says of its validation."""
    document = config.model_dump(mode="json", exclude={"validation"})
    for said, refit in (({"share": 0.1}, True), ({"refit": False}, False)):
        assert BenchmarkConfig.model_validate(document | {"validation": said}).validation.refit is refit
    assert config.validation.refit
    assert not ValidationConfig().refit


@pytest.mark.parametrize("config", ["u-autorec"], indirect=True)
def test_without_a_refit_the_winner_goes_to_the_test_as_it_is(config):
    validation = config.validation.model_copy(update={"refit": False})
    results = [
        run_benchmark(each, Path(f"out{n}"), Context(), RecordingTracker())
        for n, each in enumerate((config, config.model_copy(update={"validation": validation})))
    ]
    runs = refitted, early = [result.entries[0].runs[0] for result in results]
    assert refitted.metrics_before_refit == early.report.metrics
    assert refitted.report.metrics != early.report.metrics
    assert early.metrics_before_refit == {}
    assert len({run.validation.score for run in runs}) == 1
    assert [run.fit.refitted for run in runs] == [True, False]
    assert refitted.origin.fitted_fingerprint == refitted.origin.training_fingerprint
    assert early.origin.training_fingerprint == refitted.origin.training_fingerprint
    assert early.origin.fitted_fingerprint != early.origin.training_fingerprint


def test_every_trial_has_the_score_of_a_fit_of_its_own(config):
    """Recomputed from ratings, by plain arithmetic."""
    (entry,) = config.models
    split = prepare(config.data, config.split, 3)
    tuned = tune(entry, split, config, seed=3, context=Context())
    part = validation_split(split, share=config.validation.share)
    batch = UserBatch(np.arange(part.train.n_users), part.train.matrix)
    rows, columns = part.holdout.rows(), part.holdout.columns.astype(np.int64)
    validator = Validator.of(part, RMSE, config.evaluation)
    for trial, (settings, model) in zip(tuned.validation.trials, candidates(entry), strict=True):
        fit = fitting.fit_ratings(model, part.train, validator, seed=3)
        errors = fit.model.score_pairs(batch, rows, columns) - part.holdout.values
        assert trial.settings == settings
        assert trial.score == pytest.approx(np.sqrt(np.mean(np.square(errors, dtype=np.float64))), rel=1e-6)
        assert (trial.epochs_run, trial.best_epoch) == (fit.epochs_run, fit.trained.best_epoch)
        assert trial.seconds > 0
    scores = [trial.score for trial in tuned.validation.trials]
    assert tuned.validation.chosen == scores.index(min(scores))
    assert tuned.validation.winner.settings.items() <= flat(tuned.model.model_dump(mode="json")).items()


def flat(document: dict, before: str = "") -> dict:
    """Nested settings by their dotted names."""
    return {
        name: value
        for key, inner in document.items()
        for name, value in (
            flat(inner, f"{before}{key}.") if isinstance(inner, dict) else {f"{before}{key}": inner}
        ).items()
    }


def test_a_combination_that_fails_keeps_its_error_and_loses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_ratings(tmp_path / "ratings.csv")
    entry = {
        "name": "u",
        "model": {"kind": "u-autorec", **MODELS["u-autorec"]},
        "grid": {"training.learning_rate": [1e30, 1e-3], "training.optimizer": ["sgd"]},
    }
    config = BenchmarkConfig.model_validate(
        {"name": "b", "data": {"source": "ratings.csv"}, "models": [entry], "reference": "u", "trials": 2}
    )
    split = prepare(config.data, config.split, 0)
    found = tune(config.models[0], split, config, seed=0, context=Context()).validation
    assert found.chosen == 1
    assert (found.trials[0].score, found.trials[1].error) == (None, None)
    assert "learning rate" in found.trials[0].error
    assert found.edges == {"training.learning_rate": "lowest"}


@pytest.mark.parametrize("kind", ["biases", "popularity", "mean"])
def test_a_model_with_nothing_to_choose_is_scored_like_the_others(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_ratings(tmp_path / "ratings.csv")
    document = {
        "name": "b", "data": {"source": "ratings.csv"}, "reference": kind,
        "models": [{"name": kind, "model": {"kind": kind}}],
    }  # fmt: skip
    config = BenchmarkConfig.model_validate(document)
    run = run_benchmark(config, Path("out"), Context(), RecordingTracker()).entries[0].runs[0]
    (trial,) = run.validation.trials
    assert trial.score > 0
    assert run.validation.metric == ("ndcg_at_10" if kind == "popularity" else "rmse")
    assert run.validation.remarks() == []

    other = "rmse" if kind == "popularity" else "ndcg"
    config = BenchmarkConfig.model_validate(document | {"validation": {"metric": other}})
    (entry,) = run_benchmark(config, Path("other"), Context(), RecordingTracker()).entries
    (trial,) = entry.runs[0].validation.trials
    if kind == "biases":  # it ranks as well
        assert trial.score > 0
    else:
        assert trial.score is None
        assert "choose" in trial.error
    assert entry.error is None
    assert entry.runs[0].report.metrics == run.report.metrics


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
