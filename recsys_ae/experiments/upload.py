"""A run folder told to a tracker afterwards: what to do when the tracking server was down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recsys_ae.errors import StorageError
from recsys_ae.experiments.config import BenchmarkConfig, ExperimentConfig
from recsys_ae.experiments.folder import CONFIG, MODEL, read_epochs, rewrite_result
from recsys_ae.experiments.load import load_experiment
from recsys_ae.experiments.result import RunResult, no_run, read_json
from recsys_ae.experiments.summary import parent_metrics
from recsys_ae.experiments.tracking import dataset_record, track_benchmark, track_outcome
from recsys_ae.tracking.tracker import Tracker


def is_benchmark(folder: Path) -> bool:
    """Whether a folder holds a benchmark, with the run folders of its models in it."""
    return (folder / "page.html").exists() and any(folder.glob("*/seed-*/result.json"))


def upload_benchmark(folder: Path, config: BenchmarkConfig, tracker: Tracker) -> int:
    """Tell a tracker of a whole benchmark: a parent with one nested run per model and seed, whose number is
    returned."""
    metrics = _parent_metrics(folder)
    runs = sorted(path.parent for path in folder.glob("*/seed-*/result.json"))
    with tracker:
        track_benchmark(tracker, config)
        tracker.metrics(metrics)
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            tracker.artifact(path)
        for run in runs:
            upload(run, tracker.child(f"{run.parent.name}-{run.name}"))
    return len(runs)


def _parent_metrics(folder: Path) -> dict[str, float]:
    try:
        return parent_metrics(read_json(folder))
    except (KeyError, TypeError, AttributeError):
        raise no_run(folder) from None


def read_run(folder: Path) -> tuple[ExperimentConfig, RunResult]:
    """What a run folder holds. Raises StorageError where it is none, or not whole."""
    result = RunResult.from_folder(folder)
    for name in (CONFIG, MODEL):
        if not (folder / name).exists():
            raise StorageError(f"{folder}: the run folder lacks {name}; train again")
    return load_experiment(folder / CONFIG), result


def upload(folder: Path, tracker: Tracker) -> RunResult:
    """Tell a tracker all that it would have heard live; the folder's result.json then names the new run."""
    config, result = read_run(folder)
    epochs = list(read_epochs(folder))
    with tracker:
        tracker.params(config.model_dump(mode="json"))
        tracker.dataset(
            dataset_record(config, result.counts, result.data_fingerprint, result.split_fingerprint)
        )
        tracker.tags({f"version.{name}": version for name, version in result.versions.items()})
        for number, values in epochs:
            tracker.metrics(values, step=number)
        uri = track_outcome(tracker, folder, result)
        result = replace(result, run_id=tracker.run_id, model=uri or result.model)
        tracker.artifact(rewrite_result(folder, result))
    return result
