"""What a tracker is told of a run, live or afterwards."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from recsys_ae.errors import StorageError
from recsys_ae.files import claimed
from recsys_ae.models.storage import StoredModel, load_model
from recsys_ae.results.choice import is_benchmark
from recsys_ae.results.datasets import Known, datasets_of
from recsys_ae.results.description import describe_run
from recsys_ae.results.folder import MODEL, TABLE, read_epochs, read_run, rewrite_result
from recsys_ae.results.result import (
    RESULT,
    VALIDATED,
    RunResult,
    no_run,
    read_document,
    rewrite_document,
    tracked,
)
from recsys_ae.results.summary import parent_metrics, parent_tags
from recsys_ae.results.trials import Trial
from recsys_ae.settings.configs import BenchmarkConfig, ExperimentConfig, SearchConfig
from recsys_ae.splitting.split import Split
from recsys_ae.tracking.tracker import NOTE, ModelRecord, Tracker

RESULT_TAG = "recsys_ae.result"  # by which a store knows what it has of a result, wherever it came from
ENTRY_TAG = "model"  # what a benchmark calls the model of a nested run: to group its seeds by
TRIAL_TAG = "recsys_ae.trial"  # the number of a trial, which is no run of its own


def track_origin(tracker: Tracker, config: ExperimentConfig, split: Split) -> None:
    """Tell all that decides the result, which is known before fitting."""
    tracker.params(config.model_dump(mode="json"))
    train, fingerprints = split.train, (split.train.fingerprint(), split.fingerprint())
    known = Known(train.users, train.items, train.values, train.timestamps is not None, train.feedback)
    for record in datasets_of(config, known, sizes(split), *fingerprints):
        tracker.dataset(record)


def sizes(split: Split) -> dict[str, int]:
    """How much there is to train and to test on."""
    return {
        "users": split.train.n_users,
        "items": split.train.n_items,
        "train_ratings": split.train.n_observed,
        "holdout_ratings": split.holdout.n_observed,
    }


def track_benchmark(tracker: Tracker, config: BenchmarkConfig) -> None:
    """Tell what a benchmark compares, each model as one param."""
    tracker.params(config.model_dump(mode="json", exclude={"models"}))
    tracker.params({f"models.{entry.name}": entry.model_dump_json() for entry in config.models})


def track_search(tracker: Tracker, config: SearchConfig) -> None:
    """Tell what is searched; the settings that are found follow as those of the run."""
    searched = {"trials": config.trials, "prune": config.prune, "max_minutes": config.max_minutes}
    tracker.params({"search": searched | {"space": config.model_dump(mode="json")["space"]}})


def track_settings(tracker: Tracker, settings: Mapping[str, Any]) -> None:
    """Tell the settings of a trial, under the names that they have in every other run."""
    tracker.params({f"model.{name}": value for name, value in settings.items()})


def track_trial(tracker: Tracker, number: int, trial: Trial, metric: str) -> None:
    """Tell how a trial ended; `number`: from 1."""
    found = {"seconds": trial.seconds, "epochs_run": float(trial.epochs_run)}
    if trial.score is not None and math.isfinite(trial.score):
        found[f"{VALIDATED}{metric}"] = trial.score
    tracker.metrics(found)
    error = {} if trial.error is None else {"error": trial.error}
    tracker.tags({TRIAL_TAG: str(number), "ended": trial.ended} | error)


def track_trials(tracker: Tracker, trials: Sequence[Trial], metric: str) -> None:
    """Tell of finished trials, the first of their tuning, each in a nested run."""
    for number, trial in enumerate(trials, 1):
        with tracker.child(f"trial-{number}", waits=False) as child:
            track_settings(child, trial.settings)
            track_trial(child, number, trial, metric)


def track_findings(tracker: Tracker, document: Mapping[str, Any]) -> None:
    """Tell what a finished benchmark found, from its JSON document."""
    tracker.tags(result_tag(document) | parent_tags(document))
    tracker.metrics(parent_metrics(document))


def track_tables(tracker: Tracker, folder: Path) -> None:
    """Tell what a benchmark shows, its conclusion first, as the description of its run."""
    table = folder / TABLE
    if table.exists():
        tracker.tags({NOTE: table.read_text(encoding="utf-8")})


def result_tag(document: Mapping[str, Any]) -> dict[str, str]:
    """The tag that the tracked run of a result, and of no other, has: by the times that it took, of a
    benchmark those of its models, which documents of all ages hold. Nothing where there are no times."""
    name = document.get("name")
    costs = [(row.get("name"), row) for row in document.get("models", ())] or [(name, _costs(document))]
    times = [(of, cost.get("fit_seconds"), cost.get("evaluate_seconds")) for of, cost in costs]
    if not any(isinstance(seconds, float) for of, *both in times for seconds in both):
        return {}
    text = json.dumps([name, times])
    return {RESULT_TAG: hashlib.sha256(text.encode()).hexdigest()[:32]}


def _costs(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document.get("cost", document)  # the first format was flat
    return found


def track_outcome(tracker: Tracker, config: ExperimentConfig, folder: Path, result: RunResult) -> RunResult:
    """Tell what a finished run found, from its folder. The answer names the tracked run and its model, and so
    does result.json from then on."""
    description = {NOTE: describe_run(config, result)}
    tracker.tags(_tags(result) | description)
    costs = {name: cost for name, cost in asdict(result.cost).items() if cost is not None}
    tracker.metrics({**_finite(costs), "epochs_run": float(result.fit.epochs_run)})
    tracker.fitted(_model(config, result, description))
    for number, values in _trials(result):
        tracker.metrics(values, step=number)
    for path in sorted(folder.iterdir()):
        if path.name not in (MODEL, RESULT):
            tracker.artifact(path)
    uri = tracker.model(folder / MODEL)
    told = replace(result, model=uri or result.model, run_id=tracker.run_id)
    if (told.model, told.run_id) != (result.model, result.run_id):
        rewrite_result(folder, told)
    tracker.artifact(folder / RESULT)
    return told


def _model(config: ExperimentConfig, result: RunResult, tags: Mapping[str, str]) -> ModelRecord:
    """The model with its settings, its validation score and its test metrics; undefined ones are left out."""
    origin, validation = result.origin, result.validation
    chosen = {}
    if validation is not None:
        chosen = {f"{VALIDATED}{name}": score for name, score in validation.scores().items()}
    return ModelRecord(
        kind=config.model.kind,
        params={"model": config.model.model_dump(mode="json")},
        tags={
            **tags,
            "run": result.name,
            "data": config.data.name,
            "seed": str(origin.seed),
            "data_fingerprint": origin.data_fingerprint,
            "split_fingerprint": origin.split_fingerprint,
        },
        metrics={"training": _finite(chosen), "test": _finite(tracked(result.report.metrics))},
    )


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _trials(result: RunResult) -> Iterator[tuple[int, dict[str, float]]]:
    """(number, from 1, and score) of each of several settings that were tried."""
    if result.validation is None or len(result.validation.trials) < 2:
        return
    for number, trial in enumerate(result.validation.trials, 1):
        if trial.score is not None and math.isfinite(trial.score):
            yield number, {f"trials/{result.validation.metric}": trial.score}


def _tags(result: RunResult) -> dict[str, str]:
    """Tags, not params: they say where a result comes from, not what was asked for."""
    origin, fit = result.origin, result.fit
    known = result_tag(result.to_json())
    commit = {} if origin.git_commit is None else {"git_commit": origin.git_commit}
    return (
        known
        | commit
        | {
            "seed": str(origin.seed),
            "relevant": result.report.relevance,
            "device": fit.device,
            "threads": str(fit.threads),
            "data_fingerprint": origin.data_fingerprint,
            "split_fingerprint": origin.split_fingerprint,
            "folder": str(result.folder),
            "interrupted": str(fit.interrupted).lower(),
            "best_epoch": str(fit.best_epoch),
            "refitted": str(fit.refitted).lower(),
            "training_fingerprint": origin.training_fingerprint,
            **{f"count/{name}": f"{value:.12g}" for name, value in result.report.counts.items()},
            "left_open": "" if result.validation is None else "; ".join(result.validation.remarks()),
        }
    )


def upload_run(folder: Path, tracker: Tracker, *, tags: Mapping[str, str] | None = None) -> RunResult:
    """Tell a tracker all of a finished run that it would have heard live, once the folder is known to be
    whole."""
    config, result, epochs, model = whole_run(folder)
    origin, counts, read = result.origin, result.report.counts, model.histories
    is_timed = read.timestamps is not None
    known = Known(read.users, model.recommender.items, read.matrix.data, is_timed, origin.feedback)
    fingerprints = (origin.training_fingerprint or origin.data_fingerprint, origin.split_fingerprint)
    with tracker:
        tracker.tags({**result_tag(result.to_json()), **(tags or {})})  # first: what breaks off is found, too
        tracker.params(config.model_dump(mode="json"))
        for record in datasets_of(config, known, counts, *fingerprints):
            tracker.dataset(record)
        tracker.tags({f"version.{name}": version for name, version in origin.versions.items()})
        for number, values in epochs:
            tracker.metrics(values, step=number)
        if result.validation is not None and len(result.validation.trials) > 1:
            track_trials(tracker, result.validation.trials, result.validation.metric)
        return track_outcome(tracker, config, folder, result)


def whole_run(
    folder: Path,
) -> tuple[ExperimentConfig, RunResult, list[tuple[int, dict[str, float]]], StoredModel]:
    """Config, result, curve and model of a run folder. Raises StorageError where one cannot be read."""
    config, result = read_run(folder)
    return config, result, list(read_epochs(folder)), load_model(folder / MODEL)


def runs_of(folder: Path) -> list[Path]:
    """The run folders of a benchmark."""
    return sorted(path.parent for path in folder.glob("*/seed-*/result.json"))


def upload_benchmark(folder: Path, config: BenchmarkConfig, tracker: Tracker) -> int:
    """Tell a tracker of a whole benchmark: a parent with one nested run per model and seed, whose number is
    returned. All folders are read before anything is told."""
    document, runs = read_document(folder), runs_of(folder)
    try:
        parent_metrics(document), parent_tags(document)
    except (KeyError, TypeError, AttributeError):
        raise no_run(folder) from None
    for run in runs:
        whole_run(run)
    with tracker:
        rewrite_document(folder, {**document, "run_id": tracker.run_id})
        track_findings(tracker, document)
        track_benchmark(tracker, config)
        track_tables(tracker, folder)
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            tracker.artifact(path)
        for run in runs:
            upload_run(run, tracker.child(f"{run.parent.name}-{run.name}"), tags={ENTRY_TAG: run.parent.name})
    return len(runs)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """A folder of results that nobody else writes to, or uploads, while the block lasts. Raises StorageError
    where somebody does, or there is none."""
    if not folder.is_dir():
        raise no_run(folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(claimed(folder))
        except BlockingIOError:
            raise StorageError(
                f"{folder}: another command is at work with it; try again once that is done"
            ) from None
        yield


def tracked_ids(folder: Path) -> list[str | None]:
    """Under which ids a run folder was tracked last, or a benchmark and after it its runs; None for one that
    was not. Raises StorageError for a folder without results."""
    places = [folder, *runs_of(folder)] if is_benchmark(folder) else [folder]
    documents = [read_document(place) for place in places]
    if not all(isinstance(document, dict) for document in documents):
        raise no_run(folder)
    found = (document.get("run_id") for document in documents)
    return [run_id if isinstance(run_id, str) else None for run_id in found]


def tag_of(folder: Path) -> dict[str, str]:
    """The tag of a folder's result, `result_tag`."""
    try:
        return result_tag(read_document(folder))
    except (TypeError, AttributeError):
        raise no_run(folder) from None
