"""One run, stopped and continued, is the same run."""

from __future__ import annotations

import csv
import json
import re
import resource
import signal
import tempfile
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commands import write_ratings
from recording import RecordingTracker

from recsys_ae.errors import ConfigError, StorageError
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.experiments import fit as fits
from recsys_ae.experiments import warm_up
from recsys_ae.experiments.run import run
from recsys_ae.models import fit as models_fit
from recsys_ae.models.biases import BiasRecommender
from recsys_ae.models.storage import load_model
from recsys_ae.results import folder as folders
from recsys_ae.results.folder import new_folder, read_run
from recsys_ae.results.result import RunResult
from recsys_ae.results.tracking import upload_run
from recsys_ae.settings.configs import ValidationConfig
from recsys_ae.settings.load import default_experiment
from recsys_ae.tracking.tracker import NullTracker
from recsys_ae.training.interrupts import Terminated, terminated
from recsys_ae.training.runner import Context
from recsys_ae.types import Epoch


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_ratings(tmp_path / "ratings.csv")
    settings = ["hidden=[6]", "training.epochs=6", "training.batch_size=16"]
    return default_experiment("ratings.csv", "u-autorec", settings)


@pytest.fixture
def rescued(tmp_path, monkeypatch) -> Path:
    """The system's folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def claim(config, out: str, **options) -> None:
    with new_folder(config, Path(out), **options):
        pass


def ctrl_c(epoch: Epoch) -> None:
    if epoch.number == 2:
        signal.raise_signal(signal.SIGINT)


def test_what_happens_once_in_a_process_is_done_before_the_fit_is_measured(config, monkeypatch):
    """By a fit to a few ratings, of which nobody is told anything and nothing is kept."""
    fitted, measured, heard = [], [], []

    def watch(model, train, *given, run=models_fit._fitted):
        fitted.append(train.n_observed)
        return run(model, train, *given)

    def count(run=fits.measured):
        measured.append(len(fitted))
        return run()

    monkeypatch.setattr(models_fit, "_fitted", watch)
    monkeypatch.setattr(fits, "measured", count)
    run(config, Path("out"), Context(on_epoch=heard.append), NullTracker())
    assert (fitted[0], len(fitted), measured) == (100, 2, [1])
    assert [epoch.number for epoch in heard] == list(range(7))
    assert not any(Path(".checkpoints").glob("*/*"))


def test_ctrl_c_ends_a_run_that_has_not_begun_to_fit(config, monkeypatch):
    """An epoch ends before Ctrl-C ends the training, that of the first few ratings too."""

    monkeypatch.setattr(warm_up, "fit", lambda *given, **named: SimpleNamespace(interrupted=True))
    with pytest.raises(KeyboardInterrupt):
        run(config, Path("out"), Context(), NullTracker())
    assert not Path("out/result.json").exists()


def test_interrupted_run_is_kept_and_continues_to_the_same_result(config):
    whole = run(config, Path("whole"), Context(), NullTracker())
    stopped = run(config, Path("stopped"), Context(on_epoch=ctrl_c), NullTracker())
    assert (stopped.fit.interrupted, stopped.fit.epochs_run) == (True, 2)
    assert stopped.report.metrics.keys() == whole.report.metrics.keys()
    assert json.loads(Path("stopped/result.json").read_text())["fit"]["interrupted"]

    resumed = run(config, Path("resumed"), Context(resume=True), NullTracker())
    assert not resumed.fit.interrupted
    assert resumed.report.metrics == whole.report.metrics
    assert resumed.fit.best_epoch == whole.fit.best_epoch
    assert Path("resumed/epochs.csv").read_text().count("\n") == Path("whole/epochs.csv").read_text().count(
        "\n"
    )
    assert not Path(".checkpoints").exists()


def test_training_whose_results_were_not_kept_can_still_be_continued(config, caplog, rescued):
    def get_in_the_way(epoch: Epoch) -> None:
        Path("taken").write_text("no folder")

    whole = run(config, Path("whole"), Context(), NullTracker())
    run(config, Path("stopped"), Context(on_epoch=ctrl_c), NullTracker())
    with pytest.raises(StorageError, match="cannot be written"):
        run(config, Path("taken"), Context(resume=True, on_epoch=get_in_the_way), NullTracker())
    again = run(config, Path("again"), Context(resume=True), NullTracker())
    assert again.report.metrics == whole.report.metrics
    assert "training starts anew" not in caplog.text
    assert not Path(".checkpoints").exists()


def test_what_a_killed_training_left_is_removed_when_it_starts_again(config):
    run(config, Path("stopped"), Context(on_epoch=ctrl_c), NullTracker())
    (state,) = Path(".checkpoints").iterdir()
    for name in (f".{state.name}.0a1b2c3d.tmp", f".{state.name}.0a1b2c3d.old", ".other.0a1b2c3d.tmp"):
        (state.parent / name).mkdir()
        (state.parent / name / "state.json").write_text("{")
    run(config, Path("again"), Context(), NullTracker())
    assert [path.name for path in state.parent.iterdir()] == [".other.0a1b2c3d.tmp"]


@pytest.mark.parametrize("settings", [[], ["model={kind: biased-mf, factors: 3, iterations: 7}"]])
def test_interrupted_results_are_replaced_by_those_of_the_resumed_training(config, settings):
    """The same command with --resume, its --out and all."""
    config = default_experiment("ratings.csv", "u-autorec", ["hidden=[6]", "training.epochs=6", *settings])
    whole = run(config, Path("whole"), Context(), NullTracker())
    run(config, Path("mine"), Context(on_epoch=ctrl_c), NullTracker())
    with pytest.raises(ConfigError, match=r"exists already and holds this very run.*add --resume"):
        claim(config, "mine")
    with new_folder(config, Path("mine"), resume=True) as folder:
        resumed = run(config, folder, Context(resume=True), NullTracker())
    assert (resumed.fit.interrupted, resumed.fit.epochs_run) == (False, whole.fit.epochs_run)
    assert RunResult.from_folder(Path("mine")).report.metrics == whole.report.metrics
    with pytest.raises(ConfigError, match="exists already"):  # finished results are never overwritten
        claim(config, "mine", resume=True)


def test_interrupted_results_of_another_config_are_left_alone(config):
    run(config, Path("mine"), Context(on_epoch=ctrl_c), NullTracker())
    other = config.model_copy(update={"seed": 5})
    with pytest.raises(ConfigError, match="exists already"):
        claim(other, "mine", resume=True)


def test_state_is_kept_beside_the_results(config):
    run(config, Path("deep/er/stopped"), Context(on_epoch=ctrl_c), NullTracker())
    assert len(list(Path("deep/er/.checkpoints").iterdir())) == 1
    assert not Path("runs").exists()


def test_state_that_cannot_be_kept_ends_no_training(config, caplog):
    Path(".checkpoints").write_text("in the way")
    stopped = run(config, Path("stopped"), Context(on_epoch=ctrl_c), NullTracker())
    assert (stopped.fit.interrupted, stopped.fit.resumable) == (True, False)
    assert "cannot be resumed" in caplog.text
    assert RunResult.from_folder(Path("stopped")).report.metrics == stopped.report.metrics


@pytest.mark.parametrize("kind", ["biases", "als", "bpr", "item-knn", "popularity", "mean"])
def test_a_model_without_a_state_to_resume_from_says_so_before_anything_is_read(config, kind):
    tracker = RecordingTracker()
    other = default_experiment("nowhere.csv", kind)
    with pytest.raises(ConfigError, match=f"model '{kind}' is fitted in one go.*leave out --resume"):
        run(other, Path("out"), Context(resume=True), tracker)
    assert tracker.status is None


def test_resuming_nothing_starts_anew_and_says_so(config, caplog):
    run(config, Path("out"), Context(resume=True), NullTracker())
    assert "training starts anew" in caplog.text


def test_state_of_another_config_is_not_continued(config, caplog):
    run(config, Path("stopped"), Context(on_epoch=ctrl_c), NullTracker())
    other = default_experiment("ratings.csv", "u-autorec", ["hidden=[5]", "training.epochs=3"])
    assert run(other, Path("other"), Context(resume=True), NullTracker()).fit.epochs_run == 3
    assert "training starts anew" in caplog.text


def test_phases_of_a_training_are_in_its_table_and_tracked_and_a_refit_repeats_them(config):
    """Two layers of two epochs each, then two of the whole network: the tracker hears of them once."""
    settings = ["hidden=[6,4]", "decoder=mirror", "pretraining={epochs: 2}", "training.epochs=2",
                "validation.refit=true"]  # fmt: skip
    tracker = RecordingTracker()
    stacked = default_experiment("ratings.csv", "u-autorec", settings)
    result = run(stacked, Path("out"), Context(), tracker)
    steps = {"train/pretraining layer 1": [1, 2], "train/pretraining layer 2": [3, 4],
             "train/reconstruction": [5, 6], "validation/rmse": [0, 5, 6]}  # fmt: skip
    with Path("out/epochs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name, numbers in steps.items():
        assert [int(row["epoch"]) for row in rows if row[name]] == numbers
        assert [step for key, _, step in tracker.logged_metrics if key == name] == numbers
    assert (result.fit.epochs_run, result.fit.refitted) == (6, True)


def test_all_of_a_run_is_tracked(config):
    tracker = RecordingTracker()
    result = run(config, Path("out"), Context(), tracker)
    answer = result.to_json()
    assert tracker.status == "FINISHED"
    assert tracker.models == ["model"]
    assert {"config.yaml", "epochs.csv", "curves.svg", "predictions.svg", "per_user.parquet",
            "per_item.parquet", "result.json"} == set(tracker.artifacts)  # fmt: skip
    logged = {name: value for name, value, step in tracker.logged_metrics if step is None}
    assert logged.items() >= answer["report"]["metrics"].items()
    assert logged.items() >= answer["cost"].items()
    for name, value in result.report.counts.items():
        assert tracker.logged_tags[f"count/{name}"] == f"{value:g}"
        assert f"count/{name}" not in logged
    steps = [step for name, _, step in tracker.logged_metrics if name == "validation/rmse"]
    assert steps == [0, 1, 2, 3, 4, 5, 6]
    assert tracker.datasets[0].split_fingerprint == answer["origin"]["split_fingerprint"]
    assert tracker.logged_tags["data_fingerprint"] == answer["origin"]["data_fingerprint"]


def test_result_in_the_folder_is_the_result_of_the_run(config):
    result = run(config, Path("out"), Context(), NullTracker())
    found = RunResult.from_folder(Path("out"))
    assert found.to_json() == result.to_json()
    assert found.report.summary == result.report.summary
    for name, values in result.report.per_user.items():
        np.testing.assert_array_equal(found.report.per_user[name], values)


def test_run_that_an_earlier_program_wrote_can_be_uploaded(config):
    """Its document was flat, without a format number."""
    result = run(config, Path("out"), Context(), NullTracker())
    document = result.to_json()
    flat = {key: document[key] for key in ("name", "run_id", "model", "folder")}
    flat |= document["report"] | document["fit"] | document["origin"] | document["cost"]
    later = ("metric", "resumable", "relevant", "split_name", "status", "metrics_before_refit", "refitted",
             "training_fingerprint", "fitted_fingerprint")  # fmt: skip
    for key in later:
        del flat[key]
    Path("out/result.json").write_text(json.dumps(flat))
    tracker = RecordingTracker(run_id="4f1c")
    uploaded = upload_run(Path("out"), tracker)
    assert uploaded.report.summary == result.report.summary
    assert tracker.datasets[0].profile["ratings"] == result.report.counts["train_ratings"]
    read = json.loads(Path("out/result.json").read_text())
    del read["checksum"]
    unknown = {"training_fingerprint": "", "fitted_fingerprint": ""}
    document["origin"] |= unknown
    assert read == document | {"run_id": "4f1c", "validation": None, "files": {}}


def test_no_pair_of_the_test_part_is_scored_twice(tmp_path, monkeypatch):
    """Metrics, values per user and the plot of predictions come of one scoring."""
    monkeypatch.chdir(tmp_path)
    write_ratings(tmp_path / "ratings.csv")
    asked, score_pairs = [], BiasRecommender.score_pairs

    def counted(self, batch, rows, items):
        asked.extend(zip(batch.positions[rows], items, strict=True))
        return score_pairs(self, batch, rows, items)

    monkeypatch.setattr(BiasRecommender, "score_pairs", counted)
    result = run(default_experiment("ratings.csv", "biases"), Path("out"), Context(), NullTracker())
    assert len(asked) == len(set(asked)) == result.report.counts["holdout_ratings"] > 0
    assert Path("out/predictions.svg").exists()


def test_validation_is_tracked_in_the_units_of_its_metric(config):
    """Steps that are too long: the best epoch is not the last."""
    tracker = RecordingTracker()
    settings = ["hidden=[6]", "training.epochs=9", "training.batch_size=16", "training.learning_rate=0.3"]
    config = default_experiment("ratings.csv", "u-autorec", settings)
    result = run(config, Path("out"), Context(), tracker)
    curve = {step: value for name, value, step in tracker.logged_metrics if name == "validation/rmse"}
    assert len(curve) == 1 + result.fit.epochs_run  # epoch 0 is validated, too
    assert all(0 < value < 10 for value in curve.values())
    assert result.fit.best_epoch == min(curve, key=lambda step: (curve[step], step)) < result.fit.epochs_run


def test_state_of_a_training_chosen_by_other_figures_is_not_continued(config, caplog):
    """What counts as a hit decides the scores that the epochs so far were compared by."""
    changed = {"validation": ValidationConfig(metric="ndcg")}
    first, other = (
        config.model_copy(update=changed | {"evaluation": EvaluationConfig(relevant=least)})
        for least in (None, 2.0)
    )
    run(first, Path("stopped"), Context(on_epoch=ctrl_c), NullTracker())
    assert run(other, Path("other"), Context(resume=True), NullTracker()).fit.epochs_run == 6
    assert "training starts anew" in caplog.text


def test_uploading_tells_what_live_tracking_told(config):
    live, later = RecordingTracker(), RecordingTracker()
    run(config, Path("out"), Context(), live)
    upload_run(Path("out"), later)
    assert later.logged_params == live.logged_params
    assert sorted(later.artifacts) == sorted(live.artifacts)
    assert later.models == live.models
    assert later.datasets == live.datasets
    assert [record.context for record in later.datasets] == ["training", "test"]
    assert all(record.profile["ratings"] > 0 for record in later.datasets)
    assert later.fitted_models == live.fitted_models
    assert dict_of(later) == pytest.approx(dict_of(live))
    assert live.logged_tags["device"] in ("cpu", "cuda")
    assert int(live.logged_tags["threads"]) >= 1
    assert live.logged_tags.items() <= later.logged_tags.items()


def dict_of(tracker: RecordingTracker) -> dict:
    return {(name, step): value for name, value, step in tracker.logged_metrics}


def test_results_that_cannot_be_written_are_kept_elsewhere_and_nothing_is_left(config, rescued):
    Path("file").write_text("no folder")
    with pytest.raises(StorageError) as caught:
        run(config, Path("file/out"), Context(), NullTracker())
    (place,) = rescued.glob("*/*")
    assert str(caught.value) == (
        f"file/out: the results cannot be written (File exists); they are in {place}: move them to "
        "another place, such as one on another disk"
    )
    assert read_run(place)[1].report.metrics
    assert load_model(place / "model").recommender.kind == "network"
    assert {path.name for path in Path().iterdir()} == {"file", "ratings.csv", rescued.name}


def test_without_room_anywhere_the_training_is_kept_until_there_is_some(config, rescued, monkeypatch):
    """Files beyond 12 kB, as figures are, cannot be written on any disk; the state of so small a network is
    smaller."""
    monkeypatch.setenv("HOME", str(Path.cwd()))
    whole, told, told_again = run(config, Path("whole"), Context(), NullTracker()), [], []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, before[1]))
    try:
        with pytest.raises(StorageError) as caught:
            run(config, Path("out"), Context(on_epoch=told.append), NullTracker())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    (state,) = Path(".checkpoints").iterdir()
    assert str(caught.value) == (
        f"out: the results cannot be written (File too large); make room, and the same command with "
        f"--resume continues the training kept in {state}"
    )
    left = {"whole", ".checkpoints", "ratings.csv", rescued.name}
    assert {path.name for path in Path().iterdir()} == left
    assert not list(rescued.iterdir())
    again = run(config, Path("out"), Context(resume=True, on_epoch=told_again.append), NullTracker())
    assert told_again == told  # with their seconds: nothing was trained again
    assert again.report.metrics == whole.report.metrics
    assert not Path(".checkpoints").exists()


def test_results_go_to_another_disk_first_and_to_memory_last(config, rescued, monkeypatch, tmp_path):
    monkeypatch.setattr(folders, "_MEMORY", tmp_path / "memory")
    monkeypatch.setenv("HOME", "/proc")  # stands for another disk, to which nothing can be written
    assert folders._other_places(Path("out")) == [Path("/proc"), rescued, Path.cwd(), tmp_path / "memory"]
    (tmp_path / "memory").mkdir()
    rescued.rmdir()
    monkeypatch.setattr(Path, "cwd", lambda: Path("/proc"))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=r"they are in .*/memory/recsys-ae-\w+/run: move them to another"):
        run(config, tmp_path / "file" / "out", Context(), NullTracker())
    (place,) = tmp_path.glob("memory/recsys-ae-*/run")
    assert read_run(place)[1].report.metrics


@pytest.mark.parametrize("length", [242, 255])
def test_long_names_are_no_trouble(config, length, rescued):
    out = Path("o" * length)
    with new_folder(config, out) as folder:
        result = run(config, folder, Context(), NullTracker())
    assert read_run(out)[1].report.metrics == result.report.metrics
    assert {path.name for path in Path().iterdir()} == {"ratings.csv", out.name, rescued.name}
    Path("file").write_text("no folder")
    with pytest.raises(StorageError):
        run(config, "file" / out, Context(), NullTracker())
    (place,) = rescued.glob("*/*")
    assert read_run(place)[1].report.metrics == result.report.metrics


def test_place_that_cannot_be_written_to_is_refused(config):
    Path("file").write_text("in the way")
    for place in ("file/out", "/proc/nowhere/out"):
        with pytest.raises(ConfigError, match="is no folder that can be written to"):
            claim(config, place)


def test_runs_of_the_same_second_have_folders_of_their_own(config, monkeypatch):
    monkeypatch.setattr(folders, "datetime", Clock)
    with new_folder(config, None) as first, new_folder(config, None) as second:
        assert first != second
        with pytest.raises(
            ConfigError, match=r"--out .*: another run writes there now; choose another folder"
        ):
            claim(config, str(second))
        run(config, second, Context(), NullTracker())
    assert [path.name for path in Path("runs").iterdir()] == [second.name]


class Clock:
    """Stands still."""

    @staticmethod
    def now(zone):
        return datetime(2024, 5, 6, 7, 8, 9, tzinfo=zone)


def test_what_a_killed_run_has_claimed_goes_with_the_next_of_its_name(config):
    stem = f"{config.name}-20240506T070809Z"
    for name in (stem, f"{stem}-2", f".{stem}.0a1b2c3d.tmp", "mine", f"{config.name}-mine"):
        Path("runs", name).mkdir(parents=True)
    Path("runs", f"{stem}-2", "result.json").write_text("{}")
    with new_folder(config, None):
        left = {path.name for path in Path("runs").iterdir()}
        assert left >= {f"{stem}-2", "mine", f"{config.name}-mine"}
        assert len(left) == 4


def test_killed_run_can_be_started_again_at_the_same_place(config):
    """Its claim is empty, and what it had written is beside it."""
    Path("mine").mkdir()
    Path(".mine.0a1b2c3d.tmp").mkdir()
    with new_folder(config, Path("mine")) as folder:
        result = run(config, folder, Context(), NullTracker())
    assert read_run(Path("mine"))[1].report.metrics == result.report.metrics
    assert {path.name for path in Path().iterdir()} == {"mine", "ratings.csv"}


def test_interrupted_results_survive_a_kill_while_they_are_replaced(config):
    run(config, Path("mine"), Context(on_epoch=ctrl_c), NullTracker())
    Path("mine").rename(".mine.0a1b2c3d.old")
    with new_folder(config, Path("mine"), resume=True) as folder:
        assert read_run(folder)[1].fit.interrupted


def test_refused_and_failed_runs_leave_no_folder(config):
    with pytest.raises(ValueError, match="no"), new_folder(config, None):
        raise ValueError("no")
    with pytest.raises(ValueError, match="no"), new_folder(config, Path("deep/er/mine")):
        raise ValueError("no")
    assert {path.name for path in Path().iterdir()} == {"ratings.csv"}


def test_flipped_bit_anywhere_in_a_run_folder_is_found_and_its_file_named(config):
    run(config, Path("out"), Context(), NullTracker())
    assert read_run(Path("out"))
    for path in sorted(path for path in Path("out").rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for place in range(0, 8 * len(whole), max(7, len(whole) // 3)):
            damaged = bytearray(whole)
            damaged[place // 8] ^= 1 << place % 8
            path.write_bytes(damaged)
            with pytest.raises(StorageError, match=re.escape(path.name)):
                read_run(Path("out"))
        path.write_bytes(whole)
    assert read_run(Path("out"))


def test_checksums_hold_after_tracking(config):
    """The document is written once more, with the names of the tracked run and model."""
    run(config, Path("out"), Context(), RecordingTracker(run_id="4f1c"))
    assert read_run(Path("out"))[1].run_id == "4f1c"
    Path("out/epochs.csv").write_text("damaged")
    with pytest.raises(StorageError, match=r"epochs\.csv: damaged"):
        upload_run(Path("out"), RecordingTracker())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_run_that_is_terminated_is_marked_so_and_continues_to_the_same_result(config, number):
    def send(epoch: Epoch) -> None:
        if epoch.number == 2:
            signal.raise_signal(number)

    whole, tracker = run(config, Path("whole"), Context(), NullTracker()), RecordingTracker()
    with pytest.raises(Terminated), terminated(), new_folder(config, Path("out")) as folder:
        run(config, folder, Context(on_epoch=send), tracker)
    assert tracker.status == "KILLED"
    assert {path.name for path in Path().iterdir()} == {".checkpoints", "ratings.csv", "whole"}
    resumed = run(config, Path("out"), Context(resume=True), NullTracker())
    assert resumed.report.metrics == whole.report.metrics
