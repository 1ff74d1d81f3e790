"""Stores that others use at the same time: several processes, a server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys_ae.errors import TrackingError
from recsys_ae.tracking.mlflow_tracker import MlflowTracker
from recsys_ae.tracking.registry import resolve_model
from recsys_ae.tracking.runs import download_report, experiment_runs
from recsys_ae.tracking.versions import publish

pytestmark = pytest.mark.slow


def test_processes_that_start_together_share_one_new_store(tmp_path):
    code = """
from recsys_ae.tracking.mlflow_tracker import MlflowTracker

with MlflowTracker("demo", "one of many", on_failure="raise") as tracker:
    tracker.metrics({"test/rmse": 1.0})
"""
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    together = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment) for _ in range(3)
    ]
    assert [process.wait(timeout=240) for process in together] == [0, 0, 0]
    runs = experiment_runs("demo", uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert [run.status for run in runs] == ["FINISHED"] * 3
    assert not list(tmp_path.glob(".*tmp"))


@pytest.fixture
def server(store, tmp_path) -> Iterator[tuple[str, subprocess.Popen]]:
    """The address and the process of an MLflow server on a store of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--port", str(port),
               "--workers", "1"]  # fmt: skip
    log = tmp_path / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=out, start_new_session=True)
    try:
        _wait_for(port, process, log)
        yield f"http://127.0.0.1:{port}", process
    finally:
        _stop(process)


def _wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"the server did not start: {log.read_text()[-500:]}")


def _stop(process: subprocess.Popen) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def test_a_server_gets_runs_and_models_and_may_die(server, tmp_path, caplog, capfd, model_folder):
    uri, process = server
    (tmp_path / "per_user.parquet").write_bytes(b"PAR1")
    with MlflowTracker("demo", "remote", uri=uri, on_failure="raise") as tracker:
        tracker.metrics({"test/rmse": 1.0})
        tracker.artifact(tmp_path / "per_user.parquet")
        model = tracker.model(model_folder(tmp_path / "folder"))
        with tracker.child("nested") as child:
            child.metrics({"test/rmse": 2.0})
    assert capfd.readouterr().out == ""
    runs = {run.name: run for run in experiment_runs("demo", uri=uri)}
    assert runs["nested"].parent_id == runs["remote"].run_id
    assert download_report(runs["remote"], uri=uri).read_bytes() == b"PAR1"
    publish(model, "films", "champion", uri=uri)
    for name in (model, "models:/films/1", "models:/films@champion"):
        found = resolve_model(name, uri=uri)
        assert (found / "model.json").read_bytes() == (tmp_path / "folder" / "model.json").read_bytes()
    with pytest.raises(TrackingError, match="versions 1 and the aliases champion"):
        resolve_model("models:/films/9", uri=uri)

    with MlflowTracker("demo", "orphan", uri=uri) as orphan:
        _stop(process)
        orphan.params({"a": 1})
        orphan.artifact(tmp_path / "per_user.parquet")
    assert orphan.run_id is not None
    assert [record.levelname for record in caplog.records if "recsys_ae" in record.name] == ["WARNING"]
