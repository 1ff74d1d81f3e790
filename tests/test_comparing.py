"""Models side by side from Python: what the command line finds in files, found of ratings in memory."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from commands import succeed, write_ratings

import recsys_ae as ra
from recsys_ae.errors import CapabilityError, ConfigError, DataError
from recsys_ae.evaluation.comparison import compare as compare_reports
from recsys_ae.metrics import MAE, NDCG, RMSE

MODELS = [
    "biases",
    {"kind": "biased-mf", "factors": 2, "grid": {"l2": [1, 4]}},
    {"kind": "popularity"},
]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_ratings(tmp_path_factory.mktemp("data") / "ratings.csv")


@pytest.fixture(scope="module")
def ratings(file):
    return ra.load(file)


@pytest.fixture(scope="module")
def found(ratings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark") / "results"
    return ra.benchmark(
        ratings, MODELS, seeds=[0, 1], trials=2, folder=folder, split={"kind": "random", "test_share": 0.2}
    )


@pytest.mark.parametrize("prune", [True, False])
def test_spaces_are_searched_as_those_of_a_file(prune, ratings, file, tmp_path):
    """The same trials for a model with a space beside one with a grid."""
    tried = {
        "space": {"item_damping": {"low": 0.1, "high": 100, "log": True}},
        "grid": {"item_damping": [1, 10]},
    }
    entries = [{"name": name, "model": {"kind": "biases"}, name: tried[name]} for name in tried]
    document = {"name": "b", "data": {"source": str(file)}, "models": entries, "reference": "grid"}
    (tmp_path / "b.yaml").write_text(json.dumps(document | {"tuning": {"trials": 4}, "prune": prune}))
    models = {name: {"kind": "biases", name: tried[name]} for name in tried}
    results = [
        ra.benchmark(tmp_path / "b.yaml", folder=tmp_path / "file").result,
        ra.benchmark(
            ratings, models, folder=tmp_path / "python", trials=4, reference="grid", prune=prune
        ).result,
    ]
    assert results[0].config.models == results[1].config.models
    assert [result.config.prune for result in results] == [prune, prune]
    trials = [
        [[(t.settings, t.score) for t in entry.runs[0].validation.trials] for entry in result.entries]
        for result in results
    ]
    assert trials[0] == trials[1]
    assert [len(each) for each in trials[0]] == [4, 2]


def test_a_model_has_a_grid_or_a_space(ratings):
    both = {"grid": {"item_damping": [1]}, "space": {"item_damping": {"values": [1]}}}
    with pytest.raises(ConfigError, match="a grid and a space"):
        ra.benchmark(ratings, [{"kind": "biases", **both}])


def test_a_benchmark_of_ratings_is_that_of_their_file(found, file, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        f"""
name: mine
data: {{source: {file}}}
split: {{kind: random, test_share: 0.2}}
seeds: [0, 1]
trials: 2
reference: biases
models:
  - {{name: biases, model: {{kind: biases}}}}
  - {{name: biased-mf, model: {{kind: biased-mf, factors: 2}}, grid: {{l2: [1, 4]}}}}
  - {{name: popularity, model: {{kind: popularity}}}}
"""
    )
    told = succeed(
        "benchmark", tmp_path / "mine.yaml", "--no-tracking", "--out", tmp_path / "a", "--json"
    ).document
    again = ra.benchmark(tmp_path / "mine.yaml", folder=tmp_path / "b")
    for name in ("biases", "biased-mf", "popularity"):
        (model,) = [row for row in told["models"] if row["name"] == name]
        for key, value in model["metrics"].items():
            column = key.removeprefix("test/")
            assert found.table.loc[name, column] == pytest.approx(value, rel=1e-6)
            assert again.table.loc[name, column] == pytest.approx(value, rel=1e-6)
    assert np.isnan(found.table.loc["popularity", "rmse"])
    assert found.differences.equals(again.differences)
    assert (found.folder / "page.html").is_file()
    assert json.loads((found.folder / "result.json").read_text())["reference"] == "biases"


def test_what_a_benchmark_says_is_short_and_its_models_are_there(found, ratings):
    assert repr(found).startswith("Benchmark(3 models, 2 seeds: ")
    assert "error" not in found.table
    assert any("relevant" in note for note in found.notes)
    assert found.conclusion == (found.folder / "table.md").read_text().split("\n\n| model")[0].split("\n\n")
    model = found.model("biased-mf", seed=1)
    assert len(model.recommend("u003", n=4)) == 4
    split = ra.split(ratings, test_share=0.2, seed=1)
    first = ra.evaluate(found.model("biased-mf"), ra.split(ratings, test_share=0.2, seed=0)).metrics["rmse"]
    second = ra.evaluate(model, split).metrics["rmse"]
    assert found.table.loc["biased-mf", "rmse"] == pytest.approx((first + second) / 2)
    for name, seed in [("ease", None), ("biases", 7)]:
        with pytest.raises(
            ConfigError, match=r"there is no model .* here; there are biases, biased-mf, popularity"
        ):
            found.model(name, seed)


def test_a_model_that_fails_is_told_in_the_table(ratings, tmp_path):
    models = {"mean + biases": "biases", "bpr-2": {"kind": "bpr", "factors": 2}}
    with pytest.raises(ConfigError, match=r"'models\.0\.name' must be letters, digits"):
        ra.benchmark(ratings, models)
    models = {"base": "biases", "bpr-2": {"kind": "bpr", "factors": 2}}
    broken = ra.benchmark(ratings, models, split="users", folder=tmp_path / "broken")
    assert "fold" in broken.table.loc["bpr-2", "error"]
    assert pd.isna(broken.table.loc["base", "error"])
    assert repr(broken).startswith("Benchmark(2 models, 1 seeds, 1 failed: ")
    assert broken.differences.empty
    with pytest.raises(ConfigError, match="there is no model 'bpr-2' here; there are base"):
        broken.model("bpr-2")


def test_differences_of_reports_are_those_of_the_evaluation(ratings):
    reports: dict = {"biases": [], "mf": []}
    for seed in (0, 1):
        split = ra.split(ratings, seed=seed)
        for name, kind in [("biases", "biases"), ("mf", {"kind": "biased-mf", "factors": 2})]:
            reports[name].append(ra.evaluate(ra.fit(kind, split), split))
    table = ra.compare(reports)
    expected = compare_reports(reports, reference="biases", metrics=[RMSE, NDCG.at(10)])
    assert table.metric.tolist() == [one.metric for one in expected] == ["rmse", "ndcg_at_10"]
    for column in ("difference", "low", "high", "p_value", "p_adjusted", "n_users", "n_seeds"):
        np.testing.assert_array_equal(table[column], [getattr(one, column) for one in expected])
    one = {name: own[0] for name, own in reports.items()}
    single = ra.compare(one, reference="mf", metrics=["mae"])
    (alone,) = compare_reports({k: [v] for k, v in one.items()}, reference="mf", metrics=[MAE])
    assert single.model.tolist() == ["biases"]
    assert single.difference.tolist() == [alone.difference]
    assert isinstance(single, pd.DataFrame)


def test_mistakes_are_sentences(ratings, tmp_path):
    split = ra.split(ratings)
    report = ra.evaluate(ra.fit("biases", split), split)
    other = ra.evaluate(ra.fit("biases", ra.split(ratings, seed=1)), ra.split(ratings, seed=1))
    events = ra.load(pd.DataFrame({"user": [1, 1, 2, 2, 3], "item": [1, 2, 1, 3, 2]}))
    for ask, kind, sentence in [
        (lambda: ra.compare({"a": report}), ConfigError, "give the reports of two models or more"),
        (lambda: ra.compare({"a": report, "b": 3}), DataError, "'b' must have a report of ra.evaluate"),
        (lambda: ra.compare({"a": report, "b": [3]}), DataError, "'b' must have a report of ra.evaluate"),
        (lambda: ra.compare({"a": report, "b": other}), DataError, "evaluate both on the same split"),
        (
            lambda: ra.compare({"a": report, "b": report}, reference="c"),
            ConfigError,
            "reference 'c' is none of",
        ),
        (
            lambda: ra.compare({"a": report, "b": report}, metrics=["rsme"]),
            ConfigError,
            "no report has the metric",
        ),
        (lambda: ra.benchmark(ratings), ConfigError, "benchmark: name the models"),
        (lambda: ra.benchmark(ratings, "biases"), ConfigError, "benchmark: name the models"),
        (
            lambda: ra.benchmark(ratings, ["biasses"]),
            ConfigError,
            r"'models\.0\.model\.kind' is 'biasses', which is",
        ),
        (lambda: ra.benchmark(ratings, ["biases", "biases"]), ConfigError, "two models have the same name"),
        (
            lambda: ra.benchmark(ratings, ["biases"], reference="x"),
            ConfigError,
            "reference 'x' is none of the",
        ),
        (
            lambda: ra.benchmark([1], ["biases"]),
            ConfigError,
            "give ratings of ra.load with models, or a benchmark",
        ),
        (lambda: ra.benchmark(tmp_path / "no.yaml"), ConfigError, "no such config file"),
        (
            lambda: ra.benchmark(events, ["biases"], folder=tmp_path / "x"),
            CapabilityError,
            "these are events",
        ),
    ]:
        with pytest.raises(kind, match=sentence):
            ask()
    assert not (tmp_path / "x").exists()
