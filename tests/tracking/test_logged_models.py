"""Models that a store lists: found by their figures, which know what they were measured on."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from commands import SMALL, succeed, write_ratings
from mlflow import MlflowClient
from mlflow.entities import LoggedModel

from recsys_ae.tracking.mlflow_tracker import MlflowTracker
from recsys_ae.tracking.records import model_name, tag_texts
from recsys_ae.tracking.runs import experiment_runs
from recsys_ae.tracking.tracker import NOTE, DatasetRecord, ModelRecord

README = Path(__file__).resolve().parents[2] / "README.md"


@dataclass(frozen=True)
class Tracked:
    """`document`: of a training on films.csv; `client`: of the store that has it, which is the folder's."""

    document: dict[str, Any]
    client: MlflowClient
    folder: Path


@pytest.fixture(scope="module")
def tracked(fresh_database, tmp_path_factory) -> Tracked:
    folder = tmp_path_factory.mktemp("tracked")
    shutil.copy(fresh_database, folder / "mlflow.db")
    write_ratings(folder / "films.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        words = ("train", "--data", "films.csv", "--model", "u-autorec", "--json", "--quiet", *SMALL)
        return Tracked(succeed(*words).document, MlflowClient(f"sqlite:///{folder / 'mlflow.db'}"), folder)


@pytest.fixture
def here(tracked, monkeypatch) -> Path:
    """Its folder, as the working folder."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tracked.folder)
    return tracked.folder


def test_a_model_is_found_by_its_figures(tracked):
    client, trained = tracked.client, tracked.document
    rmse = trained["report"]["metrics"]["test/rmse"]
    (experiment,) = client.search_experiments(filter_string="name = 'films'")

    def found(filter_string: str, **more: Any) -> list[LoggedModel]:
        found = client.search_logged_models([experiment.experiment_id], filter_string, **more)
        return [model for model in found if model.source_run_id == trained["run_id"]]

    (model,) = found(f"metrics.`test/rmse` < {rmse + 1e-6}")
    assert found(f"metrics.`test/rmse` < {rmse - 1e-6}") == []
    assert len(found("name = 'u-autorec-films'")) == len(found("params.`model.hidden` = '[6]'")) == 1
    assert f"models:/{model.model_id}" == trained["model"]
    assert (model.source_run_id, model.status.value) == (trained["run_id"], "READY")
    assert model.tags["split_fingerprint"] == trained["origin"]["split_fingerprint"]
    digest = trained["origin"]["split_fingerprint"]
    datasets = [{"dataset_name": "films", "dataset_digest": digest}]
    assert len(found("metrics.`test/rmse` > 0", datasets=datasets)) == 1


def test_the_readme_finds_a_model(tracked, here):
    section = README.read_text().partition("## MLflow")[2]
    code = section.partition("```python\n")[2].partition("model.predict")[0]
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{here / 'mlflow.db'}")
        patch.setenv("MLFLOW_EXPERIMENT_ID", "0")  # of the process, as the next; both are undone
        patch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
        exec(compile(code.replace("movietweetings-100k", "films"), "README.md", "exec"), names)
        mlflow.set_tracking_uri(None)
    assert f"models:/{names['found'].model_id[0]}" == tracked.document["model"]
    assert len(names["model"].predict(pd.DataFrame({"user": ["u001"]}), params={"n": 5})) == 5


def test_figures_know_the_model_and_the_ratings_that_they_are_of(tracked):
    client, trained = tracked.client, tracked.document
    (output,) = client.get_run(trained["run_id"]).outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    measured = {metric.key: metric for metric in model.metrics}
    report, origin = trained["report"]["metrics"], trained["origin"]
    assert measured.keys() == report.keys() | {"validated/rmse"}
    for name, metric in measured.items():
        part = "training_fingerprint" if name == "validated/rmse" else "split_fingerprint"
        assert (metric.dataset_name, metric.dataset_digest) == ("films", origin[part])
        assert metric.run_id == trained["run_id"]
    assert {name: measured[name].value for name in report} == pytest.approx(report)
    assert client.get_run(trained["run_id"]).data.metrics.items() >= report.items()


def test_the_ratings_of_a_run_are_datasets_with_schema_and_profile(tracked, here):
    client, trained = tracked.client, tracked.document
    inputs = client.get_run(trained["run_id"]).inputs.dataset_inputs
    found = {{tag.key: tag.value for tag in each.tags}["mlflow.data.context"]: each for each in inputs}
    assert found.keys() == {"training", "test"}
    columns = json.loads(found["training"].dataset.schema)["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in columns] == [
        ("user", "string"), ("item", "long"), ("rating", "float")
    ]  # fmt: skip
    counts = trained["report"]["counts"]
    profile = json.loads(found["training"].dataset.profile)
    cells = counts["users"] * counts["items"]
    assert profile == {"users": 40, "items": 25, "ratings": counts["train_ratings"], "feedback": "ratings",
                       "density": pytest.approx(counts["train_ratings"] / cells), "lowest": 1.0,
                       "highest": 5.0}  # fmt: skip
    assert json.loads(found["test"].dataset.profile)["ratings"] == counts["holdout_ratings"]
    assert (
        Path(mlflow.data.get_source(found["training"]).load()).read_text() == (here / "films.csv").read_text()
    )


def test_the_run_is_described_and_its_counts_are_no_charts(tracked):
    trained = tracked.document
    run = tracked.client.get_run(trained["run_id"]).data
    report = trained["report"]
    assert (
        f"| rmse | {trained['validation']['score']:.4f} | {report['metrics']['test/rmse']:.4f} |"
        in run.tags[NOTE]
    )
    assert run.tags[NOTE].startswith("**u-autorec** on **films**, seed 0\n")
    assert f"{report['counts']['train_ratings']} ratings to train on" in run.tags[NOTE]
    assert run.tags["count/train_ratings"] == str(report["counts"]["train_ratings"])
    assert not [name for name in run.metrics if name.startswith(("count/", "before_refit/"))]


def test_a_search_says_what_it_found_and_its_trials_can_be_drawn(here):
    (here / "search.yaml").write_text(
        "name: search\ndata: {source: films.csv}\n"
        "model: {kind: u-autorec, hidden: [4], training: {epochs: 2}}\n"
        "space: {l2: {low: 1, high: 100, log: true}, activation: {values: [sigmoid, elu]}}\ntrials: 3\n"
    )
    succeed("tune", "search.yaml", "--quiet")
    runs = experiment_runs("films")
    trials = [run for run in runs if run.name.startswith("trial-")]
    assert len(trials) == 3
    for trial in trials:
        assert {"model.l2", "model.activation"} <= trial.params.keys()
        assert "validated/rmse" in trial.metrics
    (search,) = (run for run in runs if run.name == "search")
    assert search.params.keys() >= trials[0].params.keys()
    assert re.match(r"\*\*u-autorec\*\* on \*\*films\*\*, seed 0: best of 3 trials, l2 \d", search.tags[NOTE])


def test_runs_of_one_set_of_ratings_are_in_one_experiment_which_is_model_training(tracked, here):
    (here / "pair.yaml").write_text(
        "name: pair\ndata: {source: films.csv}\nseeds: [0]\ntrials: 1\nreference: biases\n"
        "models: [{name: biases, model: {kind: biases}}, {name: mean, model: {kind: mean}}]\n"
    )
    succeed("benchmark", "pair.yaml", "--quiet")
    runs = {run.name: run for run in experiment_runs("films")}
    assert runs.keys() >= {"films-u-autorec", "pair", "biases-seed-0", "mean-seed-0"}
    names = {name for key in ("rmse", "ndcg_at_10") for name in (f"best/{key}", f"best/validation/{key}")}
    assert runs["pair"].metrics.keys() == names
    scores = {runs[f"{name}-seed-0"].metrics["validated/rmse"]: name for name in ("biases", "mean")}
    assert runs["pair"].metrics["best/validation/rmse"] == min(scores)
    assert runs["pair"].tags["best/rmse"] == scores[min(scores)]
    assert runs["mean-seed-0"].tags["model"] == "mean"
    experiment = tracked.client.get_experiment_by_name("films")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_model_without_files_is_a_failed_one(store):
    record = ModelRecord("mean", metrics={"test": {"test/rmse": 1.0}})
    with MlflowTracker("demo", "stopped") as tracker:
        tracker.dataset(DatasetRecord("toy", "ab", context="test"))
        tracker.fitted(record)
    (output,) = MlflowClient(store).get_run(tracker.run_id).outputs.model_outputs
    model = MlflowClient(store).get_logged_model(output.model_id)
    assert (model.name, model.status.value) == ("mean-demo", "FAILED")
    assert [metric.dataset_name for metric in model.metrics] == ["toy"]


@pytest.mark.parametrize("experiment", ["a/b:c.d%e", 'ratings\'of "mine"', "späte Filme", "x" * 600])
def test_names_of_models_are_legal_whatever_the_experiment(experiment, store):
    name = model_name("i-autorec", experiment)
    client = MlflowClient(store)
    made = client.create_logged_model(client.create_experiment("demo"), name=name)
    assert made.name == name
    assert name.startswith("i-autorec-")


def test_a_long_description_ends_with_a_whole_line():
    lines = [f"| model {number} | 0.12345 |" for number in range(1000)]
    text = tag_texts({NOTE: "\n".join(lines)})[NOTE]
    assert len(text) <= 5000
    *kept, _, last = text.splitlines()
    assert kept == lines[: len(kept)]
    assert last == "…and more, in the files of the run."
