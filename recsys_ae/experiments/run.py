"""One run from ratings to results: the whole data flow. And its test again, from a stored model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from recsys_ae.data.configs import Feedback
from recsys_ae.errors import DataError, StorageError
from recsys_ae.evaluation.evaluator import evaluate
from recsys_ae.evaluation.report import Report
from recsys_ae.experiments.fit import Fit, device_of, fit_split, metric_of_epochs
from recsys_ae.experiments.prepare import check_feedback, prepare
from recsys_ae.experiments.resources import measured
from recsys_ae.models.fit import check_resumable
from recsys_ae.models.storage import load_model
from recsys_ae.provenance import code_commit, versions
from recsys_ae.results.folder import MODEL, curve_point, write_run
from recsys_ae.results.result import Cost, FitRecord, Origin, RunResult, tracked
from recsys_ae.results.tracking import sizes, track_origin, track_outcome
from recsys_ae.settings.configs import ExperimentConfig
from recsys_ae.settings.explain import checked
from recsys_ae.splitting.split import Split
from recsys_ae.tracking.tracker import Tracker
from recsys_ae.training.runner import Context
from recsys_ae.types import Epoch


def run(config: ExperimentConfig, folder: Path, context: Context, tracker: Tracker) -> RunResult:
    """Load, split, fit, test once, keep. Nothing is written or tracked before the data and the split hold,
    and the model is one for such data.

    `folder`: of the results, as `new_folder` gives it. The state of a training that is stopped is kept beside
    it, in `.checkpoints`, unless the context names another place.
    """
    check_resumable(config.model, context)
    device_of(config.model, context.device)  # refuses one that is not there
    checkpoints = context.checkpoints or folder.parent / ".checkpoints"
    split = prepare(config.data, config.split, config.seed)
    check_feedback(config.model, split.train, anyway=context.anyway)
    return run_on(config, split, folder, replace(context, checkpoints=checkpoints), tracker)


def run_on(
    config: ExperimentConfig,
    split: Split,
    folder: Path,
    context: Context,
    tracker: Tracker,
    *,
    fit: Fit | None = None,
) -> RunResult:
    """The same on a split that is made already. `fit`: where the model is fitted already, too."""
    with tracker:
        track_origin(tracker, config, split)
        fit = _fit(config, split, context, tracker) if fit is None else _replayed(fit, tracker)
        with measured() as testing:
            report = evaluate(fit.trained.model, split, config.evaluation)  # the test part's only use
        result = RunResult(
            name=config.name,
            report=replace(report, counts={**sizes(split), **report.counts}),
            fit=_fit_record(fit),
            origin=_origin(config, report, split.train.feedback),
            cost=Cost(fit.seconds, testing.seconds, max(fit.peak_memory_mb, testing.peak_memory_mb)),
            folder=folder,
            model=str(folder / MODEL),
            run_id=tracker.run_id,
        )
        write_run(
            result,
            config,
            model=fit.trained.model,
            histories=split.histories(),
            epochs=fit.trained.epochs,
            metric=fit.metric,
        )
        fit.trained.forget()  # not before: until here Ctrl-C leaves a training that can be continued
        return track_outcome(tracker, folder, result)


def _fit(config: ExperimentConfig, split: Split, context: Context, tracker: Tracker) -> Fit:
    metric = metric_of_epochs(config.model, config.validation, config.evaluation)

    def hear(epoch: Epoch) -> None:
        tracker.metrics(curve_point(epoch, metric), step=epoch.number)
        context.on_epoch(epoch)

    return fit_split(
        config.model,
        split,
        validation=config.validation,
        seed=config.seed,
        evaluation=config.evaluation,
        context=replace(context, on_epoch=hear),
    )


def _replayed(fit: Fit, tracker: Tracker) -> Fit:
    """The fit, whose epochs the tracker has not heard of."""
    for epoch in fit.trained.epochs:
        tracker.metrics(curve_point(epoch, fit.metric), step=epoch.number)
    return fit


def _fit_record(fit: Fit) -> FitRecord:
    return FitRecord(
        epochs_run=len(fit.trained.epochs),
        best_epoch=fit.trained.best_epoch,
        interrupted=fit.trained.interrupted,
        resumable=fit.trained.resumable,
        device=fit.device,
        threads=fit.threads,
        metric=None if fit.metric is None else fit.metric.key,
    )


def _origin(config: ExperimentConfig, report: Report, feedback: Feedback) -> Origin:
    return Origin(
        seed=config.seed,
        data_fingerprint=report.data_fingerprint,
        split_fingerprint=report.split_fingerprint,
        versions=versions(),
        git_commit=code_commit(),
        feedback=feedback,
    )


def retest(folder: Path) -> dict[str, Any]:
    """Test a stored model again, by the config in its folder: "metrics" beside "stored_metrics", which should
    be equal.

    Raises StorageError where the folder names no config, DataError where the data have changed since.
    """
    stored = load_model(folder)
    if "config" not in stored.info:
        raise StorageError(
            f"{folder}: the model does not say how it was trained; evaluate one that train has made"
        )
    config = checked(ExperimentConfig, stored.info["config"], where=str(folder / "model.json"))
    split = prepare(config.data, config.split, config.seed)
    if split.fingerprint() != stored.info["split_fingerprint"]:
        raise DataError(
            f"{config.data.label}: the ratings are not those that the model was trained on (other "
            "fingerprint); put the old file back, or train again"
        )
    report = evaluate(stored.recommender, split, config.evaluation)
    return {
        "metrics": tracked(report.metrics),
        "stored_metrics": stored.info["metrics"],
        "split_fingerprint": report.split_fingerprint,
    }
