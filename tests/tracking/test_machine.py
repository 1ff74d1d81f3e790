"""How busy the machine is, told beside the run and never waited for."""

from __future__ import annotations

import threading
import time

import pytest
from mlflow import MlflowClient
from servers import serving

from recsys_ae.tracking import machine
from recsys_ae.tracking.machine import Machine, interval
from recsys_ae.tracking.messenger import Messenger, Patience
from recsys_ae.tracking.mlflow_tracker import MlflowTracker
from recsys_ae.tracking.queue import QueuedTracker

NAMES = {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes",
         "system/system_memory_usage_percentage", "system/process_memory_megabytes"}  # fmt: skip


@pytest.fixture
def hasty(monkeypatch) -> None:
    """Samples as often as they can be had in a test."""
    monkeypatch.setattr("recsys_ae.tracking.queue.interval", lambda: 0.05)


def test_a_sample_is_of_this_machine_under_the_names_of_mlflow():
    found = Machine().sample()
    assert found.keys() >= NAMES
    assert 10 < found["system/process_memory_megabytes"] < found["system/system_memory_usage_megabytes"] * 10
    assert 0 <= found["system/system_memory_usage_percentage"] <= 100


@pytest.mark.parametrize(
    ("enabled", "every", "seconds"),
    [(None, None, 10.0), ("true", "30", 30.0), ("false", None, None), ("0", "30", None),
     (None, "often", 10.0), (None, "0", 10.0)],
)  # fmt: skip
def test_the_environment_says_how_often(enabled, every, seconds, monkeypatch):
    for name, value in ((machine._ON, enabled), (machine._EVERY, every)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert interval() == seconds


def test_a_run_tells_it_while_it_lasts(store, hasty):
    with QueuedTracker(MlflowTracker("demo", "busy")) as tracker:
        _wait_until(lambda: tracker._tracker._n_samples >= 3)
        with tracker.child("nested"):
            pass
    client = MlflowClient(store)
    steps = [
        point.step for point in client.get_metric_history(tracker.run_id, "system/cpu_utilization_percentage")
    ]
    assert steps == list(range(len(steps)))
    assert len(steps) >= 3
    nested = [run for run in client.search_runs(["1"]) if run.info.run_name == "nested"]
    assert nested[0].data.metrics == {}


def test_short_runs_and_uploads_tell_nothing_of_it(store, hasty):
    with QueuedTracker(MlflowTracker("demo", "upload", on_failure="raise")) as tracker:
        time.sleep(0.3)
    assert MlflowClient(store).get_run(tracker.run_id).data.metrics == {}


def test_nobody_waits_for_a_sample_that_the_store_does_not_take(hasty, caplog):
    """What is kept back of them is sent by the messenger alone."""
    with serving("hangs", n_good=1000) as server:
        tracker = QueuedTracker(MlflowTracker("demo", "x", uri=server.uri), seconds=0.5)
        with tracker:
            server.n_good = server.n_requests
            tracker._tracker._flushed -= 60  # the next sample is sent at once
            _wait_until(lambda: server.n_requests > server.n_good)
            start = time.monotonic()
            tracker.metrics({"train/total": 1.0}, step=1)
            assert time.monotonic() - start < 0.3
    assert len(caplog.records) == 1


def test_beats_go_on_after_one_that_failed_and_end_with_the_messenger():
    beats, done = [], threading.Event()

    def beat() -> None:
        beats.append(threading.current_thread())
        if len(beats) > 2:
            done.set()
        raise ValueError

    messenger = Messenger(beat=beat, every=0.02)
    assert messenger.ask(lambda: "answer", Patience()) == "answer"
    assert done.wait(30)
    assert set(beats) == {messenger}
    messenger.end()
    messenger.join(30)
    assert not messenger.is_alive()


def _wait_until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
