"""recsys-ae train: what it answers, keeps and tracks."""

from __future__ import annotations

import csv
import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from commands import SMALL, call, succeed

from recsys_ae.evaluation.report import Report

FILES = {
    "config.yaml",
    "result.json",
    "epochs.csv",
    "curves.svg",
    "predictions.svg",
    "per_user.parquet",
    "per_item.parquet",
    "model",
}


def train(ratings: Path, out: Path, *words: str, model: str = "u-autorec") -> dict:
    answer = succeed("train", "--data", ratings, "--model", model, "--no-tracking", "--json", "--out", out,
                     *(SMALL if model.endswith("autorec") else ()), *words)  # fmt: skip
    return answer.document


def test_answer_has_the_promised_shape(trained):
    assert trained["run_id"] is None
    assert trained["model"] == str(Path(trained["folder"]) / "model")
    assert {"test/rmse", "test/mae", "test/ndcg_at_10"} <= set(trained["report"]["metrics"])
    assert trained["cost"]["fit_seconds"] > 0
    assert trained["cost"]["peak_memory_mb"] > 10
    assert trained["fit"]["epochs_run"] == 4
    assert 0 <= trained["fit"]["best_epoch"] <= 4
    assert not trained["fit"]["interrupted"]
    assert trained["fit"]["device"] in ("cpu", "cuda")
    assert trained["fit"]["threads"] >= 1


def test_run_folder_is_whole(trained):
    folder = Path(trained["folder"])
    assert {path.name for path in folder.iterdir()} == FILES
    document = json.loads((folder / "result.json").read_text())
    assert {key: document[key] for key in trained} == trained
    assert set(document) - set(trained) == {"files", "checksum"}
    assert set(document["files"]) == {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    } - {"result.json"}
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["training"]["optimizer"] == "adam"
    with (folder / "epochs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2, 3, 4]
    best = min(rows, key=lambda row: float(row["validation/rmse"]))
    assert int(best["epoch"]) == trained["fit"]["best_epoch"]


def test_report_in_the_folder_adds_up_to_the_answer(trained):
    report = Report.from_parquet(Path(trained["folder"]) / "per_user.parquet")
    total = report.per_user["squared_error_sum"].sum() / report.per_user["n_predicted"].sum()
    assert np.sqrt(total) == pytest.approx(trained["report"]["metrics"]["test/rmse"])
    assert report.split_fingerprint == trained["origin"]["split_fingerprint"]


def test_whole_config_of_a_run_gives_the_same_run_again(trained, here):
    again = succeed(
        "train", Path(trained["folder"]) / "config.yaml", "--no-tracking", "--json", "--out", "again"
    )
    assert again.document["report"]["metrics"] == trained["report"]["metrics"]


def test_same_seed_gives_the_same_lists_to_the_byte(ratings, here):
    lists = []
    for name in ("one", "two"):
        train(ratings, here / name, model="i-autorec")
        succeed("recommend", here / name / "model", "--out", f"{name}.csv")
        lists.append((here / f"{name}.csv").read_bytes())
    assert lists[0] == lists[1]


def test_another_seed_splits_anew(ratings, here):
    one, two = (train(ratings, here / seed, "--seed", seed, model="biases") for seed in ("1", "2"))
    assert one["origin"]["data_fingerprint"] == two["origin"]["data_fingerprint"]
    assert one["origin"]["split_fingerprint"] != two["origin"]["split_fingerprint"]


def test_choices_never_see_the_test_part(ratings, here):
    """Spoiling every test rating changes the test metrics, not the model."""
    from recsys_ae.data.configs import DataConfig
    from recsys_ae.experiments.fit import fit_split
    from recsys_ae.experiments.prepare import prepare
    from recsys_ae.models.codec import state_of
    from recsys_ae.models.configs import UserAutoRecConfig
    from recsys_ae.settings.configs import ValidationConfig
    from recsys_ae.splitting.configs import RandomSplitConfig

    split = prepare(DataConfig(source=str(ratings)), RandomSplitConfig(), 0)
    spoilt_matrix = split.holdout.matrix.copy()
    spoilt_matrix.data[:] = 6 - spoilt_matrix.data
    spoilt_holdout = type(split.holdout)(spoilt_matrix, split.holdout.users, split.holdout.items)
    spoilt = replace(split, holdout=spoilt_holdout)
    config = UserAutoRecConfig(hidden=(4,))
    states = [state_of(fit_split(config, part, validation=ValidationConfig(), seed=0).trained.model)
              for part in (split, spoilt)]  # fmt: skip
    for name, array in states[0].arrays.items():
        np.testing.assert_array_equal(array, states[1].arrays[name])


@pytest.mark.parametrize("model", ["mean", "biases", "popularity", "biased-mf", "als", "item-knn"])
def test_every_kind_of_baseline_is_one_option_away(ratings, here, model):
    answer = train(ratings, here / "out", model=model)
    assert answer["report"]["metrics"]
    assert ("test/rmse" in answer["report"]["metrics"]) == (model in ("mean", "biases", "biased-mf"))


def test_without_validation_training_goes_to_the_last_epoch(ratings, here):
    answer = train(ratings, here / "out", "--set", "validation=null")
    assert answer["fit"]["best_epoch"] == answer["fit"]["epochs_run"] == 4


def test_all_ratings_can_be_trained_on(ratings, here):
    answer = train(ratings, here / "out", "--set", "split.kind=all", model="popularity")
    assert answer["report"]["metrics"] == {}
    assert succeed("recommend", here / "out" / "model", "--out", "top.parquet").code == 0


def test_unseen_users_are_folded_in(ratings, here):
    answer = train(ratings, here / "out", "--set", "split.kind=users")
    assert answer["report"]["counts"]["cold_users"] == 0
    assert "test/ndcg_at_10" in answer["report"]["metrics"]


def test_text_for_people_names_what_comes_next(ratings, here):
    text = succeed("train", "--data", ratings, "--model", "biases", "--no-tracking").out
    folders = list((here / "runs").iterdir())
    assert len(folders) == 1
    assert f"recsys-ae recommend {Path('runs') / folders[0].name / 'model'}" in text


def test_a_model_that_is_only_the_biases_says_so(here):
    """Of ratings drawn by lot a factorisation without a penalty learns only noise."""
    drawn = np.random.default_rng(0).integers(1, 6, (40, 25))
    lines = [f"{user},{item},{value}" for (user, item), value in np.ndenumerate(drawn) if (user + item) % 2]
    Path("noise.csv").write_text("\n".join(["user,item,rating", *lines]))
    words = ("--data", "noise.csv", "--model", "biased-mf", "--no-tracking", "--out", "kept")
    free = ("--set", "l2=1e-6", "--set", "validation={share: 0.2, refit: true}")
    shown = [line.strip() for line in succeed("train", *words, *free).out.splitlines()]
    assert json.loads(Path("kept/result.json").read_text())["fit"]["best_epoch"] == 0
    remark = shown.index("kept epoch 0: what training begins with")
    assert shown[remark + 1].startswith(
        "no epoch did better in validation than what training begins with, which this model is: biases"
    )
    assert shown[remark + 2] == "then fitted anew to all training ratings, for no epochs"
    assert shown[remark + 3].startswith("test/rmse")


def test_tracked_run_is_found_under_its_uri(ratings, store):
    answer = succeed("train", "--data", ratings, "--model", "u-autorec", "--json", *SMALL).document
    assert answer["model"].startswith("models:/m-")
    assert answer.items() <= json.loads((Path(answer["folder"]) / "result.json").read_text()).items()
    succeed("recommend", answer["model"], "--users", "u001,u002", "-n", "3", "--out", "top.csv")
    succeed(
        "recommend", f"runs:/{answer['run_id']}/model", "--users", "u001,u002", "-n", "3", "--out", "same.csv"
    )
    assert len(pd.read_csv("top.csv")) == 6
    assert Path("same.csv").read_text() == Path("top.csv").read_text()
    again = succeed("evaluate", answer["model"], "--json").document
    assert again["metrics"] == again["stored_metrics"] == answer["report"]["metrics"]
    runs = succeed("compare", "ratings", "--json").document["runs"]
    assert [run["run_id"] for run in runs] == [answer["run_id"]]


def test_dead_server_costs_a_warning_and_nothing_else(ratings, store):
    outcome = succeed("train", "--data", ratings, "--model", "biases", "--json", "--out", "kept",
                      "--tracking-uri", "http://127.0.0.1:9")  # fmt: skip
    assert outcome.document["run_id"] is None
    assert "recsys-ae upload kept" in outcome.err
    uploaded = succeed("upload", "kept", "--json").document
    assert uploaded["model"].startswith("models:/m-")
    assert uploaded["report"]["metrics"] == outcome.document["report"]["metrics"]
    again = succeed("evaluate", uploaded["model"], "--json").document
    assert again["metrics"] == uploaded["report"]["metrics"]


def test_taken_folder_is_left_alone(ratings, here):
    (here / "mine").mkdir()
    (here / "mine" / "notes.txt").write_text("mine")
    outcome = call("train", "--data", ratings, "--model", "biases", "--no-tracking", "--out", "mine")
    assert outcome.code == 2
    assert outcome.err == "error: --out mine: exists already; choose another folder, or remove it first\n"


def test_what_is_said_to_be_next_can_be_pasted(ratings, here):
    words = ("--data", ratings, "--model", "popularity", "--no-tracking", "--out", "my run's")
    told = succeed("train", *words).out.splitlines()
    (line,) = (line for line in told if line.startswith("next:"))
    program, command, model, *_ = shlex.split(line.removeprefix("next:"))
    assert (program, command, model) == ("recsys-ae", "recommend", "my run's/model")
