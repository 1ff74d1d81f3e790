"""One run from ratings to results: the whole data flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from recsys_ae.evaluation.evaluator import evaluate
from recsys_ae.evaluation.report import Report
from recsys_ae.experiments.config import ExperimentConfig
from recsys_ae.experiments.fitting import FitOptions, Fitted, fit_on
from recsys_ae.experiments.folder import MODEL, curve_point, new_folder, rewrite_result, write_run
from recsys_ae.experiments.prepare import prepare, validation_metric
from recsys_ae.experiments.resources import measured, timed
from recsys_ae.experiments.result import RunResult
from recsys_ae.experiments.tracking import sizes, track_origin, track_outcome
from recsys_ae.models.context import ignore
from recsys_ae.provenance import code_commit, versions
from recsys_ae.splitting.split import Split
from recsys_ae.tracking.tracker import Tracker
from recsys_ae.types import Epoch


@dataclass(frozen=True, slots=True)
class RunContext:
    """Where and how a run happens; nothing here decides its result. `out`: the run folder, None makes one
    under `runs`, where the states of interrupted trainings are kept too."""

    out: Path | None = None
    runs: Path = Path("runs")
    device: str = "auto"
    resume: bool = False
    on_epoch: Callable[[Epoch], None] = ignore


def run(config: ExperimentConfig, context: RunContext, tracker: Tracker) -> RunResult:
    """Load, split, fit, test once, keep. Nothing is written or tracked before the data and the split hold."""
    folder = new_folder(config.name, context.out, context.runs)
    return run_on(config, prepare(config.data, config.split, config.seed), folder, context, tracker)


def run_on(
    config: ExperimentConfig, split: Split, folder: Path, context: RunContext, tracker: Tracker
) -> RunResult:
    """The same on a split that is made already."""
    with tracker:
        track_origin(tracker, config, split)
        with measured() as usage:
            fitted = _fit(config, split, context, tracker)
            with timed() as testing:
                report = evaluate(fitted.recommender, split, config.evaluation)  # the test part's only use
        result = _result(
            config,
            split,
            fitted,
            report,
            folder=folder,
            run_id=tracker.run_id,
            evaluate_seconds=testing.seconds,
            peak_memory_mb=usage.peak_memory_mb,
        )
        write_run(folder, config, split, fitted, report, result)
        fitted.forget()  # not before: until here Ctrl-C leaves a training that can be continued
        uri = track_outcome(tracker, folder, result)
        result = replace(result, model=uri or result.model, run_id=tracker.run_id)
        tracker.artifact(rewrite_result(folder, result))
    return result


def _fit(config: ExperimentConfig, split: Split, context: RunContext, tracker: Tracker) -> Fitted:
    metric = None
    if config.validation is not None:
        metric = validation_metric(config.model, config.validation, config.evaluation)

    def hear(epoch: Epoch) -> None:
        tracker.metrics(curve_point(epoch, metric), step=epoch.number)
        context.on_epoch(epoch)

    options = FitOptions(context.device, hear, context.runs / ".checkpoints", context.resume)
    return fit_on(
        config.model,
        split,
        validation=config.validation,
        seed=config.seed,
        evaluation=config.evaluation,
        options=options,
    )


def _result(
    config: ExperimentConfig,
    split: Split,
    fitted: Fitted,
    report: Report,
    *,
    folder: Path,
    run_id: str | None,
    evaluate_seconds: float,
    peak_memory_mb: float,
) -> RunResult:
    return RunResult(
        name=config.name,
        run_id=run_id,
        model=str(folder / MODEL),
        folder=str(folder),
        metrics={f"test/{name}": float(value) for name, value in report.metrics.items()},
        counts={**sizes(split), **report.counts},
        fallback=report.fallback,
        fit_seconds=fitted.seconds,
        evaluate_seconds=evaluate_seconds,
        peak_memory_mb=peak_memory_mb,
        epochs_run=len(fitted.epochs),
        best_epoch=fitted.best_epoch,
        interrupted=fitted.interrupted,
        seed=config.seed,
        device=fitted.device,
        threads=fitted.threads,
        data_fingerprint=report.data_fingerprint,
        split_fingerprint=report.split_fingerprint,
        versions=versions(),
        git_commit=code_commit(),
    )
