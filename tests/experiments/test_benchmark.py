"""A benchmark as its tracker hears of it."""

from __future__ import annotations

from pathlib import Path

from commands import write_ratings
from recording import RecordingTracker

from recsys_ae.experiments.benchmark import run_benchmark
from recsys_ae.settings.load import load_benchmark
from recsys_ae.training.runner import Context

BENCHMARK = """\
name: pair
data: {source: ratings.csv}
reference: biases
models:
- {name: biases, model: {kind: biases}}
- {name: popularity, model: {kind: popularity}}
"""


def test_runs_of_the_models_are_nested(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_ratings(Path("ratings.csv"))
    Path("pair.yaml").write_text(BENCHMARK)
    tracker = RecordingTracker()
    result = run_benchmark(load_benchmark("pair.yaml"), Path("out"), Context(), tracker)
    assert Path("out/table.md").read_text().startswith("biases")
    assert [child.name for child in tracker.children] == ["biases-seed-0", "popularity-seed-0"]
    assert {"table.csv", "table.md", "page.html", "result.json"} <= set(tracker.artifacts)
    logged = {name: value for name, value, _ in tracker.logged_metrics}
    biases, popularity = (entry.runs[0].report.metrics for entry in result.entries)
    assert logged.keys() == {
        f"best/{name}" for key in ("rmse", "ndcg_at_10") for name in (key, f"validation/{key}")
    }
    found = [entry.runs[0].validation.scores()["ndcg_at_10"] for entry in result.entries]
    best = (biases, popularity)[int(found[1] > found[0])]
    assert (logged["best/rmse"], logged["best/ndcg_at_10"]) == (biases["rmse"], best["ndcg_at_10"])
    assert logged["best/validation/ndcg_at_10"] == max(found)
    described = tracker.logged_tags["mlflow.note.content"]
    assert described == Path("out/table.md").read_text()
    for child, entry in zip(tracker.children, result.entries, strict=True):
        scores = {name: value for name, value, _ in child.logged_metrics if name.startswith("validated/")}
        assert scores == {f"validated/{k}": v for k, v in entry.runs[0].validation.scores().items()}
        assert child.logged_tags["model"] == child.name[:-7]
    assert tracker.logged_tags["best/rmse"] == "biases"
    assert tracker.logged_tags["best/ndcg_at_10"] == ("biases", "popularity")[found.index(max(found))]
