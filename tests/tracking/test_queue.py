"""A run that tells a store of itself, and how little it costs when the store is bad."""

from __future__ import annotations

import _thread
import itertools
import logging
import sqlite3
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from servers import serving

from recsys_ae.errors import TrackingError
from recsys_ae.tracking import queue, wire
from recsys_ae.tracking import store as store_module
from recsys_ae.tracking.messenger import Messenger, OutOfPatience, Patience, own_work
from recsys_ae.tracking.mlflow_tracker import MlflowTracker
from recsys_ae.tracking.queue import QueuedTracker
from recsys_ae.tracking.runs import download_report, experiment_runs, find_run
from recsys_ae.tracking.tracker import DatasetRecord


def tell(uri: str, folder: Path, *, seconds: float = 10.0) -> tuple[QueuedTracker, str | None]:
    """A short run, and where its model went."""
    with QueuedTracker(MlflowTracker("demo", "run", uri=uri, folder=folder), seconds=seconds) as tracker:
        tracker.params({"a": 1})
        for epoch in range(3):
            tracker.metrics({"train/total": 1.0 / (epoch + 1)}, step=epoch)
        tracker.artifact(folder / "model.json")
        return tracker, tracker.model(folder)


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    """MLflow's settings are undone once nobody is at work with it, those who were given up included."""
    yield
    for thread in threading.enumerate():
        if isinstance(thread, Messenger):
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def folder(model_folder, tmp_path) -> Path:
    return model_folder(tmp_path / "folder")


def test_a_queued_run_is_in_the_store_as_any_other(store, folder):
    with QueuedTracker(MlflowTracker("demo", "queued", tags={"seed": "1"})) as tracker:
        tracker.params({"model": {"l2": 1}})
        tracker.tags({"device": "cpu"})
        tracker.dataset(DatasetRecord("toy", "ab"))
        for epoch in range(1, 701):
            tracker.metrics({"train/total": 1 / epoch}, step=epoch)
        tracker.artifact(folder / "model.json")
        assert tracker.model(folder).startswith("models:/m-")
        with tracker.child("nested") as child:
            child.metrics({"test/rmse": 2.0})
    run = MlflowClient(store).get_run(tracker.run_id)
    assert (run.info.status, run.data.params) == ("FINISHED", {"model.l2": "1"})
    assert (run.data.tags["seed"], run.data.tags["device"]) == ("1", "cpu")
    assert [used.dataset.name for used in run.inputs.dataset_inputs] == ["toy"]
    curve = MlflowClient(store).get_metric_history(tracker.run_id, "train/total")
    assert [(point.step, point.value) for point in curve] == [(e, 1 / e) for e in range(1, 701)]
    nested = next(found for found in experiment_runs("demo") if found.name == "nested")
    assert (nested.parent_id, nested.run_id) == (tracker.run_id, child.run_id)


def test_what_is_told_while_training_waits_for_nothing(folder):
    with serving(delay=0.3) as server, QueuedTracker(MlflowTracker("demo", "x", uri=server.uri)) as tracker:
        asked = server.n_requests
        tracker.params({f"p{i}": i for i in range(500)})
        tracker.metrics({"train/total": 1.0}, step=1)
        tracker.tags({"a": "b"})
        assert server.n_requests <= asked + 1  # the rest is told later
    assert server.paths["runs/log-batch"] == 5 + 1 + 1
    assert server.run["status"] == "FINISHED"


@pytest.mark.parametrize("n_good", [0, 6, 12])
@pytest.mark.parametrize("way", ["hangs", "drips", "floods in pieces", "dies"])
def test_a_bad_server_costs_its_seconds_and_one_warning(way, n_good, folder, caplog, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    start = time.monotonic()
    with serving(way, n_good=n_good) as server, caplog.at_level(logging.WARNING):
        tracker, model = tell(server.uri, folder, seconds=1.0)
    assert model is None
    assert time.monotonic() - start < 15
    (record,) = [record for record in caplog.records if record.name.startswith("recsys_ae")]
    assert f"upload them with: recsys-ae upload {folder}" in record.getMessage()
    assert (tracker.run_id is None) == (n_good == 0)
    assert server.run["status"] == "RUNNING" or server.tags["recsys_ae.incomplete"] == "true"


def test_a_line_that_takes_in_a_model_at_a_decent_rate_is_waited_for(model_folder, tmp_path, caplog):
    """What it needs for the body is many times what it may take to answer."""
    folder = model_folder(tmp_path / "folder", n_users=200_000)
    with serving(bytes_per_second=1_500_000, small_buffer=True) as server:
        start = time.monotonic()
        _, model = tell(server.uri, folder, seconds=3.0)
        took = time.monotonic() - start
    assert model is not None
    assert not caplog.records
    assert server.n_body_bytes > 8_000_000
    assert took > 5


def test_a_slow_line_is_given_up_though_it_takes_in_something(model_folder, tmp_path, caplog):
    folder = model_folder(tmp_path / "folder", n_users=60_000)
    with serving(bytes_per_second=200_000, small_buffer=True) as server:
        _, model = tell(server.uri, folder, seconds=1.5)
    assert model is None
    assert len(caplog.records) == 1
    assert "has not answered within 1.5 s" in caplog.text
    assert 100_000 < server.n_body_bytes < 2_400_000


def test_who_uploads_on_purpose_waits_for_a_slow_line(model_folder, tmp_path):
    folder = model_folder(tmp_path / "folder", n_users=30_000)
    with serving(bytes_per_second=400_000, small_buffer=True) as server:
        tracker = MlflowTracker("demo", "x", uri=server.uri, on_failure="raise")
        with QueuedTracker(tracker, seconds=1.5) as queued:
            assert queued.model(folder) is not None


@pytest.mark.parametrize(
    ("rate", "seconds", "is_waited_for"),
    [(1.1e6, 1000, True), (0.5e6, 10, False), (12e3, 10, False), (0, 10, False)],
)
@pytest.mark.parametrize("pieces", [1, 7])  # slices of 0.05 s between two bodies that move
def test_only_a_decent_rate_buys_time(rate, seconds, is_waited_for, pieces):
    patience, waited = Patience(8.0), 0.0
    while waited < seconds:
        for piece in range(pieces):
            patience.spend(0.05, int(rate * 0.05 * pieces) if piece == pieces - 1 else 0)
        waited += 0.05 * pieces
    assert (patience.left > 7) == is_waited_for
    assert (patience.left > 0) == is_waited_for


def test_what_was_sent_last_may_be_on_its_way_for_two_seconds():
    patience = Patience(8.0)
    patience.spend(0.05, 50_000_000)
    for _ in range(196):
        patience.spend(0.05, 0)
    assert 0 < patience.left < 0.5
    for _ in range(10):
        patience.spend(0.05, 0)
    assert patience.left < 0


def test_nested_runs_wait_no_longer_than_one_run(folder, caplog):
    """A server that answers each call in time, and has all of them wait for long."""
    tracked = []
    with (
        serving(delay=0.3) as server,
        QueuedTracker(
            MlflowTracker("demo", "benchmark", uri=server.uri, folder=folder), seconds=3
        ) as tracker,
    ):
        for number in range(8):
            with tracker.child(f"model {number}") as child:
                child.metrics({"test/rmse": 1.0})
            tracked.append(child.run_id is not None)
    assert tracked[0]
    assert tracked == sorted(tracked, reverse=True)
    assert not tracked[-1]
    (record,) = caplog.records
    assert f"upload them with: recsys-ae upload {folder}" in record.getMessage()


def test_an_hour_that_a_server_asks_for_is_not_waited(folder, caplog):
    with serving("busy", n_good=3) as server:
        tell(server.uri, folder)
    assert len(caplog.records) == 1
    assert server.n_requests > 4  # it was asked again, and not after an hour


@pytest.mark.parametrize("nested", [False, True])
def test_a_run_that_is_stopped_while_it_opens_is_closed(nested):
    def stop(path: str) -> None:
        if path == "runs/create" and server.paths[path] == (2 if nested else 1):
            _thread.interrupt_main()  # as Ctrl-C

    with (
        serving(heard=stop, delay=0.1) as server,
        pytest.raises(KeyboardInterrupt),
        QueuedTracker(MlflowTracker("demo", "x", uri=server.uri)) as tracker,
        tracker.child("nested"),
    ):
        time.sleep(60)
    assert server.run["status"] == "KILLED"
    assert server.paths["runs/update"] == (2 if nested else 1)


def test_an_answer_has_a_limit(folder, caplog, monkeypatch):
    monkeypatch.setattr(queue, "_LONGEST_ANSWER", 1 << 20)
    with serving("floods") as server:
        tell(server.uri, folder)
    assert "answered with more than 1 MiB" in caplog.text


def test_a_store_that_falls_behind_is_given_up_before_memory_is(folder, caplog, monkeypatch):
    monkeypatch.setattr(queue, "_MOST_WAITING", 1 << 20)
    with (
        serving("hangs", n_good=6) as server,
        QueuedTracker(MlflowTracker("demo", "x", uri=server.uri), seconds=3) as tracker,
    ):
        for epoch in range(5_000):
            tracker.metrics({"train/total": 1.0}, step=epoch)
            assert tracker._messenger.waiting < (1 << 20) + 10_000
    assert len(caplog.records) == 1
    assert "is 1 MiB behind" in caplog.text


def test_what_was_told_may_change_afterwards(store):
    values, late = {"train/total": 1.0}, threading.Event()
    with QueuedTracker(MlflowTracker("demo", "x")) as tracker:
        tracker._messenger.hand_over(lambda: late.wait(30))
        tracker.params(values)
        tracker.metrics(values, step=1)
        values["train/total"] = 2.0
        late.set()
    run = MlflowClient(store).get_run(tracker.run_id)
    assert run.data.params == {"train/total": "1.0"}
    assert run.data.metrics == {"train/total": 1.0}


def test_a_run_that_must_be_tracked_and_cannot_leaves_no_thread(dead_server, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = MlflowTracker("demo", "x", uri=dead_server, on_failure="raise")
    with pytest.raises(TrackingError, match="does not answer"), QueuedTracker(tracker):
        pass
    assert tracker.run_id is None


def test_who_uploads_on_purpose_waits_and_hears_of_failures(folder):
    with serving("hangs", n_good=8) as server:
        tracker = MlflowTracker("demo", "x", uri=server.uri, on_failure="raise")
        with (
            pytest.raises(TrackingError, match="has not answered within 1 s"),
            QueuedTracker(tracker, seconds=1) as queued,
        ):
            [queued.artifact(path) for path in sorted(folder.iterdir())]


def test_who_must_be_tracked_waits_as_long_for_each_call(store):
    tracker = MlflowTracker("demo", "x", on_failure="raise")
    with QueuedTracker(tracker, seconds=30) as queued:
        queued._patience.spend(29.9, 0)
        queued.params({"a": 1})
        assert queued._patience.left > 10
    assert experiment_runs("demo")[0].params == {"a": "1"}


def test_a_locked_database_costs_its_seconds(store, folder, caplog):
    other = sqlite3.connect(store.removeprefix("sqlite:///"), isolation_level=None)
    with QueuedTracker(MlflowTracker("demo", "x"), seconds=1) as tracker:
        other.execute("begin exclusive")
        start = time.monotonic()
        tracker.params({"a": 1})
        assert tracker.model(folder) is None
        assert time.monotonic() - start < 10
    other.execute("rollback")
    other.close()
    assert len(caplog.records) == 1


def test_reading_from_a_server_that_hangs_ends_in_a_sentence():
    with serving("hangs") as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys_ae.tracking.store.Patience", lambda **rate: Patience(1.0, **rate))
        with pytest.raises(TrackingError, match=f"{server.uri} has not answered within 1 s"):
            experiment_runs("demo", uri=server.uri)


@pytest.mark.parametrize(("module", "name", "value", "sentence"), [
    (store_module, "_LARGEST_DOWNLOAD", 1 << 20, "answered with more than 1 MiB"),
    (wire, "_ROOM", 1 << 60, "answered with more than .* has room for"),
])  # fmt: skip
def test_a_file_that_never_ends_is_not_kept(module, name, value, sentence, monkeypatch, tmp_path):
    monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with serving("floods files") as server:
        run = find_run(server.run["run_id"], uri=server.uri)
        with pytest.raises(TrackingError, match=sentence):
            download_report(run, uri=server.uri)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*")) < 64 << 20


def test_calls_are_made_in_order_and_what_they_raise_comes_back():
    messenger, done = Messenger(), []
    for number in range(100):
        messenger.hand_over(lambda number=number: done.append(number))
    with pytest.raises(ZeroDivisionError):
        messenger.ask(lambda: 1 // 0, Patience())
    assert done == list(range(100))
    assert messenger.ask(lambda: threading.current_thread().daemon, Patience())
    messenger.end()
    messenger.join(5)
    assert not messenger.is_alive()


def test_calls_that_are_made_wait_no_more():
    messenger = Messenger()
    for _ in range(3):
        messenger.hand_over(lambda: None, size=1 << 20)
    assert messenger.ask(lambda: messenger.waiting, Patience()) < 1 << 20
    messenger.end()


def test_who_is_dismissed_forgets_what_waits():
    messenger, begun, late, told = Messenger(), threading.Event(), threading.Event(), threading.Event()
    messenger.hand_over(lambda: begun.set() or late.wait(30))
    messenger.hand_over(told.set)
    begun.wait(30)
    there = weakref.ref(told)
    del told
    assert there() is not None
    messenger.dismiss()
    assert there() is None
    late.set()


def test_own_work_costs_no_patience_and_waiting_does():
    def work() -> str:
        with own_work():
            time.sleep(0.6)
        return "done"

    messenger, patience = Messenger(), Patience(0.4)
    assert messenger.ask(work, patience) == "done"
    assert patience.left > 0.1
    with pytest.raises(OutOfPatience):
        messenger.ask(lambda: time.sleep(2), patience)
    assert messenger.is_dismissed
    assert patience.left <= 0


def test_a_machine_that_slept_has_not_waited(monkeypatch):
    clock, looks = time.monotonic, itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: clock() + (3600 if next(looks) > 1 else 0))
    messenger = Messenger()
    assert messenger.ask(lambda: time.sleep(0.3) or "done", Patience(5.0)) == "done"
    messenger.end()


def test_computing_is_no_waiting():
    def work() -> str:
        until = time.thread_time() + 0.6
        while time.thread_time() < until:
            pass
        time.sleep(0.1)
        return "done"

    messenger, patience = Messenger(), Patience(0.5)
    assert messenger.ask(work, patience) == "done"
    assert patience.left < 0.45  # of the sleep
    with pytest.raises(OutOfPatience):
        messenger.ask(lambda: time.sleep(2), patience)


def test_settings_are_undone_when_the_last_has_left(store, monkeypatch):
    """Threads come and go in any order, while the settings are those of the process."""
    import os
    import warnings

    from recsys_ae.tracking.store import connected

    name = "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER"
    monkeypatch.delenv(name, raising=False)
    level, filters = logging.getLogger("mlflow").level, list(warnings.filters)
    first, second = connected(), connected()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert os.environ[name] == "false"
    second.__exit__(None, None, None)
    assert name not in os.environ
    assert logging.getLogger("mlflow").level == level
    assert warnings.filters == filters
