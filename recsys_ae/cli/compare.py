"""recsys-ae compare"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering, show_table, tell
from recsys_ae.errors import brief

if TYPE_CHECKING:
    from recsys_ae.decisions.compared import Compared
    from recsys_ae.evaluation.comparison import Difference
    from recsys_ae.reporting.tables import Table


def compare(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="EXPERIMENT|RUN...",
            help="An MLflow experiment, or runs: ids, names, run folders or addresses of models.",
        ),
    ],
    metric: Annotated[
        str | None,
        typer.Option(help="What runs are sorted by; default: test/rmse where there is one, else test/ndcg."),
    ] = None,
    reference: Annotated[str | None, typer.Option(help="Run id or name; default: the best run.")] = None,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Page to write, with figures.", callback=options.at_home),
    ] = None,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
) -> None:
    """List the runs of an experiment, or those that are named, best first.

    Runs on the same split are compared with one of them in pairs, user by user. The page shows those of other
    splits apart.
    """
    with answering(as_json=as_json) as say:
        from recsys_ae.decisions.compared import (
            differences,
            found_runs,
            reference_of,
            sorted_runs,
            usual_metric,
        )
        from recsys_ae.files import check_writable
        from recsys_ae.metrics import higher_is_better
        from recsys_ae.results.tracking import TRIAL_TAG

        if page is not None:
            check_writable(page, "--page")
        found = found_runs(what, uri=tracking_uri)
        where = f"experiment {brief(what[0])}" if len(what) == 1 else "these runs"
        metric = metric or usual_metric(found)
        runs = sorted_runs(found, metric, where)
        against = reference_of(runs, reference, where)
        compared = differences(runs, against, metric, tracking_uri)
        whole = [one for one in found if TRIAL_TAG not in one.run.tags]
        parents = {one.run.parent_id for one in whole}
        without = [one.name for one in whole if one not in runs and one.run.run_id not in parents]
        document = {
            "experiment": what[0] if len(what) == 1 else None,
            "metric": metric,
            "higher_is_better": higher_is_better(metric),
            "reference": against.id,
            "relevant": _relevant(against, metric),
            "runs": [_as_json(one, metric, compared.get(one.id)) for one in runs],
            "without": without,
        }
        if page is not None:
            shown = [one for one in runs if one in whole]
            shown += [one for one in whole if one not in runs and one.run.run_id not in parents]
            chosen = None if reference is None else against
            document |= _write_page(page, what, shown, metric, chosen, tracking_uri)
        say(document, lambda: _show(runs, metric, compared, against, without, page))


def _relevant(one: Compared, name: str) -> str | None:
    """What counted as a hit in the lists of a run; None for a metric that has no hits, and where a run does
    not say it."""
    from recsys_ae.metrics import is_ranking_metric

    return one.run.tags.get("relevant") if is_ranking_metric(name) else None


def _as_json(one: Compared, metric: str, found: Difference | str | None) -> dict[str, Any]:
    run = one.run
    return {
        "name": run.name,
        "run_id": run.run_id or None,
        "status": run.status,
        "started": run.started.isoformat(),
        "value": run.metrics[metric],
        "validated": _validated(one, metric),
        "relevant": _relevant(one, metric),
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


def _validated(one: Compared, metric: str) -> float | None:
    """The validation score of a run, by the metric of its test."""
    from recsys_ae.results.result import VALIDATED, untracked_name

    return one.run.metrics.get(f"{VALIDATED}{untracked_name(metric)}")


def _differ_in_relevance(runs: list[Compared], metric: str) -> bool:
    return len({_relevant(one, metric) for one in runs}) > 1


def _table(runs: list[Compared], metric: str, compared: Mapping[str, Difference | str]) -> Table:
    """One row per run: with its validation score where any has one, and with what was relevant where that
    differs."""
    from recsys_ae.metrics import is_rating_metric
    from recsys_ae.reporting.tables import DECIMALS, Table, error_decimals

    errors = (one.run.metrics[metric] for one in runs)
    decimals = error_decimals(errors) if is_rating_metric(metric) else DECIMALS
    rows = [
        {
            "run": one.name,
            "validated": _validated(one, metric),
            metric: one.run.metrics[metric],
            f"Δ {metric}": _cell(compared.get(one.id), decimals),
            "relevant": _relevant(one, metric),
            "fit s": one.run.metrics.get("fit_seconds"),
            "memory MB": one.run.metrics.get("peak_memory_mb"),
            "started": f"{one.run.started:%Y-%m-%d %H:%M}",
            "run id": one.id,
        }
        for one in runs
    ]
    unused = set() if any(row["validated"] is not None for row in rows) else {"validated"}
    unused |= set() if _differ_in_relevance(runs, metric) else {"relevant"}
    columns = tuple(name for name in rows[0] if name not in unused)
    cells = tuple(tuple(row[name] for name in columns) for row in rows)
    tight = frozenset({"run", f"Δ {metric}", "started", "run id"})
    return Table(columns, cells, tight=tight, decimals=dict.fromkeys(("validated", metric), decimals))


def _show(
    runs: list[Compared],
    metric: str,
    compared: Mapping[str, Difference | str],
    against: Compared,
    without: list[str],
    page: Path | None,
) -> None:
    from recsys_ae.decisions.compared import REFERENCE
    from recsys_ae.metrics import higher_is_better
    from recsys_ae.reporting.tables import difference_notes

    show_table(_table(runs, metric, compared), aside=["started", "run id"])
    if higher_is_better(metric) is None:
        tell(f"sorted highest first: it is not known whether a high or a low {metric} is better")
    differences = [found for found in compared.values() if not isinstance(found, str)]
    for note in difference_notes(differences, against.run.name):
        tell(note)
    if (relevant := _relevant(against, metric)) and not _differ_in_relevance(runs, metric):
        tell(f"relevant: {relevant}")
    if without:
        tell(f"without {metric}: {', '.join(dict.fromkeys(without))}")
    reasons = (found for found in compared.values() if isinstance(found, str) and found != REFERENCE)
    for reason in dict.fromkeys(reasons):
        names = dict.fromkeys(one.run.name for one in runs if compared.get(one.id) == reason)
        tell(f"{reason}: {', '.join(names)}")
    if page is not None:
        tell(f"page: {page}")


def _write_page(
    page: Path,
    what: list[str],
    runs: list[Compared],
    metric: str,
    reference: Compared | None,
    uri: str | None,
) -> dict[str, Any]:
    """Write the page of the runs; the answer says where it is, which runs are shown together, and which are
    not on it."""
    from recsys_ae.decisions.groups import grouped
    from recsys_ae.decisions.page import write_page

    groups, missing = grouped(runs, metric, reference, uri)
    write_page(page, what[0] if len(what) == 1 else "Runs compared", groups, missing)
    return {
        "page": str(page),
        "groups": [[one.id for one in group.runs] for group in groups],
        "not_on_page": [one.id for one in missing],
    }
