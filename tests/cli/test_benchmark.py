"""recsys-ae benchmark and compare."""

from __future__ import annotations

import json
import math
import re
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import Outcome, call, succeed, write_ratings
from toys import fit

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.histories import UserBatch
from recsys_ae.evaluation.comparison import holm
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.evaluator import evaluate
from recsys_ae.evaluation.report import Report
from recsys_ae.experiments.prepare import prepare
from recsys_ae.models.configs import BiasesConfig
from recsys_ae.results.summary import parent_tags
from recsys_ae.splitting.configs import RandomSplitConfig
from recsys_ae.splitting.make import validation_split
from recsys_ae.tracking.mlflow_tracker import MlflowTracker
from recsys_ae.tracking.runs import experiment_runs

BENCHMARK = """\
name: small
data: {{source: {data}}}
seeds: [0, 1]
trials: 2
reference: biases
models:
  - {{name: biases, model: {{kind: biases}}, grid: {{item_damping: [10, 1000000]}}}}
  - {{name: als, model: {{kind: als, factors: 4, iterations: 3}}}}
  - name: u-autorec
    model: {{kind: u-autorec, hidden: [4], training: {{epochs: 3, batch_size: 16}}}}
  - {{name: broken, model: {{kind: i-autorec, hidden: [4], output: identity, training:
      {{epochs: 3, optimizer: sgd, learning_rate: 1.0e+30}}}}}}
"""


@pytest.fixture
def config(ratings, here) -> Path:
    path = here / "small.yaml"
    path.write_text(BENCHMARK.format(data=ratings))
    return path


@pytest.fixture
def answer(config):
    return compared(config, "--no-tracking", "--json", "--out", "out").document


def compared(config: Path, *words: str) -> Outcome:
    """A benchmark that ends with exit code 1, because the model called broken fails."""
    outcome = call("benchmark", config, *words)
    assert outcome.code == 1, outcome.err
    return outcome


def by_name(answer: dict) -> dict[str, dict]:
    return {row["name"]: row for row in answer["models"]}


def test_lists_of_a_benchmark_are_those_of_its_best_ranker(answer):
    found = succeed("recommend", "out", "--users", "u003,u007", "-n", 2, "--history", 3, "--json")
    assert "als: its lists are the best of 3 models (validation ndcg_at_10 " in found.err
    named = succeed("recommend", "out/als/seed-0/model", "--users", "u003,u007", "-n", 2, "--json")
    assert found.document["rows"] == named.document["rows"]
    assert [line["user"] for line in found.document["histories"]] == ["u003"] * 3 + ["u007"] * 3
    assert "histories" not in named.document
    shown = succeed("recommend", "out", "--users", "u003,u007", "-n", 2, "--history", 3).out
    cells = [re.split(r"  +", line.strip()) for line in shown.splitlines()[1:]]
    assert [row[:3] for row in cells] == [
        [line["user"], str(line["rank"]), str(line["item"])] for line in found.document["histories"]
    ]
    assert [row[4] for row in cells if len(row) > 5] == [str(line["item"]) for line in found.document["rows"]]


def test_models_seeds_and_failures_stand_side_by_side(answer):
    rows = by_name(answer)
    assert list(rows) == ["biases", "als", "u-autorec", "broken"]
    assert "test/rmse" in rows["biases"]["metrics"]
    assert "test/rmse" not in rows["als"]["metrics"]
    assert rows["als"]["differences"].keys() == {"ndcg_at_10"}
    assert rows["u-autorec"]["differences"].keys() == {"rmse", "ndcg_at_10"}
    assert rows["broken"]["metrics"] == {}
    assert "learning rate" in rows["broken"]["error"]
    for name in ("biases", "als", "u-autorec"):
        assert rows[name]["error"] is None
        assert rows[name]["fit_seconds"] >= 0
        assert rows[name]["peak_memory_mb"] > 10
        assert len(rows[name]["runs"]) == 2


def test_means_and_differences_are_those_of_the_reports(answer):
    rows = by_name(answer)
    values = {}
    for name in ("biases", "u-autorec"):
        reports = [Report.from_parquet(Path(run) / "per_user.parquet") for run in rows[name]["runs"]]
        values[name] = [report.metrics["rmse"] for report in reports]
        assert rows[name]["metrics"]["test/rmse"] == pytest.approx(np.mean(values[name]))
        assert rows[name]["deviations"]["test/rmse"] == pytest.approx(np.std(values[name], ddof=1))
    found = rows["u-autorec"]["differences"]["rmse"]
    assert found["difference"] == pytest.approx(np.mean(values["u-autorec"]) - np.mean(values["biases"]))
    assert found["low"] <= found["difference"] <= found["high"]


def test_differences_by_all_metrics_are_one_family(config):
    every = ("--set", "split.test_share=0.4", "--set", "evaluation.relevant=all")  # 30 users and more
    words = ("--no-tracking", "--json", "--out", "out", *every)
    answer = compared(config, *words).document
    found = [one for row in answer["models"] for one in row.get("differences", {}).values()]
    assert len(found) == 3
    adjusted = holm(np.array([one["p_value"] for one in found]))
    assert [one["p_adjusted"] for one in found] == pytest.approx(adjusted)
    assert {one["n_seeds"] for one in found} == {2}


def test_few_users_are_compared_without_a_test(here, store):
    """In every shape of the result, and by the command that compares tracked runs."""
    data = write_ratings(here / "few.csv", n_users=12)
    models = [{"name": kind, "model": {"kind": kind}} for kind in ("biases", "popularity")]
    text = {"name": "few", "data": {"source": str(data)}, "reference": "biases", "models": models}
    (here / "few.yaml").write_text(json.dumps(text))
    split = ("--set", "split.test_share=0.5")
    found = succeed("benchmark", "few.yaml", "--no-tracking", "--out", "a", "--json", *split).document
    difference = by_name(found)["popularity"]["differences"]["ndcg_at_10"]
    note = f"too few users ({difference['n_users']}) for a test"
    assert difference["note"] == note
    assert difference["n_users"] + difference["n_skipped"] <= 12
    assert [difference[part] for part in ("low", "high", "p_value", "p_adjusted")] == [None] * 4
    cell = f"{difference['difference']:+.4f}"
    for place in ("table.csv", "table.md", "page.html"):
        assert f"{cell}, {note}" in Path("a", place).read_text()
    words = ("benchmark", "few.yaml", "--out", "b", *split), ("compare", "few", "--metric", "test/ndcg_at_10")
    for shown in (succeed(*each).out.splitlines() for each in words):
        assert note in shown
        assert "relevant: rated 4 or more" in shown
        assert not any("±" in line or "*" in line for line in shown)
    runs = succeed(*words[1], "--json").document["runs"]
    assert [run["difference"]["note"] for run in runs if run["difference"]] == [note]


def test_ratings_of_a_small_unit_are_shown_with_four_digits(ratings, here, store):
    """The digits of ratings in thousandths are those of the ratings, everywhere."""
    lines = [line.rpartition(",") for line in ratings.read_text().splitlines()[1:]]
    small = [f"{cell},{int(value) / 1000}" for cell, _, value in lines]
    (here / "small.csv").write_text("\n".join(["user,item,rating", *small]))
    models = [{"name": kind, "model": {"kind": kind}} for kind in ("biases", "mean")]
    text = {"name": "tiny", "data": {"source": "small.csv"}, "reference": "mean", "models": models}
    (here / "tiny.yaml").write_text(json.dumps(text))
    shown = succeed("benchmark", "tiny.yaml", "--out", "a").out
    runs = json.loads(Path("a/result.json").read_text())["models"]
    rmse = [f"{run['metrics']['test/rmse']:.6f}" for run in runs]
    assert all(re.fullmatch(r"0\.00[1-9]\d{3}", value) for value in rmse)
    delta = f"{runs[0]['differences']['rmse']['difference']:+.6f}"
    for text in (shown, Path("a/table.md").read_text(), succeed("compare", "small").out):
        assert all(value in text for value in (*rmse, delta))
    trained = succeed("train", "--data", "small.csv", "--model", "biases", "--no-tracking", "--out", "b").out
    assert rmse[0] in trained


def test_grid_is_chosen_on_validation_for_each_seed(answer, ratings):
    biases = by_name(answer)["biases"]
    assert (biases["trials"], by_name(answer)["als"]["trials"]) == (2, 1)
    assert biases["settings"] == [best_damping(ratings, seed) for seed in (0, 1)]


def test_validation_scores_stand_beside_those_of_the_test(answer):
    """The mean of the chosen trials in the table, every trial in a table of its own, and what a choice leaves
    open wherever it is shown."""
    table = pd.read_csv("out/table.csv").set_index("model")
    trials = pd.read_csv("out/trials.csv")
    page = Path("out/page.html").read_text()
    chosen = trials[trials.chosen == "yes"].groupby("model").score.mean()
    for name, metric in (("biases", "rmse"), ("als", "ndcg_at_10"), ("u-autorec", "rmse")):
        found = by_name(answer)[name]["validation"]
        assert [of_seed["metric"] for of_seed in found] == [metric] * 2
        scores = [of_seed["trials"][of_seed["chosen"]]["score"] for of_seed in found]
        assert [of_seed["score"] for of_seed in found] == scores
        assert table[f"validation {metric}"][name] == pytest.approx(np.mean(scores)) == chosen[name]
        assert (trials.model == name).sum() == sum(len(of_seed["trials"]) for of_seed in found)
    assert np.isnan(table["validation rmse"]["als"])
    of_biases = by_name(answer)["biases"]["validation"]
    for of_seed, settings in zip(of_biases, by_name(answer)["biases"]["settings"], strict=True):
        edge = "lowest" if settings["item_damping"] == 10 else "highest"
        assert of_seed["edges"] == {"item_damping": edge}
        assert of_seed["score"] == min(trial["score"] for trial in of_seed["trials"])
    assert all(of_seed["at_last_epoch"] for of_seed in by_name(answer)["u-autorec"]["validation"])
    ended = "training ended at the last allowed epoch, 3, and the best was"
    for text in (Path("out/table.md").read_text(), page):
        assert "item_damping" in text
        assert ended in text
    trials_at = page.index("as configured")
    assert page.rindex("<details>", 0, trials_at) > page.rindex("</details>", 0, trials_at)  # in a fold


def test_a_refitted_model_shows_what_it_was_before(answer):
    row = by_name(answer)["u-autorec"]
    early = [json.loads((Path(run) / "result.json").read_text()) for run in row["runs"]]
    values = [run["report"]["metrics_before_refit"]["test/rmse"] for run in early]
    assert row["metrics_before_refit"]["test/rmse"] == pytest.approx(np.mean(values))
    assert row["metrics_before_refit"]["test/rmse"] != row["metrics"]["test/rmse"]
    assert by_name(answer)["biases"]["metrics_before_refit"] == {}
    table = pd.read_csv("out/table.csv").set_index("model")
    assert table["rmse before refit"]["u-autorec"] == pytest.approx(np.mean(values))
    assert np.isnan(table["rmse before refit"]["biases"])


def best_damping(ratings: Path, seed: int) -> dict:
    """The setting with the lowest error on a validation part, by plain arithmetic."""
    split = prepare(DataConfig(source=str(ratings)), RandomSplitConfig(), seed)
    carved = validation_split(split, share=0.05)
    batch = UserBatch(np.arange(carved.train.n_users), carved.train.matrix)
    errors = {}
    for damping in (10, 1_000_000):
        scores = fit(BiasesConfig(item_damping=damping), carved.train).score(batch)
        predicted = scores[carved.holdout.rows(), carved.holdout.columns]
        errors[damping] = np.mean((predicted - carved.holdout.values) ** 2)
    return {"item_damping": min(errors, key=errors.__getitem__)}


def test_results_are_kept_in_four_forms(answer):
    folder = Path("out")
    document = json.loads((folder / "result.json").read_text())
    assert answer.items() <= document.items()
    assert set(document["files"]) == {path.name for path in folder.iterdir() if path.is_file()} - {
        "result.json"
    }
    table = pd.read_csv(folder / "table.csv")
    assert list(table.model) == ["biases", "als", "u-autorec", "broken"]
    assert table.rmse[0] == pytest.approx(by_name(answer)["biases"]["metrics"]["test/rmse"])
    text, models = (folder / "table.md").read_text().split("| model |", 1)
    assert text.split("\n\n")[:2] == [one["sentence"] for one in document["conclusions"]]
    models, note, *_, trials = f"| model |{models}".split("\n\n")
    assert models.count("\n") == 5
    assert trials.count("\n") == 2 + 8  # header and rule, (2 + 1 + 1) settings for each of two seeds
    assert note == (
        "Differences with 95 % intervals and p-values by Holm's method over all of them; intervals cover "
        "other users and other seeds (2 were run); relevant: rated 4 or more."
    )
    assert note.replace("'", "&#x27;") in (folder / "page.html").read_text()
    page = (folder / "page.html").read_text()
    assert "als" in (folder / "ndcg_at_10.svg").read_text()
    rmse = (folder / "rmse.svg").read_text()
    assert "broken" in rmse
    assert "als" not in rmse  # it predicts no ratings, and has not failed
    assert [row["seed"] for row in answer["fingerprints"]] == [0, 1]
    assert [row["relevant"] for row in answer["fingerprints"]] == [4, 4]  # stars, of 1 to 5
    assert all(row["split"] in page for row in answer["fingerprints"])
    assert not re.search(r'(src|href)="https?:', page)
    assert (folder / "als" / "seed-1" / "model" / "model.json").exists()


def test_terminal_shows_the_short_table_and_what_failed(config):
    told = compared(config, "--no-tracking", "--out", "out").out
    conclusion, _, rest = told.partition("\n\n")
    sentences = [one["sentence"] for one in json.loads(Path("out/result.json").read_text())["conclusions"]]
    assert conclusion.splitlines()[:2] == sentences
    assert conclusion.splitlines()[-1] == "Without a result: broken."
    lines = rest.splitlines()
    assert re.sub(" {2,}", "|", lines[0]) == (
        "model|validation|rmse|ndcg_at_10|Δ rmse|Δ ndcg_at_10|fit s|memory MB"
    )
    assert max(len(line.rstrip()) for line in lines[:5]) <= 116
    assert re.search(r"^u-autorec .* [+-]\d\.\d{4} ±\d\.\d{4}", lines[3])
    assert sum(line.startswith("broken failed: ") for line in lines) == 1
    assert any("difference to biases" in line and "* p < 0.05" in line for line in lines)


def test_full_table_has_no_column_without_meaning(config):
    compared(config, "--no-tracking", "--out", "tuned", "--json")
    table = pd.read_csv("tuned/table.csv", index_col="model")
    assert {"tuning s", "trials", "error", "epoch s"} < set(table.columns)
    assert 0 < table.loc["u-autorec", "epoch s"] < table.loc["u-autorec", "fit s"]
    assert math.isnan(table.loc["biases", "epoch s"])
    config.write_text(config.read_text().replace("grid: {item_damping: [10, 1000000]}", "grid: {}"))
    words = ("--no-tracking", "--json", "--set", "trials=1", "--set", "seeds=[0]", "--out", "plain")
    models = "models=[{name: biases, model: {kind: biases}}, {name: mean, model: {kind: mean}}]"
    succeed("benchmark", config, *words, "--set", models)
    columns = list(pd.read_csv("plain/table.csv").columns)
    assert not {"tuning s", "trials", "error", "epoch s"} & set(columns)
    assert columns[:2] == ["model", "validation rmse"]
    assert columns[-2:] == ["memory MB", "rmse to biases"]
    assert not [name for name in columns if "before refit" in name]
    assert "gave up a share" not in Path("plain/page.html").read_text()
    early = "Of these, u-autorec gave up a share of 0.05 to choose their epoch by"
    assert f"{early}, and were then fitted anew" in Path("tuned/page.html").read_text()
    compared(config, *words[:2], "--set", "validation.refit=false", "--set", "trials=2", "--out", "early")
    assert f"{early}; other models were fitted to all" in Path("early/page.html").read_text()
    assert "rmse before refit" not in pd.read_csv("early/table.csv").columns


def test_budget_is_the_same_for_all(config, here):
    outcome = call("benchmark", config, "--no-tracking", "--set", "trials=1")
    assert outcome.code == 2
    assert outcome.err == (
        "error: models.0.grid: 'biases' has 2 combinations, and every model may try 1; shorten the grid or "
        "raise trials\n"
    )
    assert not (here / "runs").exists()


def test_tracked_benchmark_is_compared_in_pairs(config, store):
    one_seed = ("--set", "seeds=[0]", "--out", "out", "--json")
    answer = compared(config, *one_seed).document
    found = succeed(
        "compare", "ratings", "--metric", "test/rmse", "--reference", "biases-seed-0", "--json"
    ).document
    assert [run["name"] for run in found["runs"]].count("biases-seed-0") == 1
    pairs = {run["name"]: run["difference"] for run in found["runs"]}
    expected = by_name(answer)["u-autorec"]["differences"]["rmse"]
    assert pairs["u-autorec-seed-0"]["difference"] == pytest.approx(expected["difference"])
    assert found["without"] == ["als-seed-0", "broken-seed-0"]  # trials are no runs to compare
    values = [run["value"] for run in found["runs"]]
    assert values == sorted(values)
    text = succeed("compare", "ratings", "--metric", "test/coverage_at_10").out
    assert "no mean over users" in text


@pytest.mark.parametrize(
    ("metric", "order"),
    [
        ("train/total", ["low", "middle", "high"]),
        ("fit_seconds", ["low", "middle", "high"]),
        ("mae-vs-mse/ndcg_at_10", ["high", "middle", "low"]),
        ("mae-vs-mse/gini_at_10", ["low", "middle", "high"]),
        ("count/cold_users", ["high", "middle", "low"]),
    ],
)
def test_runs_are_sorted_best_first(metric, order, store):
    for name, value in (("middle", 2.0), ("low", 1.0), ("high", 3.0)):
        with MlflowTracker("demo", name) as tracker:
            tracker.metrics({metric: value})
    found = succeed("compare", "demo", "--metric", metric, "--json").document
    assert [run["name"] for run in found["runs"]] == order
    lines = succeed("compare", "demo", "--metric", metric).out.splitlines()
    unknown = [line for line in lines if "it is not known whether a high or a low" in line]
    assert len(unknown) == (found["higher_is_better"] is None) == (metric == "count/cold_users")


def test_curves_are_listed_but_not_paired(ratings, store):
    """A report knows the test part, and says nothing of a metric on validation ratings."""
    small = ("--set", "model.hidden=[4]", "--set", "model.training.epochs=2")
    for seed in ("0", "1"):
        words = ("--data", ratings, "--model", "u-autorec", "--set", f"seed={seed}", "--out", f"run{seed}")
        succeed("train", *words, *small)
    runs = succeed("compare", "ratings", "--metric", "validation/rmse", "--json").document["runs"]
    assert [run["difference"] for run in runs] == [None, None]
    assert "no mean over users of the test part" in runs[1]["note"]
    assert runs[0]["value"] <= runs[1]["value"]


def test_runs_on_other_splits_are_listed_but_not_paired(ratings, store):
    for seed in ("0", "1"):
        succeed("train", "--data", ratings, "--model", "biases", "--seed", seed, "--out", f"run{seed}")
    runs = succeed("compare", "ratings", "--json").document["runs"]
    assert [run["note"] for run in runs] == ["reference", "not comparable: other data, split or relevance"]


def test_runs_that_count_other_hits_are_listed_but_not_paired(ratings, store):
    for least in ("null", "4", "all"):
        words = ("--model", "popularity", "--set", f"evaluation.relevant={least}", "--out", f"run-{least}")
        succeed("train", "--data", ratings, *words)
    reference = experiment_runs("ratings")[0].run_id
    words = ("compare", "ratings", "--metric", "test/ndcg_at_10", "--reference", reference)
    found = succeed(*words, "--json").document
    assert found["relevant"] == "rated 4 or more"
    notes = [run["note"] for run in found["runs"]]
    assert sorted(notes, key=str) == [None, "not comparable: other data, split or relevance", "reference"]
    shown = succeed(*words).out
    assert "rated 4 or more" in shown  # in a column, as the runs differ
    for least in ("4", "all"):
        words = ("--model", "biases", "--set", f"evaluation.relevant={least}", "--out", f"biases-{least}")
        succeed("train", "--data", ratings, *words)
    runs = succeed("compare", "ratings", "--metric", "test/rmse", "--json").document["runs"]
    assert [run["note"] for run in runs] == ["reference", None]  # which does not depend on hits
    assert "all held out" in shown
    assert (
        succeed("compare", "ratings", "--metric", "test/coverage_at_10", "--json").document["relevant"]
        is None
    )


def by_metric(row):
    """Its validation scores of the only seed."""
    return {key: score for one in row.get("validation", []) for key, score in
            ({one["metric"]: one["score"]} | one["also"]).items()}  # fmt: skip


def test_models_of_ratings_are_told_apart_by_their_lists_too(ratings, store):
    """On validation ratings, as the models of lists are; recomputed here from the split of validation."""
    Path("two.yaml").write_text(
        f"name: two\ndata: {{source: {ratings}}}\nreference: biases\nmodels:\n"
        "- {name: biases, model: {kind: biases}}\n- {name: biased-mf, model: {kind: biased-mf, factors: 3}}\n"
    )
    rows = by_name(succeed("benchmark", "two.yaml", "--no-tracking", "--out", "two", "--json").document)
    split = prepare(DataConfig(source=str(ratings)), RandomSplitConfig(), 0)
    held_back = validation_split(split, share=0.05)
    report = evaluate(fit(BiasesConfig(), held_back.train), held_back, EvaluationConfig())
    found = by_metric(rows["biases"])
    assert list(found) == ["rmse", "ndcg_at_10"]
    assert found["ndcg_at_10"] == pytest.approx(report.metrics["ndcg_at_10"])
    best = max(rows, key=lambda name: by_metric(rows[name])["ndcg_at_10"])
    told = succeed("recommend", "two", "--users", "u003", "-n", 1, "--json")
    assert told.err.startswith(f"{best}: its lists are the best of 2 models (validation ndcg_at_10")
    table = Path("two/table.csv").read_text().splitlines()[0]
    assert table.startswith("model,validation rmse,validation ndcg_at_10,")


def test_untracked_benchmark_is_uploaded_whole(config, store):
    one_seed = ("--no-tracking", "--set", "seeds=[0]", "--out", "out", "--json")
    rows = by_name(compared(config, *one_seed).document)
    uploaded = succeed("upload", "out", "--json").document
    assert uploaded["runs"] == 3
    parent = next(run for run in experiment_runs("ratings") if run.run_id == uploaded["run_id"])
    scores = {name: by_metric(row).get("ndcg_at_10", -1) for name, row in rows.items()}
    best = max(scores, key=scores.__getitem__)
    assert parent.metrics["best/ndcg_at_10"] == rows[best]["metrics"]["test/ndcg_at_10"]
    assert parent.metrics["best/validation/ndcg_at_10"] == scores[best]
    assert parent.tags["best/ndcg_at_10"] == best
    assert parent.tags["mlflow.note.content"].startswith(Path("out/table.md").read_text()[:500])
    runs = succeed("compare", "ratings", "--metric", "test/ndcg_at_10", "--json").document["runs"]
    assert {run["name"] for run in runs} == {"biases-seed-0", "als-seed-0", "u-autorec-seed-0"}


@pytest.mark.parametrize("text", ["[1]", '{"models": [1]}', '{"models": '])
def test_benchmark_with_a_broken_result_is_refused(text, config, store):
    compared(config, "--no-tracking", "--set", "seeds=[0]", "--out", "out")
    Path("out/result.json").write_text(text)
    outcome = call("upload", "out")
    assert (outcome.code, outcome.out) == (2, "")
    assert "no readable result.json); give a folder that train or benchmark has written" in outcome.err


def test_warnings_are_of_the_whole_training_part(ratings, here):
    """A fit to the first hundred ratings precedes each model; 150 units are too many for them alone."""
    model = "{kind: i-autorec, hidden: [150], training: {epochs: 1}}"
    text = (
        f"name: wide\ndata: {{source: {ratings}}}\nreference: net\nmodels: [{{name: net, model: {model}}}]\n"
    )
    Path("wide.yaml").write_text(text)
    assert "hidden layers" not in succeed("benchmark", "wide.yaml", "--no-tracking", "--out", "wide").err
    Path("wide.yaml").write_text(text.replace("150", "9000"))
    err = succeed("benchmark", "wide.yaml", "--no-tracking", "--out", "wider").err
    assert err.count("hidden layers have at most") == 2  # a trial, and the fit to all


@pytest.mark.parametrize(
    ("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_benchmark_that_is_stopped_ends_as_stopped_commands_do(
    ratings, here, monkeypatch, number, code, name
):
    """A scheduler can tell it from one with a model that failed; what was done is kept and compared."""
    from recsys_ae.experiments import benchmark as benchmarks

    def stop_at_the_second(*given, run=benchmarks.run_on, **options):
        if Path("out/biases/seed-0").exists():
            signal.raise_signal(number)
        return run(*given, **options)

    monkeypatch.setattr(benchmarks, "run_on", stop_at_the_second)
    Path("two.yaml").write_text(
        f"name: two\ndata: {{source: '{ratings}'}}\nreference: biases\nmodels:\n"
        "- {name: biases, model: {kind: biases}}\n- {name: mean, model: {kind: mean}}\n"
    )
    outcome = call("benchmark", "two.yaml", "--no-tracking", "--out", "out", "--quiet")
    assert outcome.code == code
    assert f"stopped by {name}" in outcome.err
    assert ("biases" in outcome.out) == (number == signal.SIGINT)  # nobody reads what others end
    said = "Stopped after 1 of 2 models; not run, or not with every seed: mean."
    assert Path("out/table.md").read_text().startswith(f"{said}\n")
    if number == signal.SIGINT:
        assert outcome.out.startswith(f"{said}\n")
    page = Path("out/page.html").read_text()
    assert said in page
    for text in (outcome.out, page):
        assert "failed" not in text.lower()
        assert "Without a result" not in text
    document = json.loads(Path("out/result.json").read_text())
    assert parent_tags(document)["not_run"] == "mean"
    assert "failed" not in parent_tags(document)


def test_what_never_ran_is_said_of_nothing_on_the_page(ratings, here, monkeypatch):
    """Neither of the epochs of models without a result, nor of differences to a reference without one."""
    from recsys_ae.experiments import benchmark as benchmarks

    def stop_at_the_second(*given, run=benchmarks.run_on, **options):
        if Path("out/biases/seed-0").exists():
            raise KeyboardInterrupt
        return run(*given, **options)

    monkeypatch.setattr(benchmarks, "run_on", stop_at_the_second)
    net = "{kind: u-autorec, hidden: [3], training: {epochs: 2}}"
    Path("two.yaml").write_text(
        f"name: two\ndata: {{source: '{ratings}'}}\nreference: net\nmodels:\n"
        f"- {{name: biases, model: {{kind: biases}}}}\n- {{name: net, model: {net}}}\n"
    )
    assert call("benchmark", "two.yaml", "--no-tracking", "--out", "out", "--quiet").code == 130
    page = Path("out/page.html").read_text()
    assert "gave up a share" not in page
    assert "are paired" not in page
    assert "Grey band" not in page


def test_lists_that_hold_the_whole_catalogue_tell_nothing_and_that_is_said(here):
    """No figure is bold, and there is none by popularity."""
    write_ratings(Path("few.csv"), n_users=150, n_items=10)
    models = "[{name: a, model: {kind: biases}}, {name: b, model: {kind: popularity}}]"
    Path("few.yaml").write_text(f"name: few\ndata: {{source: few.csv}}\nreference: a\nmodels: {models}\n")
    err = succeed("benchmark", "few.yaml", "--no-tracking", "--out", "out", "--quiet").err
    assert err.count("lists of 10 hold the whole catalogue of 10 items") == 1
    (row, *_) = (line for line in Path("out/table.md").read_text().splitlines() if line.startswith("| a |"))
    assert "**1.0000**" not in row
    page = Path("out/page.html").read_text()
    assert "Recall@10 by popularity" not in page
    train = ("train", "--data", "few.csv", "--no-tracking", "--model")
    assert "the whole catalogue" in succeed(*train, "popularity").err
    assert "the whole catalogue" not in succeed(*train, "mean").err


@pytest.mark.parametrize(
    ("split", "read"),
    [("{kind: users, test_share: 0.5}", "fold-in ratings"), ("{kind: random}", "training ratings")],
)
def test_the_page_says_what_was_read_of_test_users_and_has_no_tiny_groups(here, split, read):
    write_ratings(Path("r.csv"), n_users=400, n_items=40)
    models = "[{name: a, model: {kind: popularity}}, {name: b, model: {kind: item-knn}}]"
    text = f"name: r\ndata: {{source: r.csv}}\nsplit: {split}\nreference: a\nmodels: {models}\n"
    Path("r.yaml").write_text(text)
    succeed("benchmark", "r.yaml", "--no-tracking", "--out", "out", "--quiet")
    page = Path("out/page.html").read_text()
    assert f"Users in groups by how many {read} they have." in page
    assert f"{read}; below, how many users" in page
    assert re.search(rf"test users with (5 to 30 )?{read}\.", page)
    assert "by popularity of items" not in page  # 40 of them are no groups


def test_runs_of_different_relevance_each_show_their_own(ratings, store):
    words = ("train", "--data", ratings, "--model", "biased-mf", "--set", "iterations=2", "--set")
    succeed(*words, "evaluation.relevant=5", "--out", "a")
    alone = succeed("compare", "ratings", "--metric", "test/ndcg_at_10").out.splitlines()
    assert "relevant: rated 5 or more" in alone
    assert "relevant" not in alone[0]
    succeed(*words, "evaluation.relevant=3", "--out", "b")
    shown = succeed("compare", "ratings", "--metric", "test/ndcg_at_10").out.splitlines()
    assert "relevant" in shown[0]
    assert sorted(re.findall(r"rated \d or more", "\n".join(shown))) == ["rated 3 or more", "rated 5 or more"]


def test_validation_scores_stand_beside_the_tests_of_runs(ratings, store):
    for model, out in (("biased-mf", "a"), ("biases", "b")):
        succeed("train", "--data", ratings, "--model", model, "--out", out)
    score = json.loads(Path("a/result.json").read_text())["validation"]["score"]
    runs = succeed("compare", "ratings", "--json").document["runs"]
    assert {run["validated"] for run in runs} == {score, None}
    shown = succeed("compare", "ratings").out
    assert "validated" in shown.splitlines()[0]
    assert f"{score:.4f}" in shown
    assert "validated" not in succeed("compare", "ratings", "--metric", "test/ndcg_at_10").out.splitlines()[0]
