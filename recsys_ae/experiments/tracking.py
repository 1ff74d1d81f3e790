"""What a tracker is told of a run, live or afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from recsys_ae.evaluation.evaluator import whole
from recsys_ae.experiments.config import ExperimentConfig
from recsys_ae.experiments.folder import MODEL, RESULT, flat
from recsys_ae.experiments.resources import git_commit, versions
from recsys_ae.experiments.result import RunResult
from recsys_ae.splitting.split import Split
from recsys_ae.tracking.tracker import Tracker


def track_origin(tracker: Tracker, config: ExperimentConfig, split: Split) -> None:
    """All that decides the result, known before fitting."""
    tracker.params(flat(config.model_dump(mode="json")))
    tracker.params(
        {
            "data_fingerprint": whole(split).fingerprint(),
            "split_fingerprint": split.fingerprint(),
            **code_params(versions(), git_commit()),
        }
    )


def track_outcome(tracker: Tracker, folder: Path, result: RunResult) -> str | None:
    """What a finished run found, from its folder; the model's URI, None if untracked. result.json is left
    out: it is rewritten with that URI."""
    tracker.metrics(outcome_metrics(result))
    for path in sorted(folder.iterdir()):
        if path.name not in (MODEL, RESULT):
            tracker.artifact(path)
    return tracker.model(folder / MODEL)


def outcome_metrics(result: RunResult) -> dict[str, float]:
    """Test metrics, counts and costs under their tracked names; undefined ones are left out."""
    costs = {
        name: float(getattr(result, name)) for name in ("fit_seconds", "evaluate_seconds", "peak_memory_mb")
    }
    counts = {f"count/{name}": float(value) for name, value in result.counts.items()}
    known = {name: value for name, value in result.metrics.items() if math.isfinite(value)}
    return {**known, **counts, **costs}


def code_params(packages: Mapping[str, str], commit: str | None) -> dict[str, str]:
    """Which code ran, as params."""
    return {"git_commit": commit or "unknown"} | {f"versions.{name}": v for name, v in packages.items()}
