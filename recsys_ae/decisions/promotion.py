"""From a model that was published to the champion that lists are made with: the decision, and its record."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recsys_ae.decisions.decision import Decision, Outcome, description, figures, tags_of_version
from recsys_ae.errors import ConfigError, DataError, RecsysError, StorageError, TrackingError, brief
from recsys_ae.evaluation.promotion import Guard, judge, metric_of, of_test, why_apart
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import Metric
from recsys_ae.results.result import json_values
from recsys_ae.tracking.runs import TrackedRun, download_report, find_run, tagged_runs
from recsys_ae.tracking.tracker import NOTE, Tracker
from recsys_ae.tracking.versions import (
    Version,
    aliased,
    check_alias,
    check_name,
    check_version,
    find_version,
    move_alias,
    tag_version,
)

_NAME, _SPLIT, _CHALLENGER = "promotion.name", "split_fingerprint", "promotion.challenger"
_DOCUMENT = "decision.json"


@dataclass(frozen=True, slots=True)
class Rules:
    """What is asked of a challenger. `metric`: None: what the champion is for, rmse where it predicts
    ratings, else ndcg. `force`: the challenger is promoted whatever the comparison says."""

    metric: Metric | None = None
    guards: tuple[Guard, ...] = ()
    force: bool = False

    @classmethod
    def parse(cls, metric: str | None, guards: Sequence[str], *, force: bool = False) -> Rules:
        """The rules that options say. Raises ConfigError for what is no metric of the test part."""
        found = None if metric is None else of_test(metric)
        if metric is not None and found is None:
            raise ConfigError(
                f"--metric {brief(metric)}: no metric of the test part; give one such as test/ndcg_at_10"
            )
        return cls(found, tuple(Guard.parse(text) for text in guards), force)


def experiment_of(name: str) -> str:
    """The experiment that holds the decisions on a registered model."""
    return f"promotions of {name}"


def promote(
    name: str,
    rules: Rules,
    *,
    challenger: str = "challenger",
    champion: str = "champion",
    uri: str | None = None,
    tracker_of: Callable[[str, str], Tracker],
) -> Decision:
    """Move the alias `champion` of a registered model to the `challenger` (an alias or a number), if it is
    better on the same test part by more than luck and keeps all guards. The first one has no rival.

    Every decision is a run (`tracker_of`: experiment and name -> its tracker) and tags of the challenger's
    version; the alias moves last, so that whatever fails before leaves the champion where it was. Raises
    ConfigError, DataError or TrackingError for what cannot be compared, which `force` overrules.
    """
    check_name(name)
    check_alias(champion)
    if not challenger.isdecimal():
        check_alias(challenger)
    ours, theirs = find_version(name, challenger, uri=uri), aliased(name, champion, uri=uri)
    if theirs is not None and theirs.number == ours.number:
        return Decision(champion, "same", ours, theirs)
    check_version(ours, uri=uri)
    found = _decided(champion, ours, theirs, rules, uri)
    return _carried_out(found, rules, uri, tracker_of)


def _decided(alias: str, ours: Version, theirs: Version | None, rules: Rules, uri: str | None) -> Decision:
    if theirs is None:
        return Decision(alias, "first", ours, None)
    try:
        reports = _report_of(ours, uri), _report_of(theirs, uri)
        metric = rules.metric or metric_of(reports[1])
        if metric is None:
            raise ConfigError(f"{theirs.uri} has neither rmse nor ndcg; say by which --metric to compare")
        _check_comparable(ours, theirs, *reports, [metric, *(guard.metric for guard in rules.guards)])
        verdict = judge(*reports, metric, rules.guards)
    except RecsysError as error:
        if not rules.force:
            raise
        problem = str(error).partition("; ")[0]  # what to do about it has been done
        return Decision(alias, "forced", ours, theirs, problem=problem)
    outcome: Outcome = "promoted" if verdict.passes else "forced" if rules.force else "kept"
    split = reports[0].split_fingerprint
    n_looks = _looks(ours, split, uri)
    return Decision(alias, outcome, ours, theirs, verdict, n_looks=n_looks, split=split)


def _check_comparable(
    ours: Version, theirs: Version, one: Report, other: Report, metrics: Sequence[Metric]
) -> None:
    """Raises DataError where the reports of both are not of the same test part."""
    if why := why_apart(one, other, metrics):
        raise DataError(
            f"{ours.uri} cannot be compared with {theirs.uri}, as {why}; train both on the same ratings, "
            "split and evaluation, or promote with --force, which is recorded"
        )


def _looks(ours: Version, split: str, uri: str | None) -> int:
    """How many challengers, this one among them, have been held against the test part of a split."""
    seen = tagged_runs({_NAME: ours.name, _SPLIT: split}, uri=uri)
    return len({run.tags.get(_CHALLENGER) for run in seen if run.is_complete} | {ours.model_id})


def _report_of(version: Version, uri: str | None) -> Report:
    run = _run_of(version, uri)
    try:
        report = Report.from_parquet(download_report(run, uri=uri))
    except StorageError as error:
        raise DataError(f"{version.uri}: the report of its run cannot be read: {error}") from error
    if not report.metrics:
        raise DataError(
            f"{version.uri} was not tested, as its run held no ratings out; promote a model that was, or "
            "with --force, which is recorded"
        )
    return report


def _run_of(version: Version, uri: str | None) -> TrackedRun:
    run = find_run(version.run_id, uri=uri) if version.run_id else None
    if run is None:
        raise TrackingError(
            f"{version.uri} has no run in the tracking store (deleted, or registered by another program), "
            "and so no test to compare; publish the model of a run, or promote with --force, which is "
            "recorded"
        )
    return run


def _carried_out(
    found: Decision, rules: Rules, uri: str | None, tracker_of: Callable[[str, str], Tracker]
) -> Decision:
    """The decision with the id of its run. Until the alias moves, nothing but its record has changed."""
    ours = found.challenger
    before = found.champion
    against = "" if before is None else f" against {before.number}"
    with tracker_of(experiment_of(ours.name), f"{ours.number}{against}") as tracker:
        done = replace(found, run_id=tracker.run_id)
        _record(tracker, done, rules)
        tag_version(ours, tags_of_version(done), uri=uri)
        if done.is_promoted:
            move_alias(ours, done.alias, before=before, uri=uri)
    return done


def _record(tracker: Tracker, found: Decision, rules: Rules) -> None:
    """Tell the run what was asked, what was found and what was decided."""
    ours, theirs, verdict = found.challenger, found.champion, found.verdict
    guards = {f"guard.{guard.metric.key}": guard.margin for guard in rules.guards}
    metric = rules.metric if verdict is None else verdict.metric
    asked = {"metric": None if metric is None else metric.key, "force": rules.force, **guards}
    versions = {"challenger": ours.uri, "champion": None if theirs is None else theirs.uri}
    tracker.params({**versions, "alias": found.alias, **asked})
    tracker.tags(
        {
            _NAME: ours.name,
            _CHALLENGER: ours.model_id,
            "outcome": found.outcome,
            "forced": str(found.outcome == "forced").lower(),
            **({_SPLIT: found.split} if found.split else {}),
            NOTE: description(found),
        }
    )
    if verdict is not None:
        tracker.metrics(figures(verdict))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _DOCUMENT
        path.write_text(json.dumps(json_values(found.to_json()), indent=2) + "\n", encoding="utf-8")
        tracker.artifact(path)
