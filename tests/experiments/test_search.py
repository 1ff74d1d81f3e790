"""A search of settings: the same trials however often it is stopped, and the best of them in the test."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import write_ratings
from recording import RecordingTracker

from recsys_ae.errors import ConfigError, RecsysError, StorageError
from recsys_ae.experiments.prepare import prepare
from recsys_ae.experiments.run import run
from recsys_ae.experiments.search import goes_on, run_search, unfinished
from recsys_ae.experiments.tune import tune
from recsys_ae.models.codec import state_of
from recsys_ae.models.storage import load_model
from recsys_ae.results.result import RunResult
from recsys_ae.results.trials import Trial, Validation
from recsys_ae.settings.configs import BenchmarkConfig, SearchConfig
from recsys_ae.settings.load import load_experiment, load_search
from recsys_ae.tracking.tracker import NullTracker
from recsys_ae.training.runner import Context

NETWORK = {
    "model": {"kind": "u-autorec", "hidden": [4], "training": {"epochs": 10, "batch_size": 16}},
    "space": {
        "l2": {"low": 0.1, "high": 1000, "log": True},
        "hidden": {"low": 2, "high": 12},
        "activation": {"values": ["sigmoid", "elu"]},
        "training.learning_rate": {"low": 1e-3, "high": 0.1, "log": True},
    },
}
SEED = 2  # one with trials that are pruned
BIASES = {
    "model": {"kind": "biases"},
    "space": {"item_damping": {"low": 0.1, "high": 100, "log": True}, "user_damping": {"low": 0, "high": 50}},
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_ratings(tmp_path / "ratings.csv")
    return tmp_path


def search(of: dict[str, Any] = BIASES, **changes: Any) -> SearchConfig:
    document = {"name": "s", "data": {"source": "ratings.csv"}, "trials": 12, **of, **changes}
    return SearchConfig.model_validate(document)


def found(config: SearchConfig, folder: str = "out", tracker: Any = None, **options: Any) -> RunResult:
    return run_search(config, Path(folder), Context(), tracker or NullTracker(), **options)


def tuned(config: SearchConfig, **options: Any) -> Validation:
    """The trials alone, without a folder."""
    split = prepare(config.data, config.split, config.seed)
    return tune(config.entry, split, config, seed=config.seed, context=Context(), **options).validation


def settings_and_scores(validation: Validation) -> list[Trial]:
    """All of the trials but their times."""
    return [replace(trial, seconds=0.0) for trial in validation.trials]


def stop_after(n_trials: int):
    def stop(finished: Sequence[Trial]) -> None:
        if len(finished) == n_trials:
            raise KeyboardInterrupt

    return stop


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> tuple[RunResult, RecordingTracker]:
    """A search of a network, and what a tracker heard of it."""
    place, tracker = tmp_path_factory.mktemp("networks"), RecordingTracker()
    data = write_ratings(place / "ratings.csv")
    config = search(NETWORK, seed=SEED, data={"source": str(data)}, trials=14)
    return run_search(config, place / "out", Context(), tracker), tracker


def test_trials_are_those_of_the_seed():
    first, again, other = tuned(search()), tuned(search()), tuned(search(seed=1))
    assert settings_and_scores(first) == settings_and_scores(again)
    drawn = [[trial.settings for trial in each.trials[1:]] for each in (first, other)]
    assert not any(settings in drawn[1] for settings in drawn[0])
    assert settings_and_scores(tuned(search(trials=5))) == settings_and_scores(first)[:5]
    assert len({json.dumps(trial.settings) for trial in first.trials}) == 12


def test_a_search_that_was_stopped_goes_on_to_the_same_result():
    config = search(NETWORK, trials=7)
    whole = found(config, "whole")
    for n_trials in (0, 3, 7):
        with pytest.raises(KeyboardInterrupt):
            found(config, "parts", on_trials=stop_after(n_trials))
        assert goes_on(Path("parts"), config)
    told: list[int] = []
    parts = found(config, "parts", on_trials=lambda finished: told.append(len(finished)))
    assert told == [7]  # nothing is tried again
    assert settings_and_scores(parts.validation) == settings_and_scores(whole.validation)
    assert parts.validation.chosen == whole.validation.chosen
    assert parts.validation.importances == whole.validation.importances
    assert parts.report.metrics == whole.report.metrics
    assert parts.fit == whole.fit
    arrays = [state_of(load_model(Path(folder, "model")).recommender).arrays for folder in ("whole", "parts")]
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(array, arrays[1][name])
    assert not goes_on(Path("parts"), config)


KILLED = """
import os, signal, sys
from pathlib import Path
from recsys_ae.experiments.search import run_search
from recsys_ae.settings.load import load_search
from recsys_ae.tracking.tracker import NullTracker
from recsys_ae.training.runner import Context
n = []
def die(epoch):
    if len(n) == 4 and epoch.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
run_search(load_search("s.yaml"), Path("killed"), Context(on_epoch=die), NullTracker(),
           on_trials=lambda finished: n.append(finished))
"""


def test_a_search_killed_amid_a_trial_goes_on_to_the_same_result():
    config = search(NETWORK, trials=6)
    Path("s.yaml").write_text(config.model_dump_json())
    done = subprocess.run([sys.executable, "-c", KILLED], check=False, env=os.environ, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    told: list[int] = []
    study = {"study": Path("killed/study.db"), "on_trials": lambda finished: told.append(len(finished))}
    parts = tuned(load_search("s.yaml"), **study)
    assert told == [3, 4, 5, 6]
    assert settings_and_scores(parts) == settings_and_scores(tuned(config))


def test_pruned_trials_are_those_that_fell_behind_the_median(networks):
    """Recomputed from the curves that a tracker heard: the rule is that of a median over the trials which
    came to their end, from the third epoch on (a fifth of them is free), once there are five."""
    result, tracker = networks
    trials = result.validation.trials
    curves = [
        {step: value for name, value, step in child.logged_metrics if name == "validation/rmse"}
        for child in tracker.children
    ]
    assert len(curves) == len(trials)
    assert {trial.ended for trial in trials} == {"finished", "pruned"}
    for number, (trial, curve) in enumerate(zip(trials, curves, strict=True)):
        finished = [curves[n] for n in range(number) if not trials[n].pruned]
        behind = []
        for step in curve:
            others = [best_until(step, other) for other in finished if step in other]
            ready = len(finished) >= 5 and len(others) >= 3 and step >= 2
            behind.append(ready and best_until(step, curve) > np.median(others))
        assert behind[:-1] == [False] * (len(behind) - 1)
        assert behind[-1] == trial.pruned
        assert trial.score == min(curve.values())
        assert trial.epochs_run == max(curve)
        assert curve[trial.best_epoch] == trial.score
    assert not trials[result.validation.chosen].pruned
    assert result.validation.score == min(trial.score for trial in trials)


def best_until(step: int, curve: dict[int, float]) -> float:
    return min(value for epoch, value in curve.items() if epoch <= step)


def test_nothing_is_pruned_unless_wanted(networks):
    with_pruning = networks[0].validation
    validation = tuned(search(NETWORK, prune=False, seed=SEED, trials=10))
    assert {trial.ended for trial in validation.trials} == {"finished"}
    assert "pruned" in {trial.ended for trial in with_pruning.trials[:10]}


def test_the_best_config_trains_to_the_very_same_result(networks):
    result, _ = networks
    config = load_experiment(result.folder / "best.yaml")
    assert config == load_experiment(result.folder / "config.yaml")
    again = run(config, Path("again"), Context(), NullTracker())
    assert again.report.metrics == result.report.metrics
    assert again.validation.score == result.validation.score
    assert again.fit == replace(result.fit, resumable=again.fit.resumable)
    assert result.fit.refitted


def test_the_test_part_decides_nothing():
    """Other test ratings, the same trials and the same choice."""
    config = search(trials=6)
    split = prepare(config.data, config.split, 0)
    holdout = split.holdout
    turned = replace(holdout, matrix=holdout.matrix.copy())
    turned.matrix.data[:] = 6 - turned.matrix.data
    choices = [
        tune(config.entry, each, config, seed=0, context=Context()).validation
        for each in (split, replace(split, holdout=turned))
    ]
    assert [t.score for t in choices[0].trials] == [t.score for t in choices[1].trials]
    assert choices[0].chosen == choices[1].chosen


def test_files_say_what_was_tried(networks):
    result, _ = networks
    with (result.folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    trials = result.validation.trials
    assert [float(row["l2"]) for row in rows] == [trial.settings["l2"] for trial in trials]
    assert [json.loads(row["hidden"]) for row in rows] == [trial.settings["hidden"] for trial in trials]
    assert [float(row["validation rmse"]) for row in rows] == [trial.score for trial in trials]
    assert [row["ended"] for row in rows] == [trial.ended for trial in trials]
    document = json.loads((result.folder / "trials.json").read_text())
    assert [trial["score"] for trial in document["trials"]] == [trial.score for trial in trials]
    assert document["importances"].keys() == NETWORK["space"].keys()
    assert load_search(result.folder / "search.yaml").trials == 14
    page = (result.folder / "page.html").read_text()
    assert f"its settings reach RMSE {result.report.metrics['rmse']:.4f}" in page
    assert RunResult.from_folder(result.folder).validation == result.validation


def test_each_trial_is_a_nested_run_with_settings_and_score(networks):
    result, tracker = networks
    for number, (child, trial) in enumerate(zip(tracker.children, result.validation.trials, strict=True), 1):
        assert child.name == f"trial-{number}"
        assert child.logged_params == {f"model.{name}": value for name, value in trial.settings.items()}
        assert ("validated/rmse", trial.score, None) in child.logged_metrics
        assert child.logged_tags == {"recsys_ae.trial": str(number), "ended": trial.ended}
        assert child.status == "FINISHED"
    assert tracker.models == ["model"]
    assert {"best.yaml", "trials.csv", "study.db"} <= set(tracker.artifacts)
    assert tracker.logged_params["search"]["trials"] == 14


def test_trials_of_an_earlier_process_are_nested_runs_of_the_same_parent():
    """Whoever looks at a search sees all of its trials, however often it was stopped."""
    stopped, whole = RecordingTracker(), RecordingTracker()
    with pytest.raises(KeyboardInterrupt):
        found(search(trials=6), tracker=stopped, on_trials=stop_after(4))
    result = found(search(trials=6), tracker=whole)
    assert len(stopped.children) == 4
    assert [child.name for child in whole.children] == [f"trial-{number}" for number in range(1, 7)]
    for child, trial in zip(whole.children, result.validation.trials, strict=True):
        assert ("validated/rmse", trial.score, None) in child.logged_metrics
        assert child.logged_params == {f"model.{name}": value for name, value in trial.settings.items()}
        assert child.status == "FINISHED"


def test_the_first_trial_is_the_model_of_the_file():
    model = {"kind": "biases", "item_damping": 3, "user_damping": 7}
    first = tuned(search(model=model, trials=1)).trials[0]
    assert first.settings == {"item_damping": 3.0, "user_damping": 7.0}
    outside = tuned(search(model={**model, "item_damping": 500}, trials=1)).trials[0]
    assert outside.settings["item_damping"] <= 100


def test_a_space_of_few_combinations_is_tried_whole_as_a_grid_is():
    values = {"item_damping": [1, 5, 50], "user_damping": [1, 5], "sweeps": [1, 2]}
    space = {**{name: {"values": values[name]} for name in values}, "sweeps": {"low": 1, "high": 2}}
    entries = [
        {"name": name, "model": {"kind": "biases"}, **how}
        for name, how in (("grid", {"grid": values}), ("space", {"space": space}))
    ]
    config = BenchmarkConfig.model_validate(
        {"name": "b", "data": {"source": "ratings.csv"}, "models": entries, "reference": "grid"}
        | {"trials": 12}
    )
    split = prepare(config.data, config.split, 0)
    grid, space = (tune(e, split, config, seed=0, context=Context()).validation for e in config.models)
    assert [(t.settings, t.score) for t in space.trials] == [(t.settings, t.score) for t in grid.trials]
    assert space.chosen == grid.chosen


def test_settings_that_fail_lose_and_the_search_goes_on():
    model = {**NETWORK["model"], "training": {"optimizer": "sgd", "epochs": 3, "batch_size": 16}}
    space = {"training.learning_rate": {"low": 1e-4, "high": 1e35, "log": True}}
    validation = tuned(search(model=model, space=space, trials=6))
    failed = [trial for trial in validation.trials if trial.ended == "failed"]
    assert failed
    assert all("learning rate" in trial.error for trial in failed)
    assert validation.winner.ended == "finished"
    hopeless = {"training.learning_rate": {"low": 1e30, "high": 1e35, "log": True}}
    for _ in range(2):  # the second time all trials are known
        with pytest.raises(RecsysError, match="learning rate"):
            tuned(search(model=model, space=hopeless, trials=2), study=Path("bad.db"))


def test_no_trial_begins_once_the_time_is_over():
    few = tuned(search(max_minutes=1e-9))
    assert len(few.trials) == 1
    assert settings_and_scores(few) == settings_and_scores(tuned(search(max_minutes=None, trials=3)))[:1]


def test_another_search_is_no_continuation():
    with pytest.raises(KeyboardInterrupt):
        found(search(), on_trials=stop_after(2))
    for other in (search(seed=1), search(NETWORK), search(prune=False), search(split={"kind": "per-user"})):
        with pytest.raises(ConfigError, match="other settings"):
            goes_on(Path("out"), other)
    assert goes_on(Path("out"), search(trials=40))
    lines = Path("ratings.csv").read_text().splitlines()
    Path("ratings.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(ConfigError, match="other ratings"):
        found(search())


def test_the_latest_unfinished_search_is_found():
    config = search(trials=3)
    with pytest.raises(ConfigError, match="no unfinished search 's'"):
        unfinished(config)
    for name in ("s-20260101T000000Z", "s-20260102T000000Z", "s-20260103T000000Z", "s-20260104T000000Z"):
        Path("runs", name).mkdir(parents=True)
    found(config, "runs/s-20260103T000000Z")
    for name in ("s-20260101T000000Z", "s-20260102T000000Z"):
        with pytest.raises(KeyboardInterrupt):
            found(config, f"runs/{name}", on_trials=stop_after(1))
    with pytest.raises(KeyboardInterrupt):
        found(search(seed=3), "runs/s-20260104T000000Z", on_trials=stop_after(1))
    assert unfinished(config) == Path("runs/s-20260102T000000Z")


def test_two_searches_do_not_share_a_study(monkeypatch):
    """The second is refused while the first is at work, and disturbs nothing."""
    from recsys_ae.experiments import tune as tuning

    trial, refused = tuning.run_trial, []

    def with_another_beside(*given, **options):
        with pytest.raises(StorageError, match=r"study\.db: another search is at work with it") as caught:
            tuned(search(trials=4), study=Path("study.db"))
        refused.append(caught.value)
        return trial(*given, **options)

    monkeypatch.setattr(tuning, "run_trial", with_another_beside)
    first = tuned(search(trials=3), study=Path("study.db"))
    assert len(refused) == 3
    monkeypatch.setattr(tuning, "run_trial", trial)
    assert settings_and_scores(first) == settings_and_scores(tuned(search(trials=3)))
    assert len(tuned(search(trials=4), study=Path("study.db")).trials) == 4
    assert sorted(path.name for path in Path().iterdir()) == ["ratings.csv", "study.db"]


def test_what_a_search_left_before_its_first_trial_is_nothing():
    """The lock and half a study of a process that was killed; anything else is somebody's."""
    folder = Path("runs/s-20260101T000000Z")
    folder.mkdir(parents=True)
    (folder / ".study.db.lock").touch()
    (folder / ".study.db.0123abcd.tmp").mkdir()
    (folder / ".study.db.0123abcd.tmp" / "study.db-journal").touch()
    assert goes_on(folder, search())
    with pytest.raises(ConfigError, match="no unfinished search"):
        unfinished(search())
    (folder / "notes.txt").touch()
    assert not goes_on(folder, search())


def test_a_damaged_study_is_said():
    with pytest.raises(KeyboardInterrupt):
        found(search(), on_trials=stop_after(2))
    Path("out/study.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StorageError, match=r"study\.db: cannot be read"):
        found(search())


def test_memory_that_a_trial_lacks_is_its_failure(monkeypatch):
    from recsys_ae.experiments import trial as tuning

    fit, wide = tuning.fit_ratings, []

    def narrow(model, *words, **options):
        if model.item_damping > 10:
            wide.append(model)
            raise MemoryError
        return fit(model, *words, **options)

    monkeypatch.setattr(tuning, "fit_ratings", narrow)
    failed = [trial for trial in tuned(search(trials=8)).trials if trial.ended == "failed"]
    assert len(failed) == len(wide) > 0
    assert all("out of memory" in trial.error for trial in failed)


def test_a_study_is_seen_by_optuna_itself(networks):
    """With its own tools: values, parameters and curves."""
    optuna = pytest.importorskip("optuna")
    result, _ = networks
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{result.folder / 'study.db'}")
    trials = result.validation.trials
    assert len(study.trials) == len(trials)
    assert study.best_value == result.validation.score
    assert study.best_trial.number == result.validation.chosen
    for theirs, ours in zip(study.trials, trials, strict=True):
        assert theirs.state.name == {"finished": "COMPLETE", "pruned": "PRUNED"}[ours.ended]
        assert theirs.params["l2"] == pytest.approx(ours.settings["l2"], rel=1e-3)
        assert max(theirs.intermediate_values) == ours.epochs_run
