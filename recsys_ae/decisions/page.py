"""The page of runs that somebody compares, in groups of those that met the same test part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from recsys_ae.decisions.compared import Compared
from recsys_ae.decisions.groups import MOST, Group
from recsys_ae.files import replaced
from recsys_ae.reporting.page import Block, Fold, Lead, Section, Text, page
from recsys_ae.reporting.tables import Table
from recsys_ae.results.benchmark import BenchmarkResult, Entry, full_table
from recsys_ae.results.benchmark_figures import measured
from recsys_ae.results.benchmark_page import figure_sections
from recsys_ae.results.conclusion import conclusion_notes, conclusions, nothing

_APART = (
    "Each group was tested on ratings of its own, or counts other lists as right. A figure of one group says "
    "nothing of a figure of another: the difference may be that of the ratings. So there is a table, a "
    "reference and a set of figures for each group, and no difference is taken between two groups."
)
_READING = (
    "All runs of a group predict the same held-out ratings, after training on the same others, as their "
    "fingerprints say; each may have kept some of these back to choose its epoch or settings by. Differences "
    "to {reference} are paired over users, and their p-values are corrected by Holm's method for all of the "
    "group; RMSE is of predicted ratings (low is better), NDCG of the order of the whole catalogue (high is "
    "better).{picked}"
)
_PICKED = (
    " {reference} is the reference for being the best by the test part, which makes it look a little better "
    "than it is; --reference names another."
)
_UNLIKE = (
    "The runs kept different ratings back to be validated on, so that their validation scores do not say "
    "which is first."
)


def write_page(path: Path, title: str, groups: Sequence[Group], missing: Sequence[Compared]) -> None:
    """Write the page, whole or not at all."""
    with replaced(path) as temporary:
        temporary.write_text(comparison_page(title, groups, missing), encoding="utf-8")


def comparison_page(title: str, groups: Sequence[Group], missing: Sequence[Compared]) -> str:
    """One HTML page that needs nothing beside it. `missing`: runs without a result that can be read."""
    sections = [_apart(groups)] if len(groups) > 1 else []
    for number, group in enumerate(groups, 1):
        of_group = list(_of_group(group) if len(group.runs) > 1 else _of_one(group))
        above = f"Group {number} of {len(groups)}" if len(groups) > 1 else ""
        first = f"{above}: {group.words}" if above else ""
        sections += [replace(each, above=above if place else first) for place, each in enumerate(of_group)]
    if missing:
        names = ", ".join(dict.fromkeys(one.name for one in missing))
        text = (
            f"Without a result that can be read, such as runs that failed or are of older programs: {names}."
        )
        sections.append(Section("Not shown", [Text(text)]))
    return page(title, sections, subtitle=_subtitle(groups), lead=_lead(groups))


def _subtitle(groups: Sequence[Group]) -> str:
    n = sum(len(group.runs) for group in groups)
    text = f"{n} {'run' if n == 1 else 'runs'}"
    text += f" in {len(groups)} groups" if len(groups) > 1 else "".join(f" on {g.words}" for g in groups)
    return f"{text}, {datetime.now(UTC):%d %B %Y}"


def _lead(groups: Sequence[Group]) -> Lead:
    """The conclusion of each group, by validation ratings where these are the same for its runs."""
    sentences: list[tuple[str, str]] = []
    notes: list[str] = []
    if len(groups) > 1:
        text = f"These runs were not all tested alike, and are shown in {len(groups)} groups."
        sentences.append(("", text))
    for number, group in enumerate(groups, 1):
        result = group.result if group.validated_alike else _without_validation(group.result)
        name = f"Group {number}" if len(groups) > 1 else ""
        if len(group.runs) == 1:
            alone = f"{group.labels[0]}, with nothing to compare it with."
            sentences.append((name, f"{name}: {alone}" if name else alone))
            continue
        found = conclusions(result)
        said = [(one.model or "", one.sentence) for one in found] or [("", nothing(result))]
        sentences += [(name, f"{name}: {sentence}") for _, sentence in said] if name else said
        notes += conclusion_notes(result, found) + ([] if group.validated_alike else [_UNLIKE])
    if not groups:
        sentences.append(("", "No run has a result that can be read."))
    return Lead(sentences, list(dict.fromkeys(notes)))


def _without_validation(result: BenchmarkResult) -> BenchmarkResult:
    entries = tuple(
        Entry(entry.config, [replace(run, validation=None) for run in entry.runs]) for entry in result.entries
    )
    return replace(result, entries=entries)


def _apart(groups: Sequence[Group]) -> Section:
    """Why there are groups: what they do not have in common, in a table."""
    rows = []
    for number, group in enumerate(groups, 1):
        config, report = group.result.config, group.report
        fingerprints = report.data_fingerprint[:8], report.split_fingerprint[:8]
        split = f"{config.split.kind}, seed {config.seeds[0]}"
        label, relevance = config.data.label, report.relevance
        rows.append((str(number), len(group.runs), label, fingerprints[0], split, fingerprints[1], relevance))
    columns = ("group", "runs", "data", "ratings", "split", "test part", "hits")
    table = Table(columns, tuple(rows), tight=frozenset(columns))
    note = Text("Ratings and test part: the beginnings of their fingerprints.", small=True)
    return Section("Why these runs are shown apart", [Text(_APART), table, note])


def _of_group(group: Group) -> Iterator[Section]:
    result = group.result
    picked = _PICKED.format(reference=result.config.reference) if group.is_picked else ""
    reading = _READING.format(reference=result.config.reference, picked=picked)
    if group.n_left_out:
        reading += f"\n\nOf {len(group.runs)} runs the best {MOST} are shown."
    yield Section("Settings that differ", list(_settings(group)))
    yield from figure_sections(
        result, measured(result), full_table(result), f"{reading}\n\n{group.report.fallback}"
    )
    yield Section("What was run", list(_what_was_run(group)))


def _of_one(group: Group) -> Iterator[Section]:
    """A run that nothing can be compared with: what it reached."""
    yield Section("One run", [full_table(group.result), *_what_was_run(group)])


def _settings(group: Group) -> Iterator[Block]:
    """A row for each run, a column for each setting that is not the same in all."""
    found = group.differing()
    if not found:
        yield Text("None: the runs were asked for the same.")
        return
    kinds = [config.model.kind for config in group.configs]
    columns = {"run": list(group.labels), "model.kind": kinds, **found}
    if len(set(kinds)) == 1:
        del columns["model.kind"]
    rows = tuple(zip(*columns.values(), strict=True))
    yield Table(tuple(columns), rows)
    note = "–: the model has no such setting. Defaults that only some kinds of models have are left out."
    yield Text(note, small=True)


def _what_was_run(group: Group) -> Iterator[Block]:
    rows = []
    for label, one, entry in zip(group.labels, group.shown, group.result.entries, strict=True):
        (run,) = entry.runs
        started = f"{one.run.started:%Y-%m-%d %H:%M}"
        origin, fit = run.origin, run.fit
        fitted = f"{fit.device}, {fit.threads} {'thread' if fit.threads == 1 else 'threads'}"
        commit = (origin.git_commit or "")[:10] or None
        rows.append((label, one.run.name, started, fitted, origin.versions.get("recsys-ae"), commit, one.id))
    columns = ("run", "name", "started (UTC)", "fitted on", "version", "commit", "run id or folder")
    yield Table(columns, tuple(rows), tight=frozenset(columns[:3]))
    report = group.report
    identity = f"Ratings {report.data_fingerprint}, split {report.split_fingerprint}."
    yield Fold("Fingerprints", [Text(identity)])
