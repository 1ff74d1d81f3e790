"""Runs whose process is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest
from mlflow import MlflowClient

from recsys_ae.tracking.mlflow_tracker import MlflowTracker
from recsys_ae.tracking.processes import has_died, process_tags
from recsys_ae.tracking.runs import experiment_runs

OPEN = """
import os, signal
from recsys_ae.tracking.mlflow_tracker import MlflowTracker

tracker = MlflowTracker("demo", "killed", on_failure="raise").__enter__()
tracker.metrics({"test/rmse": 1.0})
tracker._flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_is_shown_as_dead_and_closed_by_the_next(store, tmp_path):
    killed = subprocess.run([sys.executable, "-c", OPEN], cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [run.status for run in experiment_runs("demo")] == ["DIED"]
    assert [run.status for run in experiment_runs("demo")] == ["DIED"]  # looking changes nothing
    with MlflowTracker("demo", "alive"):
        assert [run.status for run in experiment_runs("demo")] == ["KILLED", "RUNNING"]
    with MlflowTracker("demo", "another"):
        pass
    assert [run.status for run in experiment_runs("demo")] == ["KILLED", "FINISHED", "FINISHED"]


KILLED_AT_ONCE = """
import os, signal
from mlflow import MlflowClient
from recsys_ae.tracking.mlflow_tracker import MlflowTracker

def kill(*what, **values):
    os.kill(os.getpid(), signal.SIGKILL)

MlflowClient.log_batch = MlflowClient.set_tag = MlflowClient.search_runs = kill
MlflowTracker("demo", "killed", on_failure="raise").__enter__()
"""


def test_a_run_that_was_killed_right_after_it_was_made_is_known_to_be_dead(store, tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED_AT_ONCE], cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [run.status for run in experiment_runs("demo")] == ["DIED"]


def test_a_run_that_is_stopped_before_it_is_handed_out_is_closed(store, monkeypatch):
    def stop(*what, **values):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "search_runs", stop)  # what comes after the run was made
        with pytest.raises(KeyboardInterrupt), MlflowTracker("demo", "stopped"):
            pass
    assert [run.status for run in experiment_runs("demo")] == ["KILLED"]


def test_runs_of_others_are_left_alone(store):
    """Of another host nobody knows; of another user nobody may; without tags it is an older program's."""
    client, dead = MlflowClient(store), process_tags() | {"recsys_ae.pid": "4194304"}
    with MlflowTracker("demo", "first") as tracker:
        experiment = client.get_run(tracker.run_id).info.experiment_id
    tags = {
        "other host": dead | {"recsys_ae.host": "elsewhere", "mlflow.user": os.environ.get("USER", "")},
        "other user": dead | {"mlflow.user": "somebody else"},
        "old": {},
    }
    for name, own in tags.items():
        client.create_run(experiment, run_name=name, tags=own)
    with MlflowTracker("demo", "next"):
        pass
    found = {run.info.run_name: run.info.status for run in client.search_runs([experiment])}
    assert {name: found[name] for name in tags} == dict.fromkeys(tags, "RUNNING")


def test_a_number_that_another_process_has_now_is_no_life_sign():
    own = process_tags()
    assert not has_died("RUNNING", own)
    started = psutil.Process().create_time()
    assert not has_died("RUNNING", own | {"recsys_ae.process_started": str(started + 1)})
    assert has_died("RUNNING", own | {"recsys_ae.process_started": str(started - 1000)})
    assert has_died("RUNNING", own | {"recsys_ae.pid": "4194304"})
    assert not has_died("FINISHED", own | {"recsys_ae.pid": "4194304"})
    assert not has_died("RUNNING", own | {"recsys_ae.pid": "4194304", "recsys_ae.host": "elsewhere"})


def test_a_process_that_has_ended_and_nobody_has_asked_about_is_gone():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        started = psutil.Process(process.pid).create_time()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        tags = {"recsys_ae.pid": str(process.pid), "recsys_ae.process_started": str(started)}
        assert has_died("RUNNING", process_tags() | tags)


def test_of_a_process_that_may_not_be_looked_at_nobody_can_tell(monkeypatch):
    own = process_tags()

    def refuse(process):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "create_time", refuse)
    assert not has_died("RUNNING", own)


@pytest.mark.parametrize("tags", [{"recsys_ae.pid": "x"}, {"recsys_ae.process_started": "soon"}])
def test_tags_that_make_no_sense_say_nothing(tags):
    own = process_tags()
    assert not has_died("RUNNING", own | tags)
    for name in tags:
        assert not has_died("RUNNING", {key: value for key, value in own.items() if key != name})
