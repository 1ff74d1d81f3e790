"""Trackers without a store."""

from __future__ import annotations

from pathlib import Path

import pytest
from recording import RecordingTracker

from recsys_ae.tracking.records import as_file_name, as_text, flat, tracked_name
from recsys_ae.tracking.tracker import DatasetRecord, NullTracker, Tracker


def tell(tracker: Tracker, folder: Path) -> None:
    """A little of everything."""
    with tracker:
        tracker.params({"model.l2": 0.1})
        tracker.tags({"seed": "0"})
        tracker.dataset(DatasetRecord("toy", "ab"))
        tracker.metrics({"train/total": 2.0}, step=1)
        tracker.metrics({"test/rmse": 1.0})
        tracker.artifact(folder)
        assert tracker.model(folder) is None
        with tracker.child("nested") as child:
            child.metrics({"test/rmse": 3.0})


def test_null_tracker_takes_everything(tmp_path):
    tell(NullTracker(), tmp_path)


def test_recording_tracker_keeps_everything_in_order(tmp_path):
    tracker = RecordingTracker()
    tell(tracker, tmp_path)
    assert tracker.logged_params == {"model.l2": 0.1}
    assert tracker.logged_tags == {"seed": "0"}
    assert [record.name for record in tracker.datasets] == ["toy"]
    assert tracker.logged_metrics == [("train/total", 2.0, 1), ("test/rmse", 1.0, None)]
    assert tracker.artifacts == tracker.models == [tmp_path.name]
    assert [(child.name, child.logged_metrics) for child in tracker.children] == [
        ("nested", [("test/rmse", 3.0, None)])
    ]
    assert tracker.status == tracker.children[0].status == "FINISHED"


def test_recording_tracker_refuses_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError), RecordingTracker() as tracker:
        tracker.artifact(tmp_path / "never.svg")
    assert tracker.status == "FAILED"


def test_nested_configs_become_dotted_names():
    assert flat({"a": {"b": {"c": 1}, "d": {}}, "e": [1, {"f": 2}]}) == {
        "a.b.c": 1,
        "a.d": {},
        "e": [1, {"f": 2}],
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [("x", "x"), (None, "null"), (True, "true"), ((1, 2), "[1, 2]"), (2e-4, "0.0002"), ({}, "{}")],
)
def test_values_read_like_yaml(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize("name", ["ndcg@10", "a(b)", "ü/ö", "x" * 400, "per cent %", "a:b=c"])
def test_tracked_names_are_what_mlflow_takes(name):
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name

    _validate_metric_name(tracked_name(name))
    _validate_param_name(tracked_name(name))
    assert "@" not in tracked_name(name)


def test_experiment_names_make_safe_folders():
    assert as_file_name("../up and:down") == "_up_and_down"
    assert as_file_name("...") == "_"
