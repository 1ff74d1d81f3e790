"""One run, stopped and continued, is the same run."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from commands import write_ratings

from recsys_ae.errors import ConfigError, StorageError
from recsys_ae.experiments.load import default_experiment
from recsys_ae.experiments.run import RunContext, run
from recsys_ae.experiments.upload import upload
from recsys_ae.tracking.tracker import NullTracker, RecordingTracker
from recsys_ae.types import Epoch


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_ratings(tmp_path / "ratings.csv")
    settings = ["hidden=[6]", "training.epochs=6", "training.batch_size=16"]
    return default_experiment("ratings.csv", "u-autorec", settings)


def ctrl_c(epoch: Epoch) -> None:
    if epoch.number == 2:
        signal.raise_signal(signal.SIGINT)


def test_interrupted_run_is_kept_and_continues_to_the_same_result(config):
    whole = run(config, RunContext(out=Path("whole")), NullTracker())
    stopped = run(config, RunContext(out=Path("stopped"), on_epoch=ctrl_c), NullTracker())
    assert (stopped.interrupted, stopped.epochs_run) == (True, 2)
    assert stopped.metrics.keys() == whole.metrics.keys()
    assert json.loads(Path("stopped/result.json").read_text())["interrupted"]

    resumed = run(config, RunContext(out=Path("resumed"), resume=True), NullTracker())
    assert not resumed.interrupted
    assert resumed.metrics == whole.metrics
    assert resumed.best_epoch == whole.best_epoch
    assert Path("resumed/epochs.csv").read_text().count("\n") == Path("whole/epochs.csv").read_text().count(
        "\n"
    )
    assert list(Path("runs/.checkpoints").iterdir()) == []


def test_training_whose_results_were_not_kept_can_still_be_continued(config, caplog):
    def get_in_the_way(epoch: Epoch) -> None:
        Path("file").write_text("no folder")

    whole = run(config, RunContext(out=Path("whole")), NullTracker())
    run(config, RunContext(out=Path("stopped"), on_epoch=ctrl_c), NullTracker())
    with pytest.raises(StorageError, match="cannot be written"):
        run(config, RunContext(out=Path("file/out"), resume=True, on_epoch=get_in_the_way), NullTracker())
    again = run(config, RunContext(out=Path("again"), resume=True), NullTracker())
    assert again.metrics == whole.metrics
    assert "training starts anew" not in caplog.text
    assert list(Path("runs/.checkpoints").iterdir()) == []


def test_what_a_killed_training_left_is_removed_when_it_starts_again(config):
    run(config, RunContext(out=Path("stopped"), on_epoch=ctrl_c), NullTracker())
    (state,) = Path("runs/.checkpoints").iterdir()
    for name in (f".{state.name}.0a1b2c3d.tmp", f".{state.name}.0a1b2c3d.old", ".other.0a1b2c3d.tmp"):
        (state.parent / name).mkdir()
        (state.parent / name / "state.json").write_text("{")
    run(config, RunContext(out=Path("again")), NullTracker())
    assert [path.name for path in state.parent.iterdir()] == [".other.0a1b2c3d.tmp"]


def test_resuming_nothing_starts_anew_and_says_so(config, caplog):
    run(config, RunContext(out=Path("out"), resume=True), NullTracker())
    assert "training starts anew" in caplog.text


def test_state_of_another_config_is_not_continued(config, caplog):
    run(config, RunContext(out=Path("stopped"), on_epoch=ctrl_c), NullTracker())
    other = default_experiment("ratings.csv", "u-autorec", ["hidden=[5]", "training.epochs=3"])
    assert run(other, RunContext(out=Path("other"), resume=True), NullTracker()).epochs_run == 3
    assert "training starts anew" in caplog.text


def test_uploading_tells_what_live_tracking_told(config):
    live, later = RecordingTracker(), RecordingTracker()
    run(config, RunContext(out=Path("out")), live)
    upload(Path("out"), later)
    assert later.logged_params == live.logged_params
    assert sorted(later.artifacts) == sorted(live.artifacts)
    assert later.models == live.models
    assert later.datasets == live.datasets
    assert later.datasets[0].counts["train_ratings"] > 0
    assert dict_of(later) == pytest.approx(dict_of(live))
    assert live.logged_tags["device"] in ("cpu", "cuda")
    assert int(live.logged_tags["threads"]) >= 1
    assert live.logged_tags.items() <= later.logged_tags.items()


def dict_of(tracker: RecordingTracker) -> dict:
    return {(name, step): value for name, value, step in tracker.logged_metrics}


def test_nothing_is_left_of_a_run_whose_results_cannot_be_written(config, monkeypatch):
    def get_in_the_way(epoch: Epoch) -> None:
        Path("file").write_text("no folder")

    with pytest.raises(StorageError, match="cannot be written"):
        run(config, RunContext(out=Path("file/out"), on_epoch=get_in_the_way), NullTracker())
    assert {path.name for path in Path().iterdir()} <= {"file", "ratings.csv", "runs"}


def test_place_that_cannot_be_written_to_is_refused_before_fitting(config):
    Path("file").write_text("in the way")
    epochs = []
    with pytest.raises(ConfigError, match="is no folder that can be written to"):
        run(config, RunContext(out=Path("file/out"), on_epoch=epochs.append), NullTracker())
    assert epochs == []
