"""What can be read back of experiments, and the page on them."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time

import pytest
from mlflow import MlflowClient

from recsys_ae.errors import ConfigError, TrackingError
from recsys_ae.tracking.address import resolve_uri
from recsys_ae.tracking.mlflow_tracker import MlflowTracker
from recsys_ae.tracking.registry import resolve_model
from recsys_ae.tracking.runs import (
    INCOMPLETE,
    delete_run,
    download_report,
    experiment_runs,
    find_run,
    incomplete_runs,
    page_of,
)
from recsys_ae.tracking.store import ui_command


def test_runs_come_back_with_all_that_was_logged(store):
    with MlflowTracker("demo", "first", tags={"seed": "3"}) as tracker:
        tracker.params({"model": {"kind": "biases"}})
        tracker.metrics({"test/rmse": 0.9})
    (run,) = experiment_runs("demo")
    assert (run.run_id, run.name, run.status, run.parent_id) == (tracker.run_id, "first", "FINISHED", None)
    assert run.params == {"model.kind": "biases"}
    assert run.metrics == {"test/rmse": 0.9}
    assert run.tags["seed"] == "3"
    assert run.seconds >= 0
    assert run.started.utcoffset().total_seconds() == 0


def test_an_open_run_has_no_end_yet(store):
    with MlflowTracker("demo", "open"):
        (run,) = experiment_runs("demo")
        assert (run.status, run.seconds) == ("RUNNING", None)


def test_the_page_begins_with_the_latest_experiment_or_a_named_one(store):
    assert page_of(None) == ""
    for name in ("first", "second", "first"):
        with MlflowTracker(name, "run"):
            time.sleep(0.01)
    ids = {each.name: each.experiment_id for each in MlflowClient(store).search_experiments()}
    assert page_of(None) == f"/#/experiments/{ids['first']}/runs?workflowType=machine_learning"
    assert f"/{ids['second']}/" in page_of("second")
    with pytest.raises(TrackingError, match="no experiment 'third'; it has: first, second"):
        page_of("third")


def test_an_unknown_experiment_lists_those_there_are(store):
    for name in ("b", "a"):
        with MlflowTracker(name, "run"):
            pass
    with pytest.raises(TrackingError, match=r"no experiment 'c'; it has: a, b$"):
        experiment_runs("c")


def test_what_is_in_the_trash_is_not_there(store, tmp_path):
    with MlflowTracker("demo", "kept"), MlflowTracker("demo", "run") as tracker:
        pass
    assert find_run(tracker.run_id).name == "run"
    delete_run(tracker.run_id)
    assert find_run(tracker.run_id) is None
    assert incomplete_runs([tracker.run_id], {}) == []
    assert [run.name for run in experiment_runs("demo")] == ["kept"]
    client = MlflowClient(store)
    client.delete_experiment(client.get_experiment_by_name("demo").experiment_id)
    with pytest.raises(TrackingError, match="no experiment 'demo'; it has: none"):
        experiment_runs("demo")


def test_a_run_that_a_store_does_not_have_is_none(store, dead_server, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert find_run("0" * 32) is None
    assert find_run("no id at all") is None
    assert find_run("0" * 32, uri=f"sqlite:///{tmp_path / 'none.db'}") is None
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(TrackingError, match="does not answer"):
        find_run("0" * 32, uri=dead_server)


def test_runs_of_a_whole_run_are_not_tracked_again_and_parts_are_found(store):
    whole, half = MlflowTracker("demo", "whole"), MlflowTracker("demo", "half")
    for tracker in (whole, half):
        with tracker:
            pass
    MlflowClient(store).set_tag(half.run_id, INCOMPLETE, "true")
    assert incomplete_runs([half.run_id, None, whole.run_id, "0" * 32], {}) == [half.run_id, whole.run_id]
    assert incomplete_runs([None, whole.run_id], {}) == [whole.run_id]
    with pytest.raises(TrackingError, match=f"is tracked already as {whole.run_id}"):
        incomplete_runs([whole.run_id, half.run_id], {})


def test_all_runs_are_found_however_many_a_store_tells_at_once(store, monkeypatch):
    for name in "abc":
        with MlflowTracker("demo", name):
            pass
    whole = MlflowClient.search_runs
    monkeypatch.setattr(
        MlflowClient, "search_runs", lambda *given, **named: whole(*given, **named, max_results=2)
    )
    assert [run.name for run in experiment_runs("demo")] == ["a", "b", "c"]


def test_an_empty_store_says_so(store):
    with pytest.raises(TrackingError, match="it has: none"):
        experiment_runs("c")


def test_reading_makes_no_database(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrackingError, match=r"mlflow\.db: no runs are tracked there"):
        experiment_runs("demo")
    assert list(tmp_path.iterdir()) == []


def test_a_query_is_no_part_of_the_path_of_a_database(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrackingError) as caught:
        experiment_runs("demo", uri="sqlite:///none.db?key=t0ken9z")
    assert str(caught.value).startswith(f"{tmp_path / 'none.db'}: no runs are tracked there")
    with MlflowTracker("demo", "run", uri="sqlite:///new.db?timeout=30", on_failure="raise"):
        pass
    for query in ("", "?timeout=30"):
        assert [run.name for run in experiment_runs("demo", uri=f"sqlite:///new.db{query}")] == ["run"]
    assert [path.name for path in tmp_path.iterdir()] == ["new.db"]


MAKER = """
import os, signal, sys
from recsys_ae.tracking.mlflow_tracker import MlflowTracker
from mlflow import MlflowClient

class Killed(MlflowClient):
    def __init__(self, address):
        super().__init__(address)
        if "mlflow.db" in address:
            os.kill(os.getpid(), signal.SIGKILL)

import mlflow
mlflow.MlflowClient = Killed
MlflowTracker("demo", "killed").__enter__()
"""


@pytest.mark.parametrize("exists", [False, True])
def test_what_a_killed_maker_of_a_store_left_is_removed_by_the_next_run(
    exists, tmp_path, monkeypatch, fresh_database
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    killed = subprocess.run([sys.executable, "-c", MAKER], cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir())
    assert not (tmp_path / "mlflow.db").exists()
    if exists:  # made by another meanwhile
        shutil.copy(fresh_database, tmp_path / "mlflow.db")
    with MlflowTracker("demo", "next", on_failure="raise"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_broken_database_is_one_sentence(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(TrackingError, match="is not an SQLite database"):
        experiment_runs("demo", uri=f"sqlite:///{tmp_path / 'mlflow.db'}")


def test_a_dead_server_is_one_sentence(dead_server):
    with pytest.raises(TrackingError, match=f"{dead_server} does not answer$"):
        experiment_runs("demo", uri=dead_server)


def test_the_report_of_a_run_is_a_local_file(store, tmp_path):
    (tmp_path / "per_user.parquet").write_bytes(b"PAR1")
    with MlflowTracker("demo", "with") as tracker:
        tracker.artifact(tmp_path / "per_user.parquet")
    with MlflowTracker("demo", "without"):
        pass
    runs = {run.name: run for run in experiment_runs("demo")}
    assert download_report(runs["with"]).read_bytes() == b"PAR1"
    with pytest.raises(TrackingError, match=r"run without .* has no per_user.parquet"):
        download_report(runs["without"])


def test_addresses_are_absolute_once_resolved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert resolve_uri() == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert resolve_uri("sqlite:///sub/x.db") == f"sqlite:///{tmp_path / 'sub' / 'x.db'}"
    assert resolve_uri("sqlite:////srv/my%20runs/x.db") == "sqlite:////srv/my runs/x.db"
    assert resolve_uri("runs here") == (tmp_path / "runs here").as_uri()
    for same in (
        "http://localhost:5000",
        "postgresql://u:p@host/db",
        "databricks",
        (tmp_path / "m").as_uri(),
    ):
        assert resolve_uri(same) == same


@pytest.mark.parametrize("name", ["a%20b%", "who? %3F", "a #b"])
def test_a_folder_with_signs_of_addresses_is_no_other_folder(store, tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    (tmp_path / "mlflow.db").rename(folder / "mlflow.db")
    monkeypatch.chdir(folder)
    assert resolve_uri(resolve_uri()) == resolve_uri()
    with MlflowTracker("demo", "run", on_failure="raise") as tracker:
        tracker.artifact(folder / "mlflow.db")
    assert [run.name for run in experiment_runs("demo")] == ["run"]
    assert sorted(path.name for path in folder.iterdir()) == ["mlartifacts", "mlflow.db"]


def test_the_page_runs_on_the_store_and_its_artifacts(store, tmp_path):
    command, environment = ui_command(port=5001)
    assert command[:4] == [sys.executable, "-m", "mlflow", "ui"]
    options = dict(zip(command[4::2], command[5::2], strict=True))
    assert environment["MLFLOW_BACKEND_STORE_URI"] == store
    assert environment["MLFLOW_DEFAULT_ARTIFACT_ROOT"] == (tmp_path / "mlartifacts").as_uri()
    assert (options["--host"], options["--port"]) == ("127.0.0.1", "5001")


def test_no_list_of_processes_shows_a_password():
    command, environment = ui_command("postgresql://ann:geheim@host/db")
    assert "geheim" not in " ".join(command)
    assert environment == {"MLFLOW_BACKEND_STORE_URI": "postgresql://ann:geheim@host/db"}
    from mlflow.cli import server

    read = {option.name: option.envvar for option in server.params}
    assert read["backend_store_uri"] == "MLFLOW_BACKEND_STORE_URI"
    assert read["default_artifact_root"] == "MLFLOW_DEFAULT_ARTIFACT_ROOT"


def test_the_page_is_refused_where_it_makes_no_sense(store, tmp_path):
    with pytest.raises(ConfigError, match="open it in a browser"):
        ui_command("http://localhost:5000")
    with pytest.raises(ConfigError, match="port 70000"):
        ui_command(port=70000)
    with pytest.raises(TrackingError, match="no runs are tracked there"):
        ui_command(f"sqlite:///{tmp_path / 'none.db'}")


def test_long_names_are_quoted_in_part(store):
    with MlflowTracker("y" * 300, "run"):
        pass
    with pytest.raises(TrackingError) as caught:
        experiment_runs("x" * 900)
    assert "x" * 40 in str(caught.value)
    assert "y" * 40 in str(caught.value)
    assert not any(letter * 81 in str(caught.value) for letter in "xy")
    with pytest.raises(TrackingError) as caught:
        resolve_model(f"models:/{'x' * 900}/1")
    assert "x" * 81 not in str(caught.value).partition("the tracking store")[2]
