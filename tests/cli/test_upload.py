"""recsys-ae upload: nothing damaged is sent, and nothing twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import call, succeed
from mlflow import MlflowClient
from servers import serving

from recsys_ae.files import claimed
from recsys_ae.tracking.processes import process_tags
from recsys_ae.tracking.runs import experiment_runs


@pytest.fixture
def untracked(trained, store) -> Path:
    """A run folder of which no store knows."""
    return Path(shutil.copytree(trained["folder"], store / "run"))


def names_of_runs() -> list[tuple[str, str]]:
    return [(run.run_id, run.status) for run in experiment_runs("ratings")]


def test_a_run_is_tracked_once(untracked):
    first = succeed("upload", untracked, "--json").document["run_id"]
    again = call("upload", untracked)
    assert again.code == 2
    assert f"is tracked already as {first} in sqlite:///" in again.err
    assert names_of_runs() == [(first, "FINISHED")]


def test_the_store_of_another_knows_nothing_of_it(untracked, fresh_database, store):
    succeed("upload", untracked)
    shutil.copy(fresh_database, store / "other.db")
    succeed("upload", untracked, "--tracking-uri", f"sqlite:///{store / 'other.db'}")


@pytest.fixture
def other(fresh_database, store) -> str:
    """The address of a second store."""
    return f"sqlite:///{shutil.copy(fresh_database, store / 'other.db')}"


def test_a_store_knows_what_it_has_after_another_got_it_too(trained, store, other, ratings):
    succeed("train", "--data", ratings, "--model", "biases", "--out", "live", "--quiet")
    tracked = json.loads(Path("live/result.json").read_text())["run_id"]
    succeed("upload", "live", "--tracking-uri", other)
    shutil.copytree("live", "copy")
    for folder in ("live", "copy"):
        for address in ([], ["--tracking-uri", other]):
            again = call("upload", folder, *address)
            assert again.code == 2
            assert "is tracked already as" in again.err
    assert names_of_runs() == [(tracked, "FINISHED")]


def test_a_benchmark_is_known_after_another_store_got_it_too(ratings, store, other):
    Path("small.yaml").write_text(
        f"name: small\ndata: {{source: {ratings}}}\nseeds: [0]\ntrials: 1\nreference: biases\n"
        "models: [{name: biases, model: {kind: biases}}]\n"
    )
    succeed("benchmark", "small.yaml", "--out", "out", "--quiet")
    succeed("upload", "out", "--tracking-uri", other)
    for folder in ("out", "out/biases/seed-0"):
        assert "is tracked already as" in call("upload", folder).err
    assert len(experiment_runs("ratings")) == 2


def test_what_an_upload_began_and_another_store_has_is_replaced(untracked, store, other):
    """The folder names the run of the other store only."""
    first = succeed("upload", untracked, "--json").document["run_id"]
    succeed("upload", untracked, "--tracking-uri", other)
    MlflowClient(f"sqlite:///{store / 'mlflow.db'}").set_terminated(first, "FAILED")
    second = succeed("upload", untracked, "--json").document["run_id"]
    assert names_of_runs() == [(second, "FINISHED")]


def test_one_upload_of_a_folder_at_a_time(untracked):
    with claimed(untracked):
        refused = call("upload", untracked)
    assert refused.code == 2
    assert "another command is at work with it" in refused.err
    succeed("upload", untracked)


@pytest.mark.parametrize("state", ["incomplete", "died", "killed"])
def test_what_the_store_has_in_part_is_replaced(state, untracked, store):
    first = succeed("upload", untracked, "--json").document["run_id"]
    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    if state == "incomplete":
        client.set_tag(first, "recsys_ae.incomplete", "true")
    elif state == "killed":
        client.set_terminated(first, "KILLED")
    else:
        client.update_run(first, status="RUNNING")
        for name, value in (process_tags() | {"recsys_ae.pid": "4194304"}).items():
            client.set_tag(first, name, value)
    second = succeed("upload", untracked, "--json").document["run_id"]
    assert second != first
    assert names_of_runs() == [(second, "FINISHED")]
    assert json.loads((untracked / "result.json").read_text())["run_id"] == second


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: (run / "model" / "arrays.safetensors").write_bytes(b"no arrays"),
        lambda run: (run / "model" / "users.parquet").unlink(),
        lambda run: (run / "per_user.parquet").write_bytes(b"PAR1"),
        lambda run: (run / "epochs.csv").write_text("epoch,train/total\nx,y\n"),
        lambda run: (run / "config.yaml").write_text("name: [\n"),
    ],
)  # fmt: skip
def test_nothing_of_a_damaged_run_is_sent(damage, untracked):
    damage(untracked)
    refused = call("upload", untracked)
    assert (refused.code, refused.out) == (2, "")
    assert "run" in refused.err
    assert "has no experiment" in call("compare", "ratings").err


def test_compare_says_of_a_dead_run_that_it_died(untracked, store):
    succeed("upload", untracked)
    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    (done,) = experiment_runs("ratings")
    experiment = client.get_run(done.run_id).info.experiment_id
    dead = client.create_run(experiment, run_name="unlucky",
                             tags=process_tags() | {"recsys_ae.pid": "4194304"})  # fmt: skip
    client.create_run(experiment, run_name="busy", tags=process_tags())
    said = succeed("compare", "ratings").out
    assert "without test/rmse: unlucky (died), busy" in said
    client.log_metric(dead.info.run_id, "test/rmse", 9.0)
    assert "unlucky (died)" in succeed("compare", "ratings").out
    document = succeed("compare", "ratings", "--json").document
    assert [run["status"] for run in document["runs"]] == ["FINISHED", "DIED"]


def test_a_benchmark_is_tracked_once_and_its_folder_says_where(ratings, store):
    Path("small.yaml").write_text(
        f"name: small\ndata: {{source: {ratings}}}\nseeds: [0]\ntrials: 1\nreference: biases\n"
        "models: [{name: biases, model: {kind: biases}}]\n"
    )
    succeed("benchmark", "small.yaml", "--no-tracking", "--out", "out", "--quiet")
    first = succeed("upload", "out", "--json").document["run_id"]
    assert json.loads(Path("out/result.json").read_text())["run_id"] == first
    for folder in ("out", "out/biases/seed-0"):
        assert "is tracked already as" in call("upload", folder).err
    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    client.set_tag(first, "recsys_ae.incomplete", "true")
    second = succeed("upload", "out", "--json").document["run_id"]
    runs = experiment_runs("ratings")
    assert {run.parent_id for run in runs} == {None, second}
    assert len(runs) == 2


def test_a_benchmark_of_which_a_store_got_a_part_is_uploaded_whole(ratings, store, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    Path("small.yaml").write_text(
        f"name: small\ndata: {{source: {ratings}}}\nseeds: [0, 1]\ntrials: 1\nreference: biases\n"
        "models: [{name: biases, model: {kind: biases}}]\n"
    )
    with serving("dies", n_good=10) as server:
        words = ("benchmark", "small.yaml", "--out", "out", "--quiet", "--tracking-uri", server.uri)
        (warning,) = [line for line in succeed(*words).err.splitlines() if line.startswith("warning:")]
    assert warning.endswith("upload them with: recsys-ae upload out")
    parent = succeed("upload", "out", "--json").document["run_id"]
    runs = {run.name: run for run in experiment_runs("ratings")}
    assert {run.status for run in runs.values()} == {"FINISHED"}
    assert {name for name, run in runs.items() if run.parent_id == parent} == {
        "biases-seed-0",
        "biases-seed-1",
    }
