"""A run's document: what is in it, and which documents can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_ae.errors import StorageError
from recsys_ae.evaluation.report import Report
from recsys_ae.results.result import Cost, FitRecord, Origin, RunResult
from recsys_ae.results.trials import Trial, Validation

FIRST_FORMAT = """\
{
  "name": "movies",
  "run_id": "4f1c",
  "model": "runs:/4f1c/model",
  "folder": "runs/movies",
  "metrics": {"test/rmse": 1.25, "test/ndcg_at_10": null},
  "counts": {"users": 3, "items": 5, "train_ratings": 8, "holdout_ratings": 2, "cold_users": 0},
  "fallback": "the mean",
  "fit_seconds": 1.5,
  "evaluate_seconds": 0.25,
  "peak_memory_mb": 210.0,
  "epochs_run": 12,
  "best_epoch": 9,
  "interrupted": false,
  "seed": 7,
  "device": "cpu",
  "threads": 2,
  "data_fingerprint": "da7a",
  "split_fingerprint": "5b11",
  "versions": {"numpy": "2.0.0"},
  "git_commit": null
}
"""
PARTS = {
    "fit": FitRecord(12, 9, interrupted=False, device="cpu", threads=2, metric="rmse"),
    "origin": Origin(7, "da7a", "5b11", {"numpy": "2.0.0"}, None),
    "cost": Cost(1.5, 0.25, 210.0, 0.1),
    "validation": Validation(
        "rmse",
        (Trial({"l2": 1.0}, None, 0.5, error="it broke"), Trial({"l2": 3.0}, 0.75, 1.5, 12, 9, True)),
        chosen=1,
        edges={"l2": "highest"},
    ),
    "metrics_before_refit": {"rmse": 1.5},
}


def report(**counts: int) -> Report:
    return Report(
        metrics={"rmse": 1.25},
        users=np.array([4, 6]),
        per_user={"squared_error_sum": np.array([2.0, 1.125]), "n_predicted": np.array([1.0, 1.0])},
        counts={"holdout_ratings": 2, "cold_users": 0, **counts},
        fallback="the mean",
        split_name="random",
        seed=7,
        data_fingerprint="da7a",
        split_fingerprint="5b11",
        relevant=4.0,
        status="clean",
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with a result as programs without checksums wrote it, less config and model."""
    folder = tmp_path / "movies"
    folder.mkdir()
    result = RunResult("movies", report(users=3), **PARTS, folder=folder, model="m", run_id=None)
    (folder / "result.json").write_text(json.dumps(result.to_json()))
    result.report.to_parquet(folder / "per_user.parquet")
    return folder


def rewrite(folder: Path, **changes: Any) -> None:
    document = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(document | changes))


def test_document_is_nested_and_names_metrics_as_they_are_tracked(folder):
    assert json.loads((folder / "result.json").read_text()) == {
        "format": 2,
        "name": "movies",
        "run_id": None,
        "model": "m",
        "folder": str(folder),
        "validation": {
            "metric": "rmse",
            "score": 0.75,
            "also": {},
            "settings": {"l2": 3.0},
            "edges": {"l2": "highest"},
            "importances": {},
            "at_last_epoch": True,
            "chosen": 1,
            "trials": [
                {
                    "settings": {"l2": 1.0},
                    "score": None,
                    "seconds": 0.5,
                    "epochs_run": 0,
                    "best_epoch": None,
                    "at_last_epoch": False,
                    "error": "it broke",
                    "pruned": False,
                },
                {
                    "settings": {"l2": 3.0},
                    "score": 0.75,
                    "seconds": 1.5,
                    "epochs_run": 12,
                    "best_epoch": 9,
                    "at_last_epoch": True,
                    "error": None,
                    "pruned": False,
                },
            ],
        },
        "report": {
            "status": "clean",
            "metrics": {"test/rmse": 1.25},
            "metrics_before_refit": {"test/rmse": 1.5},
            "counts": {"holdout_ratings": 2, "cold_users": 0, "users": 3},
            "fallback": "the mean",
            "relevant": 4.0,
            "split_name": "random",
        },
        "fit": {
            "epochs_run": 12,
            "best_epoch": 9,
            "interrupted": False,
            "device": "cpu",
            "threads": 2,
            "metric": "rmse",
            "resumable": False,
            "refitted": False,
        },
        "origin": {
            "seed": 7,
            "data_fingerprint": "da7a",
            "split_fingerprint": "5b11",
            "versions": {"numpy": "2.0.0"},
            "git_commit": None,
            "training_fingerprint": "",
            "fitted_fingerprint": "",
            "feedback": None,
        },
        "cost": {"fit_seconds": 1.5, "evaluate_seconds": 0.25, "peak_memory_mb": 210.0, "epoch_seconds": 0.1},
    }


def test_result_is_read_with_its_values_per_user(folder):
    found = RunResult.from_folder(folder)
    assert {name: getattr(found, name) for name in PARTS} == PARTS
    assert (found.name, found.folder, found.model, found.run_id) == ("movies", folder, "m", None)
    assert found.report.metrics == {"rmse": 1.25}
    assert found.report.summary == report(users=3).summary
    np.testing.assert_array_equal(found.report.users, [4, 6])
    np.testing.assert_array_equal(found.report.per_user["squared_error_sum"], [2.0, 1.125])


def test_keys_of_later_programs_are_ignored(folder):
    document = json.loads((folder / "result.json").read_text())
    rewrite(folder, mood="good", fit=document["fit"] | {"mood": "good"}, cost=document["cost"] | {"joule": 3})
    assert RunResult.from_folder(folder).fit == PARTS["fit"]


def test_unknown_key_in_a_document_of_the_first_format_is_ignored(folder):
    (folder / "result.json").write_text(json.dumps(json.loads(FIRST_FORMAT) | {"mood": "good"}))
    assert RunResult.from_folder(folder).name == "movies"


def test_document_of_the_first_format_is_read(folder):
    (folder / "result.json").write_text(FIRST_FORMAT)
    found = RunResult.from_folder(folder)
    assert found.fit == FitRecord(12, 9, interrupted=False, device="cpu", threads=2, metric=None)
    assert (found.origin, found.cost) == (PARTS["origin"], Cost(1.5, 0.25, 210.0))
    assert (found.run_id, found.model, found.folder) == ("4f1c", "runs:/4f1c/model", Path("runs/movies"))
    assert found.report.metrics == {"rmse": 1.25}
    assert found.report.counts["train_ratings"] == 8
    assert found.to_json()["format"] == 2


def test_newer_format_is_refused_with_what_to_do(folder):
    rewrite(folder, format=3)
    with pytest.raises(StorageError) as caught:
        RunResult.from_folder(folder)
    assert str(caught.value) == (
        f"{folder / 'result.json'}: has format 3, and this program reads up to 2; "
        "upgrade recsys-ae to read it"
    )


@pytest.mark.parametrize("key", ["report", "fit", "origin", "cost", "name"])
def test_document_that_lacks_a_part_is_none_of_a_run(folder, key):
    document = json.loads((folder / "result.json").read_text())
    del document[key]
    (folder / "result.json").write_text(json.dumps(document))
    with pytest.raises(StorageError, match=r"no readable result\.json"):
        RunResult.from_folder(folder)


@pytest.mark.parametrize("changes", [{"format": "2"}, {"fit": 3}, {"cost": {"fit_seconds": 1.0}}])
def test_document_with_broken_parts_is_none_of_a_run(folder, changes):
    rewrite(folder, **changes)
    with pytest.raises(StorageError, match=r"no readable result\.json"):
        RunResult.from_folder(folder)


def test_folder_without_the_values_per_user_is_not_whole(folder):
    (folder / "per_user.parquet").unlink()
    with pytest.raises(StorageError, match=r"lacks per_user\.parquet; train again"):
        RunResult.from_folder(folder)
