"""recsys-ae publish and promote: read back by MLflow's own client, killed, refused, forced."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import Outcome, call, succeed, write_ratings
from mlflow import MlflowClient

from recsys_ae.evaluation.report import Report
from recsys_ae.tracking.runs import experiment_runs

MODELS = {
    "mean": ("mean",),
    "better": ("biased-mf", "--set", "factors=2"),
    "popularity": ("popularity",),
    "other-split": ("mean", "--seed", "1"),
    "untested": ("popularity", "--set", "split={kind: all}"),
}


@dataclass(frozen=True, slots=True)
class Trained:
    """A store with a run of each model, another in which two of them are published, too; `models`: name to
    run folder."""

    database: Path
    with_pair: Path
    models: dict[str, Path]


@pytest.fixture(scope="module")
def trained_once(fresh_database, tmp_path_factory) -> Trained:
    here = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        shutil.copy(fresh_database, "mlflow.db")
        write_ratings(Path("films.csv"), n_users=150, n_items=30)
        for name, (kind, *words) in MODELS.items():
            succeed("train", "--data", "films.csv", "--model", kind, "--out", name, "--quiet", *words,
                    *(() if name == "untested" else ("--set", "split.test_share=0.3")),
                    "--set", "validation=null")  # fmt: skip
        models = {name: here / name for name in MODELS}
        bare = Path(shutil.copy("mlflow.db", here / "bare.db"))
        published(models, "mean", "better")
    return Trained(bare, here / "mlflow.db", models)


@pytest.fixture
def folders(trained_once, here) -> dict[str, Path]:
    """The run folders, in a working folder with a copy of their store."""
    shutil.copy(trained_once.database, here / "mlflow.db")
    return trained_once.models


@pytest.fixture
def client(folders, here) -> MlflowClient:
    return MlflowClient(f"sqlite:///{here / 'mlflow.db'}")


@pytest.fixture
def pair(trained_once, here) -> MlflowClient:
    """A store with a champion and a challenger that is better."""
    shutil.copy(trained_once.with_pair, here / "mlflow.db")
    return MlflowClient(f"sqlite:///{here / 'mlflow.db'}")


def published(folders, *names: str) -> None:
    """Each a version, the first the champion and the last the challenger."""
    for place, name in enumerate(names):
        alias = "champion" if place == 0 else "challenger"
        succeed("publish", folders[name], "--name", "films", "--alias", alias)


def champion(client: MlflowClient) -> str:
    return str(client.get_model_version_by_alias("films", "champion").version)


def refused(outcome: Outcome, *words: str) -> None:
    assert (outcome.code, outcome.out) == (2, ""), outcome
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err


def test_a_published_model_is_a_version_that_says_what_it_is(folders, client):
    said = succeed("publish", folders["better"], "--name", "films", "--alias", "challenger").out
    assert said.splitlines() == ["models:/films/1", "models:/films@challenger points to it"]
    version = client.get_model_version_by_alias("films", "challenger")
    result = json.loads((folders["better"] / "result.json").read_text())
    assert version.run_id == result["run_id"]
    assert version.source == result["model"]
    assert version.tags["kind"] == "biased-mf"
    assert version.tags["data"] == "films"
    assert version.tags["split_fingerprint"] == result["origin"]["split_fingerprint"]
    assert float(version.tags["test/rmse"]) == pytest.approx(result["report"]["metrics"]["test/rmse"])
    assert version.description.startswith("**biased-mf** on **films**, seed 0")


def test_every_address_of_a_model_is_the_same_model(folders, client):
    result = json.loads((folders["better"] / "result.json").read_text())
    first = succeed("publish", folders["better"], "--name", "films", "--json").document
    assert (first["uri"], first["new"]) == ("models:/films/1", True)
    for address in (folders["better"] / "model", result["model"], f"runs:/{result['run_id']}/model"):
        again = succeed("publish", address, "--name", "films", "--alias", "champion", "--json").document
        assert (again["uri"], again["new"]) == ("models:/films/1", False)
    assert "is this model already" in succeed("publish", result["model"], "--name", "films").out
    assert len(client.search_model_versions("name = 'films'")) == 1
    assert champion(client) == "1"
    assert succeed("publish", result["model"], "--name", "other").out == "models:/other/1\n"


def test_the_readme_way_from_training_to_lists(folders, client):
    published(folders, "popularity")
    lists = succeed("recommend", "models:/films@champion", "--users", "u001,u002", "-n", "3", "--json")
    direct = succeed("recommend", folders["popularity"], "--users", "u001,u002", "-n", "3", "--json")
    assert lists.document == direct.document


def test_the_first_needs_no_rival(folders, client):
    succeed("publish", folders["mean"], "--name", "films", "--alias", "challenger")
    found = succeed("promote", "films", "--json").document
    assert (found["outcome"], found["champion_before"], found["comparison"]) == ("first", None, None)
    assert champion(client) == "1"
    again = succeed("promote", "films")
    assert again.out == "models:/films/1 is champion already\n"
    assert len(experiment_runs("promotions of films")) == 1  # nothing was decided


def test_a_better_model_takes_the_place(folders, pair):
    found = succeed("promote", "films", "--json").document
    assert (found["outcome"], found["challenger"]) == ("promoted", "models:/films/2")
    assert champion(pair) == "2"
    reports = [Report.from_parquet(folders[name] / "per_user.parquet") for name in ("better", "mean")]
    figures = [report.metrics["rmse"] for report in reports]
    told = found["comparison"]
    assert told["metric"] == "rmse"
    assert [told["challenger_value"], told["champion_value"]] == pytest.approx(figures)
    assert told["difference"]["high"] < 0
    (run,) = experiment_runs("promotions of films")
    assert (run.run_id, run.status) == (found["run_id"], "FINISHED")
    assert run.metrics["difference_high"] == pytest.approx(told["difference"]["high"])
    assert run.metrics["challenger/test/rmse"] == pytest.approx(figures[0])
    assert (run.tags["outcome"], run.tags["forced"]) == ("promoted", "false")
    assert run.params["champion"] == "models:/films/1"
    assert "| rmse |" in run.tags["mlflow.note.content"]
    artifact = Path(pair.download_artifacts(run.run_id, "decision.json"))
    assert json.loads(artifact.read_text()) == found
    tags = pair.get_model_version("films", "2").tags
    assert (tags["promotion.outcome"], tags["promotion.run"]) == ("promoted", run.run_id)
    assert tags["promotion.against"] == "models:/films/1"


def test_a_worse_or_equal_model_leaves_the_champion(folders, client):
    published(folders, "better", "mean")
    kept = call("promote", "films")
    assert kept.code == 1
    assert kept.out.startswith("models:/films/1 stays champion: models:/films/2 is worse; RMSE ")
    assert champion(client) == "1"
    assert client.get_model_version("films", "2").tags["promotion.outcome"] == "kept"
    (run,) = experiment_runs("promotions of films")
    assert (run.status, run.tags["outcome"]) == ("FINISHED", "kept")


def test_guards_are_told_and_recorded(folders, pair):
    found = succeed("promote", "films", "--guard", "test/mae=0.01", "--json").document
    (guard,) = found["comparison"]["guards"]
    reports = [Report.from_parquet(folders[name] / "per_user.parquet") for name in ("better", "mean")]
    assert [guard["challenger"], guard["champion"]] == [report.metrics["mae"] for report in reports]
    assert (guard["holds"], guard["margin"]) == (True, 0.01)
    (run,) = experiment_runs("promotions of films")
    assert run.metrics["champion/test/mae"] == pytest.approx(guard["champion"])
    assert run.params["guard.mae"] == "0.01"
    assert "0.01: holds" in run.tags["mlflow.note.content"]


def test_force_is_recorded(folders, client):
    published(folders, "better", "mean")
    found = succeed("promote", "films", "--force", "--json").document
    assert found["outcome"] == "forced"
    assert "by force: it is worse" in found["sentence"]
    assert champion(client) == "2"
    (run,) = experiment_runs("promotions of films")
    assert (run.tags["forced"], run.params["force"]) == ("true", "true")
    assert client.get_model_version("films", "2").tags["promotion.outcome"] == "forced"


def test_other_tests_are_not_compared_but_by_force(folders, client):
    words = "another split of the ratings"
    published(folders, "mean", "other-split")
    refused(call("promote", "films"), "models:/films/2 cannot be compared with models:/films/1", words)
    assert champion(client) == "1"
    assert not [e for e in client.search_experiments() if e.name.startswith("promotions")]
    found = succeed("promote", "films", "--force", "--json").document
    assert (found["outcome"], found["comparison"]) == ("forced", None)
    assert words in found["problem"]
    assert champion(client) == "2"


def test_a_model_of_all_ratings_has_no_test_to_show(folders, client):
    published(folders, "popularity", "untested")
    refused(call("promote", "films"), "models:/films/2 was not tested, as its run held no ratings out")
    assert champion(client) == "1"


def test_challengers_on_one_test_part_are_counted(folders, client):
    published(folders, "better", "mean")
    assert call("promote", "films", "--json").document["looks"] == 1
    assert call("promote", "films", "--json").document["looks"] == 1  # the same once more
    succeed("publish", folders["popularity"], "--name", "films", "--alias", "challenger")
    found = call("promote", "films", "--metric", "test/ndcg_at_10")
    assert "2 challengers were held against the test part of this split" in found.out
    assert "up to 5%" in found.out


KILLED = """
import os, signal
from mlflow import MlflowClient
MlflowClient.set_registered_model_alias = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from recsys_ae.cli import main
main(["promote", "films"])
"""


def test_a_promotion_that_is_killed_leaves_the_champion(pair, here):
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=here, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert champion(pair) == "1"
    (run,) = experiment_runs("promotions of films")
    assert run.status == "DIED"  # so nobody takes it for a decision
    assert succeed("promote", "films", "--json").document["looks"] == 1
    assert champion(pair) == "2"


def test_an_alias_that_somebody_moves_meanwhile_is_not_moved_back(folders, client, monkeypatch):
    from recsys_ae.decisions import promotion

    published(folders, "mean", "popularity", "better")

    def tagged(version, tags, *, uri, tag=promotion.tag_version):
        client.set_registered_model_alias("films", "champion", "2")
        tag(version, tags, uri=uri)

    monkeypatch.setattr(promotion, "tag_version", tagged)
    refused(call("promote", "films"), "was moved by somebody else in the meantime, to version 2")
    assert champion(client) == "2"
    (run,) = experiment_runs("promotions of films")
    assert run.status == "FAILED"


def test_an_untracked_run_is_refused_until_it_is_uploaded(trained_once, store):
    """Of a run that another store has, this one has nothing."""
    folder = shutil.copytree(trained_once.models["mean"], store / "run")
    refused(call("publish", folder, "--name", "films"), f"track it first: recsys-ae upload {folder}")
    succeed("upload", folder)
    moved = folder.rename(store / "elsewhere")
    assert succeed("publish", moved, "--name", "films").out == "models:/films/1\n"


def test_what_is_none_of_ours_is_refused(folders, client):
    """A version of another team's model, made as MLflow makes them."""
    experiment = client.create_experiment("theirs")
    run_id = client.create_run(experiment).info.run_id
    logged = client.create_logged_model(experiment, name="theirs", source_run_id=run_id)
    client.create_registered_model("films")
    client.create_model_version(
        "films", f"models:/{logged.model_id}", run_id=run_id, model_id=logged.model_id
    )
    client.create_model_version("films", "s3://bucket/model")
    for number in ("1", "2"):
        words = ("promote", "films", "--challenger", number)
        refused(call(*words), f"models:/films/{number} is no model of recsys-ae")
        refused(call(*words, "--force"), f"models:/films/{number} is no model of recsys-ae")
    refused(call("publish", f"models:/{logged.model_id}", "--name", "x"), "is no model of recsys-ae")
    succeed("publish", folders["better"], "--name", "films", "--alias", "challenger")
    client.set_registered_model_alias("films", "champion", "1")
    refused(call("promote", "films"), "has no per_user.parquet")
    assert champion(client) == "1"
    assert "by force" in succeed("promote", "films", "--force").out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("promote", "nobody"), "has no model named 'nobody', but: films"),
        (("promote", "films", "--challenger", "9"), "version '9': the tracking store"),
        (("promote", "films", "--challenger", "loser"), "alias 'loser': the tracking store"),
        (("promote", "films", "--champion", "7"), "'7' is no alias"),
        (("promote", "films", "--champion", "a b"), "'a b' is no alias"),
        (("promote", "fil'ms"), "is no name for a model"),
        (("promote", "films", "--metric", "speed"), "--metric 'speed': no metric of the test part"),
        (("promote", "films", "--metric", "validation/rmse"), "no metric of the test part"),
        (("promote", "films", "--metric", "test/ndcg_at_7"), "the challenger has no test metric 'ndcg_at_7'"),
        (("promote", "films", "--guard", "coverage"), "--guard 'coverage': write METRIC=MARGIN"),
        (("promote", "films", "--guard", "test/ndcg_at_7=1"), "the challenger has no test metric"),
        (("publish", "nowhere", "--name", "films"), "nowhere: no folder of a run"),
        (("publish", ".", "--name", "films"), "no folder of a run"),
        (("publish", f"models:/m-{'0af5' * 8}", "--name", "films"), "has no such model"),
        (("publish", "models:/films/1", "--name", "new"), "only the model of a run can be published"),
        (("publish", "s3://there/model", "--name", "new"), "only the model of a run can be published"),
        (("publish", "models:/m-1", "--name", "a/b"), "is no name for a model"),
        (("publish", "models:/m-1", "--name", "films", "--alias", "latest"), "'latest' is no alias"),
    ],
)
def test_each_wrong_word_gets_its_sentence(words, sentence, pair):
    before = pair.get_registered_model("films").aliases
    refused(call(*words), sentence)
    assert pair.get_registered_model("films").aliases == before
    assert {model.name for model in pair.search_registered_models()} == {"films"}
    assert not [e for e in pair.search_experiments() if e.name.startswith("promotions")]


def test_what_was_deleted_is_said(folders, pair):
    pair.delete_model_version("films", "2")
    refused(call("promote", "films", "--challenger", "2"), "the versions 1 and the aliases champion")
    succeed("publish", folders["better"], "--name", "films", "--alias", "challenger")
    pair.delete_run(pair.get_model_version_by_alias("films", "champion").run_id)
    refused(call("promote", "films"), "models:/films/1 has no run in the tracking store")
    assert champion(pair) == "1"


def test_a_store_that_is_down_is_one_sentence(folders):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    for words in (("promote", "films"), ("publish", folders["mean"], "--name", "films")):
        refused(call(*words, "--tracking-uri", address), f"{address} does not answer")
