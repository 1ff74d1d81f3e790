"""recsys-ae evaluate: a stored model tested again, and not on what it was trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Outcome, call, succeed, write_ratings
from oracles import SLOW_RANKING

from recsys_ae.data.configs import DataConfig
from recsys_ae.evaluation.report import Report
from recsys_ae.experiments.prepare import prepare
from recsys_ae.splitting.configs import RandomSplitConfig

SPLIT = RandomSplitConfig()


@pytest.fixture
def model(ratings, here) -> Path:
    """Trained on split 0 of the ratings, untracked."""
    succeed("train", "--data", ratings, "--model", "biases", "--no-tracking", "--out", "run")
    return here / "run" / "model"


def evaluate(model: Path, *words: str | Path) -> Outcome:
    return succeed("evaluate", model, "--json", *words)


def seen(ratings: Path, asked: int) -> tuple[int, int]:
    """How many holdout ratings of a split there are, and how many split 0 has trained on."""
    trained, split = (prepare(DataConfig(source=str(ratings)), SPLIT, seed) for seed in (0, asked))
    known = set(zip(trained.train.rows().tolist(), trained.train.columns.tolist(), strict=True))
    held = list(zip(split.holdout.rows().tolist(), split.holdout.columns.tolist(), strict=True))
    return len(held), sum(cell in known for cell in held)


def test_own_split_is_clean_and_gives_the_same_figures(model):
    found = evaluate(model).document
    assert (found["status"], found["holdout_in_training"]) == ("clean", 0)
    assert found["metrics"] == found["stored_metrics"] != {}
    assert evaluate(model, "--seed", "0").document == found
    shown = succeed("evaluate", model).out.splitlines()
    assert shown[0].split() == ["metric", "now", "stored"]


@pytest.mark.parametrize("words", [("--seed", "1"), ("--set", "seed=1")])
def test_another_split_is_refused_and_can_be_had_with_a_mark(model, ratings, words):
    n_held, n_seen = seen(ratings, 1)
    refused = call("evaluate", model, *words)
    assert (refused.code, refused.out) == (2, "")
    read, sentence = refused.err.splitlines()
    assert read.startswith("read: ")
    assert sentence.startswith(f"error: {n_seen} of {n_held} holdout ratings of this split are among")
    found = evaluate(model, *words, "--anyway").document
    assert (found["status"], found["holdout_in_training"]) == ("contaminated", n_seen)
    assert found["stored_metrics"] == {}
    own = evaluate(model).document
    assert found["metrics"]["test/rmse"] != own["metrics"]["test/rmse"]
    assert (
        f"contaminated: the model was trained on {n_seen} of"
        in succeed("evaluate", model, *words, "--anyway").out
    )


def test_other_data_are_refused_and_can_be_had_with_a_mark(model, ratings, here):
    """One rating is another: the split is drawn alike, and nothing of its holdout was trained on."""
    header, first, *rest = ratings.read_text().splitlines()
    changed = first[:-1] + ("2" if first[-1] != "2" else "3")
    Path("changed.csv").write_text("\n".join([header, changed, *rest]) + "\n")
    refused = call("evaluate", model, "--data", "changed.csv")
    assert refused.code == 2
    assert "error: the ratings are not those that the model was trained on" in refused.err
    found = evaluate(model, "--data", "changed.csv", "--anyway").document
    assert (found["status"], found["holdout_in_training"]) == ("foreign", 0)
    assert (
        "foreign: the ratings are not" in succeed("evaluate", model, "--data", "changed.csv", "--anyway").out
    )


def test_ratings_that_changed_under_a_model_are_other_data(here):
    write_ratings(here / "mine.csv")
    succeed("train", "--data", "mine.csv", "--model", "biases", "--no-tracking", "--out", "run")
    write_ratings(here / "mine.csv", seed=5)
    assert call("evaluate", "run/model").code == 2


def test_the_evaluation_may_be_another_but_not_the_model(model):
    own = evaluate(model).document
    found = evaluate(model, "--set", "evaluation.cutoffs=[3]").document
    assert found["status"] == "clean"
    assert "test/ndcg_at_3" in found["metrics"]
    assert found["metrics"]["test/rmse"] == own["metrics"]["test/rmse"]
    for change in ("model.item_damping=3", "validation=null"):
        refused = call("evaluate", model, "--set", change)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "the model is trained already" in refused.err
    assert "no setting 'sed'" in call("evaluate", model, "--set", "sed=3").err


def test_lists_judged_by_another_relevance_have_no_stored_figures(model):
    own = evaluate(model).document
    report = Report.from_parquet(model.parent / "per_user.parquet")
    assert own["relevance"] == report.relevance != "rated 5 or more"
    assert own["counts"].items() <= report.counts.items() | {("holdout_in_training", 0)}
    ranking = {name for name in own["metrics"] if any(f"/{kind}_at" in name for kind in SLOW_RANKING)}
    assert len(ranking) == len(SLOW_RANKING)
    words = ("--set", "evaluation.relevant=5")
    found = evaluate(model, *words).document
    assert found["relevance"] == "rated 5 or more"
    assert set(own["stored_metrics"]) - set(found["stored_metrics"]) == ranking
    assert found["stored_metrics"].items() <= found["metrics"].items()
    assert "relevant: rated 5 or more" in succeed("evaluate", model, *words).out.splitlines()


def test_cold_pairs_of_a_test_are_shown(here):
    write_ratings(here / "mine.csv")
    with (here / "mine.csv").open("a") as file:
        file.writelines(f"new{n},{9000 + n},3\n" for n in range(60))  # some of them are held out
    succeed("train", "--data", "mine.csv", "--model", "biases", "--no-tracking", "--out", "run")
    counts = evaluate(here / "run" / "model").document["counts"]
    assert counts["cold_users"] > 0
    cold = (f"{counts[name]} {name.replace('_', ' ')}" for name in ("cold_users", "cold_items", "cold_pairs"))
    assert ", ".join(cold) in succeed("evaluate", here / "run" / "model").out.splitlines()


def test_data_of_a_relative_path_are_found_from_elsewhere(here, monkeypatch):
    write_ratings(here / "mine.csv")
    succeed("train", "--data", "mine.csv", "--model", "mean", "--no-tracking", "--out", "run")
    before = evaluate(here / "run" / "model").document
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert evaluate(here / "run" / "model").document == before
    write_ratings(here / "elsewhere" / "mine.csv", seed=9)  # what lies here comes first, and is told apart
    assert call("evaluate", here / "run" / "model").code == 2


def test_a_model_folder_says_what_the_model_was_fitted_to(ratings, here):
    """The training part as a whole, and what is left of it where validation ratings were given up."""
    small = ("--set", "model={kind: biased-mf, factors: 2, iterations: 4}", "--no-tracking")
    words = ("--data", ratings, "--model", "biased-mf", *small)
    for name, change in (
        ("early", "validation.share=0.2"),
        ("refitted", "validation={share: 0.2, refit: true}"),
    ):
        succeed("train", *words, "--set", change, "--out", name)
    infos = {
        name: json.loads((here / name / "model" / "model.json").read_text())["info"]
        for name in ("early", "refitted")
    }
    train = prepare(DataConfig(source=str(ratings)), SPLIT, 0).train.fingerprint()
    assert [info["training_fingerprint"] for info in infos.values()] == [train, train]
    assert infos["refitted"]["fitted_fingerprint"] == train != infos["early"]["fitted_fingerprint"]
    assert evaluate(here / "refitted" / "model").document["status"] == "clean"


def test_validation_is_printed_before_the_test(ratings, here):
    small = ("--set", "model={kind: biased-mf, factors: 2, iterations: 2, patience: 5}", "--no-tracking")
    words = ("--data", ratings, "--model", "biased-mf", *small)
    lines = succeed("train", *words, "--set", "validation.refit=true", "--out", "run").out.splitlines()
    result = json.loads(Path("run/result.json").read_text())
    score, rmse = result["validation"]["score"], result["report"]["metrics"]["test/rmse"]
    before = result["report"]["metrics_before_refit"]["test/rmse"]
    assert lines[1].split() == ["validated/rmse", f"{score:.4f}"]
    assert "training ended at the last allowed epoch, 2, and the best was" in lines[2]
    assert lines[3].startswith("  then fitted anew to all training ratings, for ")
    assert lines[4].split() == ["test/rmse", f"{rmse:.4f}", f"({before:.4f}", "before)"]
    assert len({score, rmse, before}) == 3
    tested = succeed("evaluate", "run").out.splitlines()  # the folder of a run will do
    assert [tested[1].split(), tested[2].split()] == [
        ["validated/rmse", f"{score:.4f}"],
        ["test/rmse", f"{rmse:.4f}", f"{rmse:.4f}"],
    ]
    assert evaluate("run").document["validation"] == result["validation"]
    lines = succeed("train", "--data", ratings, "--model", "biases", "--no-tracking", "--out", "plain").out
    assert "validation: none, the model was fitted to all training ratings" in lines.splitlines()[1]
    assert json.loads(Path("plain/result.json").read_text())["validation"] is None
