"""What a tracker is told of a run, live or afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from recsys_ae.evaluation.evaluator import whole
from recsys_ae.experiments.config import BenchmarkConfig, ExperimentConfig
from recsys_ae.experiments.folder import MODEL, RESULT
from recsys_ae.experiments.result import RunResult
from recsys_ae.splitting.split import Split
from recsys_ae.tracking.tracker import DatasetRecord, Tracker

_SIZES = ("users", "items", "train_ratings", "holdout_ratings")


def track_origin(tracker: Tracker, config: ExperimentConfig, split: Split) -> None:
    """All that decides the result, known before fitting."""
    tracker.params(config.model_dump(mode="json"))
    tracker.dataset(
        dataset_record(config, sizes(split), whole(split).fingerprint(), split.fingerprint()),
    )


def sizes(split: Split) -> dict[str, int]:
    """How much there is to train and to test on."""
    return {
        "users": split.train.n_users,
        "items": split.train.n_items,
        "train_ratings": split.train.n_observed,
        "holdout_ratings": split.holdout.n_observed,
    }


def dataset_record(
    config: ExperimentConfig, counts: Mapping[str, int], data_fingerprint: str, split_fingerprint: str
) -> DatasetRecord:
    """The ratings of a run; of `counts` those that `sizes` tells."""
    return DatasetRecord(
        name=Path(config.data.source).stem,
        fingerprint=data_fingerprint,
        counts={name: counts[name] for name in _SIZES if name in counts},
        source=config.data.source,
        split=config.split.kind,
        split_fingerprint=split_fingerprint,
    )


def track_benchmark(tracker: Tracker, config: BenchmarkConfig) -> None:
    """What a benchmark compares, each model as one param."""
    tracker.params(config.model_dump(mode="json", exclude={"models"}))
    tracker.params({f"models.{entry.name}": entry.model_dump_json() for entry in config.models})


def track_outcome(tracker: Tracker, folder: Path, result: RunResult) -> str | None:
    """What a finished run found, from its folder; the model's URI, None if untracked. result.json is left
    out: it is rewritten with that URI."""
    tracker.tags(_origin_tags(result))
    tracker.metrics(outcome_metrics(result))
    for path in sorted(folder.iterdir()):
        if path.name not in (MODEL, RESULT):
            tracker.artifact(path)
    return tracker.model(folder / MODEL)


def outcome_metrics(result: RunResult) -> dict[str, float]:
    """Test metrics, counts and costs under their tracked names; undefined ones are left out."""
    costs = {
        name: float(getattr(result, name))
        for name in ("fit_seconds", "evaluate_seconds", "peak_memory_mb", "epochs_run")
    }
    counts = {f"count/{name}": float(value) for name, value in result.counts.items()}
    known = {name: value for name, value in result.metrics.items() if math.isfinite(value)}
    return {**known, **counts, **costs}


def _origin_tags(result: RunResult) -> dict[str, str]:
    """Tags, not params: they say where a result comes from, not what was asked for."""
    commit = {} if result.git_commit is None else {"git_commit": result.git_commit}
    return commit | {
        "seed": str(result.seed),
        "device": result.device,
        "threads": str(result.threads),
        "data_fingerprint": result.data_fingerprint,
        "split_fingerprint": result.split_fingerprint,
        "folder": result.folder,
        "interrupted": str(result.interrupted).lower(),
        "best_epoch": str(result.best_epoch),
    }
