"""Runs in a real store, and runs without one that answers."""

from __future__ import annotations

import json
import logging
import os
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from mlflow import MlflowClient

from recsys_ae.errors import TrackingError
from recsys_ae.tracking.address import database_of
from recsys_ae.tracking.mlflow_tracker import MlflowTracker
from recsys_ae.tracking.runs import experiment_runs
from recsys_ae.tracking.store import _make_database
from recsys_ae.tracking.tracker import DatasetRecord


def stored(store: str, tracker: MlflowTracker):
    return MlflowClient(store).get_run(tracker.run_id)


def test_default_store_is_a_database_in_the_working_folder_with_artifacts_beside_it(store, tmp_path):
    with MlflowTracker("demo", "first") as tracker:
        note = tmp_path / "note.txt"
        note.write_text("hello")
        tracker.artifact(note)
    assert [run.name for run in experiment_runs("demo", uri=store)] == ["first"]
    assert [path.name for path in (tmp_path / "mlartifacts").rglob("*.txt")] == ["note.txt"]
    assert not (tmp_path / "mlruns").exists()


def test_environment_names_the_store_and_an_explicit_address_wins(store, tmp_path, monkeypatch):
    elsewhere = tmp_path / "other" / "mlflow.db"
    elsewhere.parent.mkdir()
    (tmp_path / "mlflow.db").rename(elsewhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere}")
    with MlflowTracker("demo", "by environment"):
        pass
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://nobody.invalid")
    with MlflowTracker("demo", "by argument", uri=f"sqlite:///{elsewhere}"):
        pass
    assert [run.name for run in experiment_runs("demo", uri=f"sqlite:///{elsewhere}")] == [
        "by environment",
        "by argument",
    ]


def test_a_store_of_files_works_for_those_who_ask_for_it(tmp_path, monkeypatch):
    uri = (tmp_path / "files").as_uri()
    with MlflowTracker("demo", "in files", uri=uri) as tracker:
        tracker.metrics({"test/rmse": 0.5})
    assert experiment_runs("demo", uri=uri)[0].metrics == {"test/rmse": 0.5}


def test_the_config_arrives_whole_however_large(store):
    config = {"model": {"kind": "i-autorec", "hidden": [500, 200], "l2": None, "bias": True}}
    config["many"] = {f"p{i}": i for i in range(250)}
    config["long"] = "x" * 20_000
    with MlflowTracker("demo", "config") as tracker:
        tracker.params(config)
    params = stored(store, tracker).data.params
    assert len(params) == 4 + 250 + 1
    assert {name: params[f"model.{name}"] for name in config["model"]} == {
        "kind": "i-autorec",
        "hidden": "[500, 200]",
        "l2": "null",
        "bias": "true",
    }
    assert params["long"].startswith("xxx")
    assert params["long"].endswith("…")


def test_curves_keep_every_epoch_and_names_never_hold_an_at_sign(store):
    with MlflowTracker("demo", "curves") as tracker:
        for epoch in range(1, 1201):
            tracker.metrics(
                {"train/reconstruction": 1 / epoch, "validation/ndcg@10": epoch / 1200}, step=epoch
            )
        tracker.metrics({"test/ndcg@10 (all)": 0.25})
    client = MlflowClient(store)
    assert set(stored(store, tracker).data.metrics) == {
        "train/reconstruction",
        "validation/ndcg_at_10",
        "test/ndcg_at_10 _all_",
    }
    curve = client.get_metric_history(tracker.run_id, "train/reconstruction")
    assert [(point.step, point.value) for point in curve] == [(epoch, 1 / epoch) for epoch in range(1, 1201)]


def test_metrics_travel_in_batches(store, monkeypatch):
    calls = []
    send = MlflowClient.log_batch
    monkeypatch.setattr(
        MlflowClient, "log_batch", lambda *args, **given: (calls.append(given), send(*args, **given))
    )
    with MlflowTracker("demo", "batches") as tracker:
        for epoch in range(300):
            tracker.metrics({"train/total": 1.0, "validation/score": 0.5}, step=epoch)
    assert sum("metrics" in given for given in calls) == 2  # one at 500, one with the rest


def test_tags_say_who_and_with_what(store):
    with MlflowTracker("demo", "tags", tags={"seed": "7"}) as tracker:
        tracker.tags({"split_fingerprint": "ab12"})
    tags = stored(store, tracker).data.tags
    assert (tags["seed"], tags["split_fingerprint"]) == ("7", "ab12")
    assert tags["version.numpy"] == version("numpy")


def test_the_commit_of_the_working_folder_is_tagged(store, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parent)
    with MlflowTracker("demo", "commit", uri=store) as tracker:
        pass
    commit = stored(store, tracker).data.tags.get("mlflow.source.git.commit")
    if commit is None:
        pytest.skip("not a git checkout")
    assert len(commit) == 40


def test_no_repository_no_commit(store):
    with MlflowTracker("demo", "no commit") as tracker:
        pass
    assert "mlflow.source.git.commit" not in stored(store, tracker).data.tags


def test_the_dataset_is_an_input_of_the_run(store):
    record = DatasetRecord("ml-100k", "0123456789abcdef" * 2, {"users": 943, "ratings": 100_000}, "u.data",
                           "random", "fedc")  # fmt: skip
    with MlflowTracker("demo", "dataset") as tracker:
        tracker.dataset(record)
    (used,) = stored(store, tracker).inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == (record.name, record.fingerprint)
    assert json.loads(used.dataset.profile) == {"users": 943, "ratings": 100_000}
    assert {tag.key: tag.value for tag in used.tags}["split_fingerprint"] == "fedc"


def test_artifacts_may_be_folders(store, tmp_path):
    (tmp_path / "plots" / "deep").mkdir(parents=True)
    (tmp_path / "plots" / "deep" / "curve.svg").write_text("<svg/>")
    with MlflowTracker("demo", "folder") as tracker:
        tracker.artifact(tmp_path / "plots")
    assert [entry.path for entry in MlflowClient(store).list_artifacts(tracker.run_id, "plots/deep")] == [
        "plots/deep/curve.svg"
    ]


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")]
)
def test_a_run_ends_as_its_block_does(store, error, status):
    try:
        with MlflowTracker("demo", "end") as tracker:
            tracker.metrics({"train/total": 1.0}, step=1)
            if error:
                raise error
    except (ValueError, KeyboardInterrupt):
        pass
    assert stored(store, tracker).info.status == status
    assert stored(store, tracker).data.metrics == {"train/total": 1.0}


def test_children_are_nested_under_their_parent(store):
    with MlflowTracker("demo", "benchmark") as parent:
        for name in ("als", "biases"):
            with parent.child(name) as child:
                child.metrics({"test/rmse": 0.9})
                with child.child("seed 0"):
                    pass
    runs = {run.name: run for run in experiment_runs("demo", uri=store)}
    assert runs["als"].parent_id == runs["biases"].parent_id == runs["benchmark"].run_id
    assert runs["benchmark"].parent_id is None
    assert {run.status for run in runs.values()} == {"FINISHED"}


def test_nothing_reaches_stdout(tmp_path, capfd):
    with MlflowTracker("demo", "quiet", uri=f"sqlite:///{tmp_path / 'new.db'}") as tracker:  # migrates
        tracker.metrics({"test/rmse": 1.0})
    out, err = capfd.readouterr()
    assert out == ""
    assert "alembic" not in err


def test_a_dead_server_costs_one_warning_and_little_time(dead_server, tmp_path, caplog, capfd, monkeypatch):
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    start = time.monotonic()
    tracker = MlflowTracker("demo", "run", uri=dead_server, folder=tmp_path / "runs" / "7")
    with caplog.at_level(logging.WARNING), tracker:
        tracker.params({"a": 1})
        tracker.metrics({"test/rmse": 1.0})
        tracker.artifact(tmp_path / "missing.txt")
        assert tracker.model(tmp_path) is None
        with tracker.child("nested") as child:
            child.metrics({"test/rmse": 1.0})
    assert time.monotonic() - start < 60  # MLflow alone takes minutes
    assert tracker.run_id is None
    (record,) = caplog.records
    message = record.getMessage()
    assert "\n" not in message
    for part in (dead_server, "does not answer", f"recsys-ae upload {tmp_path / 'runs' / '7'}", "on disk"):
        assert part in message
    assert capfd.readouterr().out == ""
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_a_failure_midway_is_one_warning_and_the_run_is_marked(store, tmp_path, caplog):
    with caplog.at_level(logging.WARNING), MlflowTracker("demo", "half") as tracker:
        tracker.metrics({"test/rmse": 1.0})
        tracker.artifact(tmp_path / "never_written.svg")
        tracker.params({"a": 1})
        tracker.artifact(tmp_path / "neither.svg")
    assert len(caplog.records) == 1
    assert "never_written.svg" in caplog.text
    run = stored(store, tracker)
    assert run.info.status == "FINISHED"
    assert run.data.tags["recsys_ae.incomplete"] == "true"


def test_the_first_of_several_makers_of_a_store_wins(tmp_path, monkeypatch):
    path = tmp_path / "mlflow.db"

    def make(uri):
        database_of(uri).write_bytes(b"ours")
        path.write_bytes(b"theirs")

    monkeypatch.setattr("mlflow.MlflowClient", make)
    _make_database(path)
    assert path.read_bytes() == b"theirs"
    assert [found.name for found in tmp_path.iterdir()] == ["mlflow.db"]


def test_an_experiment_that_another_run_makes_at_the_same_moment_is_shared(store, monkeypatch):
    look, looked = MlflowClient.get_experiment_by_name, []

    def found_late(client, name):
        looked.append(name)
        if len(looked) == 1:
            client.create_experiment(name)
            return None
        return look(client, name)

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", found_late)
    with MlflowTracker("demo", "run", on_failure="raise") as tracker:
        pass
    assert [run.run_id for run in experiment_runs("demo")] == [tracker.run_id]


def test_an_experiment_in_the_trash_gets_no_runs(store):
    client = MlflowClient(store)
    client.delete_experiment(client.create_experiment("demo"))
    with (
        pytest.raises(TrackingError, match=r"'demo' is in the trash of the tracking store; restore it"),
        MlflowTracker("demo", "run", on_failure="raise"),
    ):
        pass


def test_who_uploads_on_purpose_hears_of_failures(dead_server):
    with (
        pytest.raises(TrackingError, match="does not answer"),
        MlflowTracker("demo", "upload", uri=dead_server, on_failure="raise"),
    ):
        pass


def test_passwords_stay_out_of_messages(dead_server, caplog):
    uri = dead_server.replace("http://", "http://ann:geheim@")
    with caplog.at_level(logging.WARNING), MlflowTracker("demo", "run", uri=uri):
        pass
    assert len(caplog.records) == 1
    assert "geheim" not in caplog.text
