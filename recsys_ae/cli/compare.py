"""recsys-ae compare"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering, show_table, tell
from recsys_ae.errors import ConfigError, DataError, StorageError, brief, cut

if TYPE_CHECKING:
    from recsys_ae.evaluation.comparison import Difference
    from recsys_ae.evaluation.report import Report
    from recsys_ae.reporting.tables import Table
    from recsys_ae.tracking.runs import TrackedRun

_REFERENCE = "reference"
_NO_MEAN = "not comparable: the metric is no mean over users of the test part"


def compare(
    experiment: Annotated[str, typer.Argument(help="Name of an MLflow experiment.")],
    metric: Annotated[str, typer.Option(help="What runs are sorted by.")] = "test/rmse",
    reference: Annotated[str | None, typer.Option(help="Run id or name; default: the best run.")] = None,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
) -> None:
    """List the runs of an experiment, best first.

    Runs on the same split are compared with one of them in pairs, user by user.
    """
    with answering(as_json=as_json) as say:
        from recsys_ae.metrics import higher_is_better
        from recsys_ae.results.tracking import TRIAL_TAG
        from recsys_ae.tracking.runs import experiment_runs

        found = experiment_runs(experiment, uri=tracking_uri)
        runs = _sorted(found, metric, experiment)
        against = _reference(runs, reference, experiment)
        compared = _compared(runs, against, metric, tracking_uri)
        whole = [run for run in found if TRIAL_TAG not in run.tags]
        parents = {run.parent_id for run in whole}
        without = [_name(run) for run in whole if run not in runs and run.run_id not in parents]
        document = {
            "experiment": experiment,
            "metric": metric,
            "higher_is_better": higher_is_better(metric),
            "reference": against.run_id,
            "relevant": _relevant(against, metric),
            "runs": [_as_json(run, metric, compared.get(run.run_id)) for run in runs],
            "without": without,
        }
        say(document, lambda: _show(runs, metric, compared, against, without))


def _sorted(runs: list[TrackedRun], metric: str, experiment: str) -> list[TrackedRun]:
    """The runs that have the metric, best first; highest first where no direction is known."""
    from recsys_ae.metrics import higher_is_better, sort_key
    from recsys_ae.results.result import is_test_metric
    from recsys_ae.settings.schema import advice

    having = [run for run in runs if math.isfinite(run.metrics.get(metric, math.nan))]
    if not having:
        known = sorted({name for run in runs for name in run.metrics if is_test_metric(name)})
        hint = advice(metric, known) if known else "train a model first"
        raise ConfigError(f"no run of experiment {brief(experiment)} has the metric {brief(metric)}; {hint}")
    high = higher_is_better(metric) is not False
    return sorted(having, key=lambda run: (sort_key(run.metrics[metric], higher_is_better=high), run.started))


def _relevant(run: TrackedRun, name: str) -> str | None:
    """What counted as a hit in the lists of a run; None for a metric that has no hits, and where a run does
    not say it."""
    from recsys_ae.metrics import is_ranking_metric

    return run.tags.get("relevant") if is_ranking_metric(name) else None


def _reference(runs: list[TrackedRun], wanted: str | None, experiment: str) -> TrackedRun:
    if wanted is None:
        return runs[0]
    for run in runs:
        if wanted in (run.run_id, run.name):
            return run
    names = ", ".join(dict.fromkeys(cut(run.name) for run in runs))
    raise ConfigError(
        f"--reference {brief(wanted)}: no such run in experiment {brief(experiment)}; it has: {names}"
    )


def _compared(
    runs: list[TrackedRun], against: TrackedRun, name: str, uri: str | None
) -> dict[str, Difference | str]:
    """Run id -> difference to the reference, or why there is none. Reports are of the test part."""
    from recsys_ae.evaluation.comparison import compare as compare_reports
    from recsys_ae.evaluation.report import Report
    from recsys_ae.metrics import find_metric
    from recsys_ae.tracking.runs import NoReportError, download_report

    metric = find_metric(name)
    if metric is None or name != f"test/{metric.key}" or not metric.columns:
        return {run.run_id: _REFERENCE if run is against else _NO_MEAN for run in runs}
    compared: dict[str, Difference | str] = {against.run_id: _REFERENCE}
    reports: dict[str, list[Report]] = {}
    for run in [against, *(run for run in runs if run is not against)]:
        try:
            report = Report.from_parquet(download_report(run, uri=uri))
        except (NoReportError, DataError, StorageError):
            report = None
        if report is None or report.sums(metric) is None:
            compared[run.run_id] = "not comparable: no values per user"
            continue
        base = reports.get(against.run_id, [report])[0]
        if (report.split_fingerprint, report.relevant) != (base.split_fingerprint, base.relevant):
            compared[run.run_id] = "not comparable: other data, split or relevance"
        else:
            reports[run.run_id] = [report]
    if against.run_id in reports:
        found = compare_reports(reports, reference=against.run_id, metrics=[metric])
        compared |= {difference.name: difference for difference in found}
    return compared


def _name(run: TrackedRun) -> str:
    """A run whose process died is not running, whatever its store says."""
    return f"{run.name} (died)" if run.status == "DIED" else run.name


def _as_json(run: TrackedRun, metric: str, found: Difference | str | None) -> dict[str, Any]:
    return {
        "name": run.name,
        "run_id": run.run_id,
        "status": run.status,
        "started": run.started.isoformat(),
        "value": run.metrics[metric],
        "validated": _validated(run, metric),
        "relevant": _relevant(run, metric),
        "fit_seconds": run.metrics.get("fit_seconds"),
        "peak_memory_mb": run.metrics.get("peak_memory_mb"),
        "note": found if isinstance(found, str) else None,
        "difference": None if found is None or isinstance(found, str) else found.to_json(),
    }


def _cell(found: Difference | str | None, decimals: int) -> str | None:
    from recsys_ae.reporting.tables import difference_text

    if found is None or isinstance(found, str):
        return found and found.partition(":")[0]
    return difference_text(found, decimals)


def _validated(run: TrackedRun, metric: str) -> float | None:
    """The validation score of a run, by the metric of its test."""
    from recsys_ae.results.result import untracked_name

    return run.metrics.get(f"validated/{untracked_name(metric)}")


def _differ_in_relevance(runs: list[TrackedRun], metric: str) -> bool:
    return len({_relevant(run, metric) for run in runs}) > 1


def _table(runs: list[TrackedRun], metric: str, compared: Mapping[str, Difference | str]) -> Table:
    """One row per run: with its validation score where any has one, and with what was relevant where that
    differs."""
    from recsys_ae.metrics import is_rating_metric
    from recsys_ae.reporting.tables import DECIMALS, Table, error_decimals

    errors = (run.metrics[metric] for run in runs)
    decimals = error_decimals(errors) if is_rating_metric(metric) else DECIMALS
    rows = [
        {
            "run": _name(run),
            "validated": _validated(run, metric),
            metric: run.metrics[metric],
            f"Δ {metric}": _cell(compared.get(run.run_id), decimals),
            "relevant": _relevant(run, metric),
            "fit s": run.metrics.get("fit_seconds"),
            "memory MB": run.metrics.get("peak_memory_mb"),
            "started": f"{run.started:%Y-%m-%d %H:%M}",
            "run id": run.run_id,
        }
        for run in runs
    ]
    unused = set() if any(row["validated"] is not None for row in rows) else {"validated"}
    unused |= set() if _differ_in_relevance(runs, metric) else {"relevant"}
    columns = tuple(name for name in rows[0] if name not in unused)
    cells = tuple(tuple(row[name] for name in columns) for row in rows)
    tight = frozenset({"run", f"Δ {metric}", "started", "run id"})
    return Table(columns, cells, tight=tight, decimals=dict.fromkeys(("validated", metric), decimals))


def _show(
    runs: list[TrackedRun],
    metric: str,
    compared: Mapping[str, Difference | str],
    against: TrackedRun,
    without: list[str],
) -> None:
    from recsys_ae.metrics import higher_is_better
    from recsys_ae.reporting.tables import difference_notes

    show_table(_table(runs, metric, compared), aside=["started", "run id"])
    if higher_is_better(metric) is None:
        tell(f"sorted highest first: it is not known whether a high or a low {metric} is better")
    differences = [found for found in compared.values() if not isinstance(found, str)]
    for note in difference_notes(differences, against.name):
        tell(note)
    if (relevant := _relevant(against, metric)) and not _differ_in_relevance(runs, metric):
        tell(f"relevant: {relevant}")
    if without:
        tell(f"without {metric}: {', '.join(dict.fromkeys(without))}")
    reasons = (found for found in compared.values() if isinstance(found, str) and found != _REFERENCE)
    for reason in dict.fromkeys(reasons):
        names = dict.fromkeys(run.name for run in runs if compared.get(run.run_id) == reason)
        tell(f"{reason}: {', '.join(names)}")
