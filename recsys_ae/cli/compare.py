"""recsys-ae compare"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering, show_table
from recsys_ae.errors import ConfigError

if TYPE_CHECKING:
    from recsys_ae.evaluation.report import Report
    from recsys_ae.tracking.runs import TrackedRun

MetricOption = Annotated[str, typer.Option(help="What runs are sorted by.")]


def compare(
    experiment: Annotated[str, typer.Argument(help="Name of an MLflow experiment.")],
    metric: MetricOption = "test/rmse",
    reference: Annotated[str | None, typer.Option(help="Run id or name; default: the best run.")] = None,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
) -> None:
    """List the runs of an experiment, best first.

    Runs on the same split are compared with one of them in pairs, user by user.
    """
    with answering(as_json=as_json) as say:
        from recsys_ae.tracking.runs import experiment_runs

        found = experiment_runs(experiment, uri=tracking_uri)
        runs = _sorted(found, metric, experiment)
        against = _reference(runs, reference, experiment)
        rows = _rows(runs, against, metric, tracking_uri)
        parents = {run.parent_id for run in found}
        without = [run.name for run in found if run not in runs and run.run_id not in parents]
        document = {
            "experiment": experiment,
            "metric": metric,
            "reference": against.run_id,
            "runs": rows,
            "without": without,
        }
        say(document, lambda: _show(rows, metric, against.name, without))


def _sorted(runs: list[TrackedRun], metric: str, experiment: str) -> list[TrackedRun]:
    """The runs that have the metric, best first."""
    from recsys_ae.experiments.schema import advice
    from recsys_ae.reporting.directions import lower_is_better

    having = [run for run in runs if math.isfinite(run.metrics.get(metric, math.nan))]
    if not having:
        known = sorted({name for run in runs for name in run.metrics if name.startswith("test/")})
        hint = advice(metric, known) if known else "train a model first"
        raise ConfigError(f"no run of experiment {experiment!r} has the metric {metric!r}; {hint}")
    sign = 1 if lower_is_better(metric) else -1
    return sorted(having, key=lambda run: (sign * run.metrics[metric], run.started))


def _reference(runs: list[TrackedRun], wanted: str | None, experiment: str) -> TrackedRun:
    if wanted is None:
        return runs[0]
    for run in runs:
        if wanted in (run.run_id, run.name):
            return run
    names = ", ".join(dict.fromkeys(run.name for run in runs))
    raise ConfigError(f"--reference {wanted}: no such run in experiment {experiment!r}; it has: {names}")


def _rows(runs: list[TrackedRun], against: TrackedRun, metric: str, uri: str | None) -> list[dict[str, Any]]:
    from recsys_ae.evaluation.comparison import compare as paired

    name = metric.removeprefix("test/")
    reports, notes = _reports(runs, against, name, uri)
    found = paired(reports, reference=against.run_id, metric=name) if len(reports) > 1 else []
    differences = {difference.name: difference for difference in found}
    return [_row(run, metric, differences.get(run.run_id), notes.get(run.run_id)) for run in runs]


def _reports(
    runs: list[TrackedRun], against: TrackedRun, metric: str, uri: str | None
) -> tuple[dict[str, list[Report]], dict[str, str]]:
    """Reports of the runs that can be paired with the reference, and why the others cannot."""
    from recsys_ae.errors import RecsysError
    from recsys_ae.evaluation.report import Report
    from recsys_ae.tracking.runs import download_report

    reports: dict[str, list[Report]] = {}
    notes = {against.run_id: "reference"}
    for run in [against, *(run for run in runs if run is not against)]:
        try:
            report = Report.from_parquet(download_report(run, uri=uri))
        except RecsysError:
            notes[run.run_id] = "not comparable: no values per user"
            continue
        base = reports.get(against.run_id, [report])[0]
        if (report.split_fingerprint, report.relevant) != (base.split_fingerprint, base.relevant):
            notes[run.run_id] = "not comparable: other data, split or relevance"
        elif not _has_values(report, metric):
            notes[run.run_id] = "not comparable: the metric is no mean over users"
        else:
            reports[run.run_id] = [report]
    return (reports if against.run_id in reports else {}), notes


def _has_values(report: Report, metric: str) -> bool:
    sums = {
        "rmse": "squared_error_sum",
        "mae": "absolute_error_sum",
        "rmse_warm": "squared_error_sum_warm",
        "mae_warm": "absolute_error_sum_warm",
    }
    return sums.get(metric, metric) in report.per_user


def _row(run: TrackedRun, metric: str, difference: Any, note: str | None) -> dict[str, Any]:
    row = {
        "name": run.name,
        "run_id": run.run_id,
        "status": run.status,
        "started": run.started.isoformat(),
        "value": run.metrics[metric],
        "fit_seconds": run.metrics.get("fit_seconds"),
        "peak_memory_mb": run.metrics.get("peak_memory_mb"),
        "note": note,
        "difference": None,
    }
    if difference is not None:
        row["difference"] = {
            key: getattr(difference, key)
            for key in ("difference", "low", "high", "p_value", "p_adjusted", "n_users")
        }
    return row


def _difference_cell(row: dict[str, Any]) -> str | None:
    from recsys_ae.experiments.standings import shortly

    found = row["difference"]
    if found is None:
        return row["note"] and row["note"].partition(":")[0]
    low, high, p_adjusted = found["low"], found["high"], found["p_adjusted"]
    return shortly(found["difference"], low=low, high=high, p_adjusted=p_adjusted)


def _show(rows: list[dict[str, Any]], metric: str, against: str, without: list[str]) -> None:
    from recsys_ae.experiments.standings import STARS
    from recsys_ae.reporting.tables import Table

    column = f"Δ {metric}"
    cells = tuple(
        (
            row["name"],
            row["value"],
            _difference_cell(row),
            row["fit_seconds"],
            row["peak_memory_mb"],
            row["started"][:16].replace("T", " "),
            row["run_id"],
        )
        for row in rows
    )
    columns = ("run", metric, column, "fit s", "memory MB", "started", "run id")
    show_table(
        Table(columns, cells, tight=frozenset({"run", column, "started", "run id"})),
        aside=["started", "run id"],
    )
    if any(row["difference"] is not None for row in rows):
        print(f"Δ: difference to {against}, ± half of its 95 % interval; {STARS}")
    if without:
        print(f"without {metric}: {', '.join(dict.fromkeys(without))}")
    for note in dict.fromkeys(row["note"] for row in rows if row["note"] not in (None, "reference")):
        print(f"{note}: {', '.join(dict.fromkeys(row['name'] for row in rows if row['note'] == note))}")
