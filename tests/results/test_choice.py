"""The model of a benchmark whose lists are written: chosen by validation, whatever the tests say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recsys_ae.errors import StorageError
from recsys_ae.results.choice import best_ranker, is_benchmark
from recsys_ae.results.result import write_document


def entry(name: str, *scores: float | None, metric: str = "ndcg_at_10", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "error": None,
        "validation": [{"metric": metric, "score": s} for s in scores],
        **more,
    }


def benchmark(folder: Path, *models: dict[str, Any], seeds: tuple[int, ...] = (0,)) -> Path:
    folder.mkdir()
    for model in models:
        for seed in seeds:
            (folder / model["name"] / f"seed-{seed}" / "model").mkdir(parents=True)
    write_document(folder / "result.json", {"models": list(models)}, files={})
    return folder


def test_the_best_mean_validation_score_wins_whatever_the_test_says(tmp_path):
    models = (
        entry("rater", 0.1, 0.1, metric="rmse"),
        entry("lucky", 0.2, 0.2, metrics={"test/ndcg_at_10": 0.9}),
        entry("steady", 0.25, 0.25, metrics={"test/ndcg_at_10": 0.1}),
        entry("mixed", 0.45, 0.0),
        entry("failed", 0.9, 0.9, error="it broke"),
        {"name": "never", "error": "it never began"},
        entry("unscored", None, 0.9),
    )
    found = best_ranker(benchmark(tmp_path / "b", *models, seeds=(10, 9)))
    assert (found.name, found.metric, found.score, found.n) == ("steady", "ndcg_at_10", 0.25, 3)
    assert found.folder == tmp_path / "b" / "steady" / "seed-9" / "model"


def test_what_leaves_nothing_to_choose_is_a_sentence(tmp_path):
    with pytest.raises(StorageError, match=r"raters: none of its models were chosen by a metric of lists"):
        best_ranker(benchmark(tmp_path / "raters", entry("a", 0.9, metric="rmse")))
    mixed = benchmark(tmp_path / "mixed", entry("a", 0.1), entry("b", 0.9, metric="recall_at_5"))
    with pytest.raises(StorageError, match=r"by ndcg_at_10 and by recall_at_5 some .*; name the folder"):
        best_ranker(mixed)
    bare = benchmark(tmp_path / "bare", entry("a", 0.1), seeds=())
    with pytest.raises(StorageError, match=r"lacks the folder of its best model, a"):
        best_ranker(bare)
    (tmp_path / "else").mkdir()
    write_document(tmp_path / "else" / "result.json", {"report": 1}, files={})
    with pytest.raises(StorageError, match=r"else: no run folder"):
        best_ranker(tmp_path / "else")


def test_a_benchmark_has_results_and_no_model_of_its_own(tmp_path):
    assert is_benchmark(benchmark(tmp_path / "b", entry("a", 0.1)))
    (tmp_path / "b" / "model").mkdir()
    assert not is_benchmark(tmp_path / "b")
    (tmp_path / "run").mkdir()
    for name in ("result.json", "per_user.parquet"):
        (tmp_path / "run" / name).touch()
    assert not is_benchmark(tmp_path / "run")  # of one model, which is missing
    assert not is_benchmark(tmp_path / "nowhere")
