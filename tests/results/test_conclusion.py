"""The sentences of a benchmark: validation chooses, and no difference is claimed that is not told."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys_ae.evaluation.comparison import compare, holm
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import main_metrics
from recsys_ae.results.benchmark import BenchmarkResult, Entry
from recsys_ae.results.benchmark_page import write_benchmark
from recsys_ae.results.conclusion import conclusion_lines, conclusions, document_of
from recsys_ae.results.result import Cost, FitRecord, Origin, RunResult
from recsys_ae.results.trials import Trial, Validation
from recsys_ae.settings.configs import BenchmarkConfig

RATING = {"mf": "biased-mf", "auto": "i-autorec", "plain": "biases"}
LISTS = {"knn": "item-knn", "als": "als", "pop": "popularity"}


def run(seed: int, *, rmse=None, ndcg=None, n: int = 200, score=None, by="rmse", noise: float = 0.05):
    """A run whose users have errors around `rmse` (squared) or lists around `ndcg`, each with its own luck,
    which all models share, and a little of the model's own."""
    rng = np.random.default_rng(seed)
    shared, own = (
        rng.normal(size=n),
        np.random.default_rng([seed, *(int(1e4 * (v or 0)) for v in (rmse, ndcg))]),
    )
    per_user, metrics = {"n_history": np.arange(n) + 1.0}, {}
    if rmse is not None:
        errors = np.clip(rmse**2 * (1 + 0.3 * shared) + noise * own.normal(size=n), 1e-3, None)
        per_user |= {"squared_error_sum": 4 * errors, "n_predicted": np.full(n, 4.0)}
        metrics["rmse"] = float(np.sqrt(errors.mean()))
    if ndcg is not None:
        per_user["ndcg_at_10"] = np.clip(ndcg * (1 + 0.3 * shared) + noise * own.normal(size=n), 0, 1)
        metrics["ndcg_at_10"] = float(per_user["ndcg_at_10"].mean())
    report = Report(metrics, np.arange(n), per_user, {}, "", "random", seed, "data", f"split{seed}")
    trials = (Trial({}, score, 1.0),)
    return RunResult(
        "run", report, FitRecord(0, None, False, "cpu", 1), Origin(seed, "data", f"split{seed}", {}, None),
        Cost(1.0, 1.0, 1.0), Path("nowhere"), "model", None, Validation(by, trials),
    )  # fmt: skip


def result(reference: str, seeds=(0,), errors=None, **models) -> BenchmarkResult:
    """`models`: name -> what `run` takes."""
    kinds = RATING | LISTS
    config = BenchmarkConfig.model_validate({
        "name": "b", "data": {"source": "x.csv"}, "seeds": list(seeds), "reference": reference,
        "models": [{"name": name, "model": {"kind": kinds[name]}} for name in models],
    })  # fmt: skip
    errors = errors or {}
    entries = tuple(
        Entry(entry, [run(seed, **models[entry.name]) for seed in seeds] if entry.name not in errors else [],
              errors.get(entry.name))
        for entry in config.models
    )  # fmt: skip
    reports = {e.config.name: [one.report for one in e.runs] for e in entries if e.error is None}
    differences = (
        compare(reports, reference=reference, metrics=main_metrics(10)) if reference in reports else []
    )
    return BenchmarkResult(config, entries, tuple(differences), None, Path("nowhere"))


def only(found: BenchmarkResult) -> str:
    (one,) = conclusions(found)
    return one.sentence


def test_the_first_on_validation_is_named_with_its_test_figures_and_gaps():
    found = result("mf", mf={"rmse": 0.9, "score": 0.91}, auto={"rmse": 0.8, "score": 0.81},
                   plain={"rmse": 1.0, "score": 1.01})  # fmt: skip
    (one,) = conclusions(found)
    assert one.model == "auto"
    figures = {e.config.name: e.means()["rmse"] for e in found.entries}
    differences = {other.name: other for other in one.against}
    half = (differences["mf"].high - differences["mf"].low) / 2
    assert one.sentence == (
        f"auto, first on validation ratings, predicts ratings best: RMSE {figures['auto']:.4f} on the test "
        f"part, {figures['mf'] - figures['auto']:.4f} ± {half:.4f} below mf, the reference and the next best "
        "(p < 0.001)."
    )


def test_the_test_part_chooses_nothing():
    found = result("mf", mf={"rmse": 0.7, "score": 0.9}, auto={"rmse": 0.8, "score": 0.8})
    assert only(found).startswith(
        "auto, first on validation ratings, is the choice for predicted ratings: RMSE"
    )
    assert "best" not in only(found)
    assert only(found).endswith(" does better there.")
    assert "; mf (the reference, 0." in only(found)


def test_what_is_not_told_apart_is_not_claimed():
    noisy = {"noise": 0.6}
    models = {"mf": {"rmse": 0.8, "score": 0.9}, "auto": {"rmse": 0.8001, "score": 0.8}}
    models["plain"] = {"rmse": 1.4, "score": 1.01}
    found = result("mf", **{name: {**of, **noisy} for name, of in models.items()})
    sentence = only(found)
    assert "best:" not in sentence
    assert "; not told apart from mf (the reference, 0." in sentence
    assert "below plain, the next best" not in sentence  # the only one that is worse has no rank to name
    assert "below plain (p < 0.001)" in sentence


def test_gaps_are_told_to_the_reference_and_to_the_best_of_the_worse_where_others_are_as_good():
    models = {
        "mf": {"ndcg": 0.05, "score": 0.05}, "pop": {"ndcg": 0.1, "score": 0.1},
        "als": {"ndcg": 0.3, "score": 0.3},
        "knn": {"ndcg": 0.5001, "score": 0.5}, "auto": {"ndcg": 0.5, "score": 0.51},
    }  # fmt: skip
    found = result("mf", **{name: {**of, "by": "ndcg_at_10", "noise": 0.1} for name, of in models.items()})
    sentence = only(found)
    assert re.search(
        r"above mf, the reference \(p < 0\.001\), and 0\.\d+ ± 0\.\d+ above als \(p < 0\.001\); "
        r"not told apart from knn \(0\.",
        sentence,
    ), sentence


def test_p_values_are_those_of_the_table_and_of_one_family_for_the_rest():
    noisy = {"noise": 0.4}
    models = {
        "mf": {"rmse": 0.9, "ndcg": 0.2, "score": 0.9},
        "auto": {"rmse": 0.88, "ndcg": 0.21, "score": 0.8},
        "plain": {"rmse": 0.89, "score": 0.9},
        "knn": {"ndcg": 0.24, "score": 0.3, "by": "ndcg_at_10"},
        "als": {"ndcg": 0.23, "score": 0.2, "by": "ndcg_at_10"},
    }
    found = result("mf", **{name: {**of, **noisy} for name, of in models.items()})
    ratings, lists = conclusions(found)
    assert (ratings.model, lists.model) == ("auto", "knn")
    table = {(d.name, d.metric): d for d in found.differences}
    rest = []
    for one in (ratings, lists):
        for other in one.against:
            if other.name == "mf":
                of_table = table[one.model, one.metric.key]
                assert other.difference == pytest.approx(-of_table.difference)
                assert other.p_adjusted == of_table.p_adjusted
            else:
                rest.append(other)
    assert [other.p_adjusted for other in rest] == pytest.approx(
        holm(np.array([other.p_value for other in rest]))
    )
    assert len(rest) == 1 + 2  # of ratings plain; of lists auto and als, and no mf


def test_where_the_reference_is_first_its_table_is_the_answer():
    found = result("mf", mf={"rmse": 0.7, "score": 0.7}, auto={"rmse": 0.8, "score": 0.8})
    (one,) = conclusions(found)
    assert one.against == found.differences
    assert one.sentence.startswith("mf, the reference and first on validation ratings, predicts ratings best")
    assert "below auto, the next best" not in one.sentence
    assert "below auto (p < 0.001)." in one.sentence


def test_several_seeds_are_said():
    models = {"mf": {"rmse": 0.9, "score": 0.9}, "auto": {"rmse": 0.8, "score": 0.8}}
    assert "over users of one split and fit;" in conclusion_lines(result("mf", **models))[1]
    assert "over users and 3 seeds;" in conclusion_lines(result("mf", seeds=(0, 1, 2), **models))[1]


def test_few_users_are_compared_without_a_claim():
    found = result("mf", mf={"rmse": 0.9, "score": 0.9, "n": 12}, auto={"rmse": 0.8, "score": 0.8, "n": 12})
    assert only(found).endswith("too few users (12) for a test.")
    assert "best" not in only(found)
    assert not any("±" in line for line in conclusion_lines(found))


def test_a_single_model_is_compared_with_nothing():
    found = result("mf", mf={"rmse": 0.9, "score": 0.9})
    figure = found.entries[0].means()["rmse"]
    assert (
        only(found) == f"mf: RMSE {figure:.4f} on the test part; there is no other model to compare it with."
    )


def test_failed_models_are_named_and_in_no_comparison():
    models = {"mf": {"rmse": 0.9, "score": 0.9}, "auto": {"rmse": 0.8, "score": 0.8}, "plain": {}}
    found = result("mf", errors={"plain": "it broke"}, **models)
    assert [other.name for other in conclusions(found)[0].against] == ["mf"]
    assert conclusion_lines(found)[-1] == "Without a result: plain."
    without = result("mf", errors={"mf": "it broke"}, **models | {"plain": {"rmse": 1.0, "score": 1.0}})
    assert "below plain (p < 0.001)" in only(without)
    assert "reference" not in only(without)
    nothing = result("mf", errors=dict.fromkeys(models, "it broke"), **models)
    assert conclusion_lines(nothing) == [
        "No model has a result, and there is nothing to conclude.",
        "Without a result: mf, auto and plain.",
    ]


def test_a_split_that_holds_nothing_out_is_no_failure_of_models():
    """Nor is it said of models that have failed."""
    found = result("mf", mf={}, auto={})
    assert conclusion_lines(found) == [
        "The split holds nothing out that a model could be tested on, and there is nothing to conclude."
    ]


def test_equal_validation_scores_are_said():
    found = result("plain", mf={"rmse": 0.8, "score": 0.8}, auto={"rmse": 0.8, "score": 0.8},
                   plain={"rmse": 1.0, "score": 1.0})  # fmt: skip
    assert only(found).startswith("mf, as good as auto on validation ratings, is the choice for")


def test_models_without_comparable_validation_are_not_ranked():
    raters = result(
        "mf", mf={"rmse": 0.9, "ndcg": 0.1, "score": 0.9}, auto={"rmse": 0.8, "ndcg": 0.2, "score": 0.8}
    )
    of_ratings, of_lists = conclusions(raters)
    assert (of_ratings.model, of_lists.model) == ("auto", None)
    assert of_lists.sentence.startswith(
        "No model was chosen by a metric of lists, and none is named as the best: NDCG@10 is 0."
    )
    assert of_lists.sentence.endswith(" for auto, the highest on the test part.")
    same = {"rmse": 0.9, "ndcg": 0.1, "score": 0.9}
    assert conclusions(result("mf", mf=same, auto=same))[1].sentence.endswith(
        " for mf and auto, the highest on the test part."
    )
    mixed = result("knn", knn={"ndcg": 0.3, "score": 0.3, "by": "ndcg_at_10"},
                   als={"ndcg": 0.2, "score": 0.9, "by": "recall_at_5"})  # fmt: skip
    assert only(mixed).startswith("Models were chosen by ndcg_at_10 and recall_at_5, and none is named")


def test_another_metric_of_validation_is_named():
    by = {"by": "recall_at_10"}
    found = result("knn", knn={"ndcg": 0.3, "score": 0.3, **by}, als={"ndcg": 0.1, "score": 0.2, **by})
    assert only(found).startswith(
        "knn, the reference and first by Recall@10 on validation ratings, makes the"
    )
    assert "above als (p < 0.001)" in only(found)


def test_differences_are_tested_once_however_often_the_conclusion_is_asked_for(monkeypatch, tmp_path):
    found = replace(
        result("mf", mf={"rmse": 0.8, "score": 0.8}, auto={"rmse": 0.9, "score": 0.9}), folder=tmp_path
    )
    times = []

    def count(*given, **named):
        times.append(1)
        return compare(*given, **named)

    monkeypatch.setattr("recsys_ae.results.conclusion.compare", count)
    write_benchmark(found)
    assert conclusion_lines(found)
    assert document_of(found)["conclusions"]
    assert len(times) == 1
    assert conclusions(replace(found, differences=())) != []  # another result, of its own
    assert len(times) == 2


def test_the_document_has_them_as_json():
    found = result("mf", mf={"rmse": 0.9, "score": 0.9, "n": 12}, auto={"rmse": 0.8, "score": 0.8, "n": 12})
    (one,) = document_of(found)["conclusions"]
    assert (one["metric"], one["model"]) == ("rmse", "auto")
    assert one["others"]["mf"]["p_adjusted"] is None
    assert one["others"]["mf"]["note"] == "too few users (12) for a test"
    assert one["sentence"] == only(found)
    assert found.to_json().items() <= document_of(replace(found)).items()


@pytest.mark.parametrize(("first", "other"), [("auto", "mf"), ("mf", "auto")])
def test_only_the_corrected_p_value_tells_models_apart(first, other):
    """Of a pair with the reference, that of the table, whichever of the two is named."""
    found = result("mf", **{first: {"rmse": 0.8, "score": 0.8}, other: {"rmse": 0.9, "score": 0.9}})
    assert "best" in only(found)
    doubtful = tuple(replace(one, p_adjusted=0.06) for one in found.differences)
    sentence = only(replace(found, differences=doubtful))
    assert "best" not in sentence
    assert "not told apart from" in sentence
    assert "p = 0.060" in sentence


ODD = {
    "one model": {"mf": {"rmse": 0.9, "score": 0.9}},
    "few users": {"mf": {"rmse": 0.9, "score": 0.9, "n": 3}, "auto": {"rmse": 0.8, "score": 0.8, "n": 3}},
    "one user": {"mf": {"rmse": 0.9, "score": 0.9, "n": 1}, "auto": {"rmse": 0.8, "score": 0.8, "n": 1}},
    "lists alone": {"mf": {"ndcg": 0.1, "score": 0.1, "by": "ndcg_at_10"}, "als": {"ndcg": 0.0}},
    "equal": {name: {"rmse": 0.9, "score": 0.9, "noise": 0.0} for name in ("mf", "auto")},
    "nothing measured": {"mf": {"score": 0.9}, "auto": {"score": 0.9}},
    "without scores": {"mf": {"rmse": 0.9}, "auto": {"rmse": 0.8, "score": float("nan")}},
    "far off": {"mf": {"rmse": 0.9, "score": 0.9}, "auto": {"rmse": 0.91, "score": 0.9},
                "plain": {"rmse": 90.0, "score": 90.0}, "knn": {"rmse": 0.92, "score": 0.9}},
}  # fmt: skip


@pytest.mark.parametrize("models", ODD.values(), ids=ODD)
@pytest.mark.parametrize("errors", [{}, {"mf": "it broke"}, {"auto": "it broke"}])
def test_odd_benchmarks_have_a_page(tmp_path, models, errors):
    errors = {name: text for name, text in errors.items() if name in models}
    found = replace(result("mf", errors=errors, **models), folder=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = {path.name for path in write_benchmark(found)}
    assert {"page.html", "table.md", "result.json"} <= written
    page = (tmp_path / "page.html").read_text()
    assert (
        "nan" not in re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL).lower().split('"conclusion"')[1]
    )
    assert all(text in page for text in errors.values())
    assert ("Far off and not shown: plain." in page) == ("plain" in models and not errors)
