"""Runs that somebody wants to compare: found by experiment, id, name, address or folder, sorted, and held
against one of them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from recsys_ae.errors import ConfigError, DataError, StorageError, TrackingError, brief, cut
from recsys_ae.evaluation.comparison import Difference
from recsys_ae.evaluation.comparison import compare as compare_reports
from recsys_ae.evaluation.promotion import why_apart
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import NDCG, RMSE, find_metric, higher_is_better, sort_key
from recsys_ae.results.folder import CONFIG, read_run
from recsys_ae.results.result import REPORT, RESULT, VALIDATED, is_test_metric, tracked
from recsys_ae.results.tracking import TRIAL_TAG
from recsys_ae.settings.schema import advice
from recsys_ae.tracking.registry import run_of_model
from recsys_ae.tracking.runs import (
    NoReportError,
    TrackedRun,
    download_report,
    experiment_runs,
    find_run,
    runs_named,
)

REFERENCE = "reference"
APART = "not comparable: other data, split or relevance"
_NO_VALUES = "not comparable: no values per user"
_NO_MEAN = "not comparable: the metric is no mean over users of the test part"


@dataclass(frozen=True, slots=True)
class Compared:
    """A run, in the store or on disk. `folder`: where its files lie on disk; None: the store has them."""

    run: TrackedRun
    folder: Path | None = None

    @property
    def id(self) -> str:
        """By which it is known here: the id of the tracked run, or the folder."""
        return str(self.folder) if self.folder is not None else self.run.run_id

    @property
    def name(self) -> str:
        """A run whose process died is not running, whatever its store says."""
        return f"{self.run.name} (died)" if self.run.status == "DIED" else self.run.name

    def report(self, uri: str | None) -> Report:
        """Its values per user. Raises NoReportError or StorageError where it has none that can be read."""
        path = download_report(self.run, uri=uri) if self.folder is None else self.folder / REPORT
        return Report.from_parquet(path)


def found_runs(words: Sequence[str], *, uri: str | None = None) -> list[Compared]:
    """The runs of an experiment, nested ones and trials too, or, of several words, the run that each means: a
    run folder, the id or the name of a tracked run, or the address of its model.

    Raises TrackingError where the store knows no such experiment or run, ConfigError for a name that several
    runs have, StorageError for a folder that holds no run.
    """
    if len(words) == 1 and not _is_folder(words[0]):
        return [Compared(run) for run in experiment_runs(words[0], uri=uri)]
    found = [_of_folder(Path(word)) if _is_folder(word) else _of_store(word, uri) for word in words]
    return list({one.id: one for one in found}.values())


def _is_folder(word: str) -> bool:
    try:
        return (Path(word).expanduser() / RESULT).is_file()
    except OSError:  # no file can have this name
        return False


def _of_folder(path: Path) -> Compared:
    folder = path.expanduser()
    _, result = read_run(folder)
    chosen = result.validation
    scores = {} if chosen is None or chosen.score is None else {f"{VALIDATED}{chosen.metric}": chosen.score}
    costs = {name: value for name, value in asdict(result.cost).items() if value is not None}
    written = datetime.fromtimestamp((folder / CONFIG).stat().st_mtime, UTC)
    run = TrackedRun(
        run_id=result.run_id or "",
        name=result.name,
        status="FINISHED",
        started=written,
        seconds=None,
        params={},
        metrics={**tracked(result.report.metrics), **scores, **costs},
        tags={"relevant": result.report.relevance},
        parent_id=None,
        artifact_uri=str(folder),
    )
    return Compared(run, folder)


def _of_store(word: str, uri: str | None) -> Compared:
    if re.match(r"(runs|models):", word):
        word = run_of_model(word, uri=uri)
    found = find_run(word, uri=uri) if re.fullmatch(r"[0-9a-f]{32}", word) else None
    if found is not None:
        return Compared(found)
    named = [run for run in runs_named(word, uri=uri) if TRIAL_TAG not in run.tags]
    if len(named) > 1:
        ids = ", ".join(run.run_id for run in named[-5:])
        raise ConfigError(f"{len(named)} runs have the name {brief(word)}; give an id, such as one of {ids}")
    if not named:
        raise TrackingError(
            f"{brief(word)} is no run folder, and the tracking store has no run of this id or name; "
            "`recsys-ae compare EXPERIMENT` lists runs"
        )
    return Compared(named[0])


def usual_metric(runs: Sequence[Compared]) -> str:
    """What runs are sorted by unless something else is named: test/rmse, or, where none of them predicts
    ratings, ndcg at the cutoff that most have."""
    (rmse,) = tracked({RMSE.key: 0.0})
    names = [name for one in runs for name in one.run.metrics if is_test_metric(name)]
    lists = [n for n in names if (m := find_metric(n)) is not None and m == NDCG.at(m.cutoff or 0)]
    return rmse if rmse in names or not lists else max(lists, key=lists.count)


def sorted_runs(runs: Sequence[Compared], metric: str, where: str) -> list[Compared]:
    """The runs that have the metric, best first; highest first where no direction is known. ConfigError where
    none has it; `where`: the runs in words."""
    having = [one for one in runs if math.isfinite(one.run.metrics.get(metric, math.nan))]
    if not having:
        known = sorted({name for one in runs for name in one.run.metrics if is_test_metric(name)})
        hint = advice(metric, known) if known else "train a model first"
        raise ConfigError(f"no run of {where} has the metric {brief(metric)}; {hint}")
    high = higher_is_better(metric) is not False

    def key(one: Compared) -> tuple[float, datetime]:
        return sort_key(one.run.metrics[metric], higher_is_better=high), one.run.started

    return sorted(having, key=key)


def reference_of(runs: Sequence[Compared], wanted: str | None, where: str) -> Compared:
    """The run with this id, name or folder; None: the first. ConfigError where there is none."""
    if wanted is None:
        return runs[0]
    for one in runs:
        if wanted in (one.id, one.run.run_id, one.run.name):
            return one
    names = ", ".join(dict.fromkeys(cut(one.run.name) for one in runs))
    raise ConfigError(f"--reference {brief(wanted)}: no such run in {where}; it has: {names}")


def differences(
    runs: Sequence[Compared], against: Compared, name: str, uri: str | None
) -> dict[str, Difference | str]:
    """Id -> difference to the reference, or why there is none. Reports are of the test part."""
    metric = find_metric(name)
    if metric is None or name != f"test/{metric.key}" or not metric.columns:
        return {one.id: REFERENCE if one is against else _NO_MEAN for one in runs}
    compared: dict[str, Difference | str] = {against.id: REFERENCE}
    reports: dict[str, list[Report]] = {}
    for one in [against, *(one for one in runs if one is not against)]:
        try:
            report = one.report(uri)
        except (NoReportError, DataError, StorageError):
            report = None
        if report is None or report.sums(metric) is None:
            compared[one.id] = _NO_VALUES
            continue
        base = reports.get(against.id, [report])[0]
        if why_apart(report, base, [metric]):
            compared[one.id] = APART
        else:
            reports[one.id] = [report]
    if against.id in reports:
        found = compare_reports(reports, reference=against.id, metrics=[metric])
        compared |= {difference.name: difference for difference in found}
    return compared
