"""One run from ratings to results: the whole data flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from recsys_ae.evaluation.evaluator import evaluate
from recsys_ae.evaluation.report import Report
from recsys_ae.experiments.fit import Fit, device_of, fit_split, metric_of_epochs
from recsys_ae.experiments.prepare import check_cutoffs, check_feedback, prepare
from recsys_ae.experiments.resources import measured
from recsys_ae.experiments.tune import Tuned
from recsys_ae.experiments.warm_up import warm_up
from recsys_ae.models.fit import check_resumable
from recsys_ae.provenance import code_commit, versions
from recsys_ae.results.folder import MODEL, curve_point, write_run
from recsys_ae.results.result import Cost, FitRecord, Origin, RunResult
from recsys_ae.results.tracking import sizes, track_origin, track_outcome
from recsys_ae.results.trials import Validation
from recsys_ae.settings.configs import ExperimentConfig
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
    split = prepare(config.data, config.split, config.seed, context.on_read)
    check_feedback(config.model, split.train, anyway=context.anyway)
    if config.model.ranks and split.holdout.n_observed:
        check_cutoffs(config.evaluation.cutoffs, split)
    warm_up(config.model, split.train, context)
    keeping = replace(context, checkpoints=checkpoints, keep_state=True)  # until the results are there
    with tracker:
        return run_on(config, split, folder, keeping, tracker)


def run_on(
    config: ExperimentConfig,
    split: Split,
    folder: Path,
    context: Context,
    tracker: Tracker,
    *,
    tuned: Tuned | None = None,
    write_more: Callable[[Path, Report], None] | None = None,
) -> RunResult:
    """The same on a split that is made already, for a tracker that is open. `tuned`: how the settings were
    chosen, where they were. `write_more`: writes further files of the results, whose report it is told, into
    the folder that it is given, before that takes its place."""
    track_origin(tracker, config, split)
    fit = _fit(config, split, context, tracker, tuned)
    with measured() as testing:
        # the test part's only use
        report = evaluate(fit.model, split, config.evaluation, on_tested=context.on_tested)
    result = RunResult(
        name=config.name,
        report=replace(report, counts={**sizes(split), **report.counts}, status="clean"),
        validation=_validation(fit, tuned),
        metrics_before_refit=_before_refit(fit, split, config),
        fit=_fit_record(fit),
        origin=_origin(config, report, split, fit),
        cost=Cost(
            fit.seconds,
            testing.seconds,
            max(fit.peak_memory_mb, testing.peak_memory_mb),
            fit.epoch_seconds,
        ),
        folder=folder,
        model=str(folder / MODEL),
        run_id=tracker.run_id,
    )
    write_run(
        result,
        config,
        model=fit.model,
        histories=split.histories(),
        epochs=fit.trained.epochs,
        metric=fit.metric,
        state=fit.state,
        write_more=write_more,
    )
    fit.forget()  # not before: until here Ctrl-C leaves a training that can be continued
    return track_outcome(tracker, config, folder, result)


def _fit(
    config: ExperimentConfig, split: Split, context: Context, tracker: Tracker, tuned: Tuned | None
) -> Fit:
    """The tracker hears of the curve by which the epoch was chosen, and not of that of a refit."""
    metric = metric_of_epochs(config.model, config.validation, config.evaluation)
    first = None if tuned is None else tuned.first
    heard: set[int] = set()

    def hear(epoch: Epoch) -> None:
        if epoch.number not in heard:
            tracker.metrics(curve_point(epoch, metric), step=epoch.number)
            heard.add(epoch.number)
        context.on_epoch(epoch)

    for epoch in () if first is None else first.trained.epochs:
        hear(epoch)
    return fit_split(
        config.model,
        split,
        validation=config.validation,
        seed=config.seed,
        evaluation=config.evaluation,
        context=replace(context, on_epoch=hear),
        first=first,
    )


def _validation(fit: Fit, tuned: Tuned | None) -> Validation | None:
    """What the model was chosen by; None where nothing was chosen."""
    if tuned is not None:
        return tuned.validation
    return None if fit.metric is None else Validation(fit.metric.key, (fit.trial({}),))


def _before_refit(fit: Fit, split: Split, config: ExperimentConfig) -> Mapping[str, float]:
    """The test metrics of the model that chose the epoch, to be shown beside those of the refitted one.
    Neither figure chooses anything."""
    return evaluate(fit.trained.model, split, config.evaluation).metrics if fit.is_refitted else {}


def _fit_record(fit: Fit) -> FitRecord:
    return FitRecord(
        epochs_run=fit.epochs_run,
        best_epoch=fit.trained.best_epoch,
        interrupted=fit.interrupted,
        resumable=fit.resumable,
        device=fit.device,
        threads=fit.threads,
        metric=None if fit.metric is None else fit.metric.key,
        refitted=fit.is_refitted,
    )


def _origin(config: ExperimentConfig, report: Report, split: Split, fit: Fit) -> Origin:
    training = split.train.fingerprint()
    return Origin(
        seed=config.seed,
        data_fingerprint=report.data_fingerprint,
        split_fingerprint=report.split_fingerprint,
        training_fingerprint=training,
        fitted_fingerprint=training if fit.train is split.train else fit.train.fingerprint(),
        versions=versions(),
        git_commit=code_commit(),
        feedback=split.train.feedback,
    )
