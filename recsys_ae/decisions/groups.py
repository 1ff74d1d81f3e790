"""Runs in groups that may be compared: those that were tested on the same part, each as a small benchmark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from recsys_ae.decisions.compared import Compared
from recsys_ae.errors import RecsysError
from recsys_ae.evaluation.report import OF_ITEMS, Report
from recsys_ae.metrics import find_metric
from recsys_ae.results.benchmark import BenchmarkResult, Entry, differences_to_reference
from recsys_ae.results.folder import CONFIG
from recsys_ae.results.readable import settings_of, unusual
from recsys_ae.results.result import EPOCHS, REPORT, RESULT, RunResult, is_test_metric
from recsys_ae.settings.configs import (
    BenchmarkConfig,
    BenchmarkValidationConfig,
    EntryConfig,
    ExperimentConfig,
)
from recsys_ae.settings.load import load_experiment
from recsys_ae.tracking.runs import download_files

MOST = 30  # runs of a group that figures can show
_FILES = (CONFIG, RESULT, EPOCHS, REPORT, OF_ITEMS)


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that were tested on the same ratings with the same hits, best first.

    `shown`: at most `MOST` of them, and the reference; `labels`: their names on the page; `configs`: what
    they were asked for; `result`: they as a benchmark of one seed, whose models have the labels as names.
    `is_picked`: whether the reference is the best by the test part, and not one that somebody named.
    """

    runs: tuple[Compared, ...]
    shown: tuple[Compared, ...]
    labels: tuple[str, ...]
    configs: tuple[ExperimentConfig, ...]
    result: BenchmarkResult
    is_picked: bool

    @property
    def report(self) -> Report:
        """One of the reports, for what they have in common."""
        return self.result.entries[0].runs[0].report

    @property
    def words(self) -> str:
        """What the runs have in common, for people."""
        config = self.result.config
        text = f"{config.data.label}, {config.split.kind} split, seed {config.seeds[0]}"
        return f"{text}, hits: {self.report.relevance}"

    @property
    def n_left_out(self) -> int:
        return len(self.runs) - len(self.shown)

    @property
    def validated_alike(self) -> bool:
        """Whether all runs kept the same training ratings back to be validated on."""
        kept = {
            (config.seed, config.split, None if config.validation is None else config.validation.share)
            for config in self.configs
            if config.validation is not None
        }
        return len(kept) <= 1

    def differing(self) -> dict[str, list[str | None]]:
        """Setting -> its value in each run, None where a run does not have it, of the settings that are not
        the same in all runs that have them. What only some kinds of models have counts where one of them has
        it not at its default."""
        flat = [settings_of(config) for config in self.configs]
        changed = {f"model.{name}" for config in self.configs for name in unusual(config.model)}
        names = dict.fromkeys(name for settings in flat for name in settings if name != "name")
        found = {name: [settings.get(name) for settings in flat] for name in names}
        return {
            name: values
            for name, values in found.items()
            if len(set(values) - {None}) > 1 or (None in values and name in changed)
        }


@dataclass(frozen=True, slots=True)
class _Read:
    one: Compared
    config: ExperimentConfig
    result: RunResult


def grouped(
    runs: Sequence[Compared], metric: str, reference: Compared | None, uri: str | None
) -> tuple[list[Group], list[Compared]]:
    """The runs, best first by `metric`, in groups of those that met the same test part, the largest group
    first; and those without a result that can be read. `reference`: what the others of its group are compared
    with; elsewhere, and where it is None, that is the best of the group."""
    together: dict[tuple[str, str, float | None], list[_Read]] = {}
    missing = []
    for one in runs:
        read = _read(one, uri)
        if read is None:
            missing.append(one)
        else:
            report = read.result.report
            key = (report.data_fingerprint, report.split_fingerprint, report.relevant)
            together.setdefault(key, []).append(read)
    order = sorted(together.values(), key=lambda of: (reference not in [r.one for r in of], -len(of)))
    names = _without_common_words([read.one.run.name for of in order for read in of])
    short = {read.one.id: name for read, name in zip(chain(*order), names, strict=True)}
    return [_group(of, metric, reference, short) for of in order], missing


def _read(one: Compared, uri: str | None) -> _Read | None:
    """Config, result and curve of a run; None where it has none that can be read."""
    try:
        place = one.folder if one.folder is not None else download_files(one.run, _FILES, uri=uri)
        if not (place / RESULT).exists():
            return None
        result = RunResult.from_folder(place, whole=False)
        report = _with_items(result.report, place / OF_ITEMS)
        return _Read(one, load_experiment(place / CONFIG), replace(result, report=report, folder=place))
    except (RecsysError, OSError):
        return None


def _with_items(report: Report, path: Path) -> Report:
    return report.with_items(path) if path.exists() else report


def _group(of: list[_Read], metric: str, reference: Compared | None, short: Mapping[str, str]) -> Group:
    """`short`: id -> the name of the run, less what all names begin with."""
    best, *_ = of
    against = next((read for read in of if read.one is reference), best)
    shown = [read for place, read in enumerate(of) if place < MOST or read is against]
    labels = _labels([read.one for read in shown], [short[read.one.id] for read in shown])
    entries = tuple(
        Entry(EntryConfig(name=label, model=read.config.model), [read.result])
        for label, read in zip(labels, shown, strict=True)
    )
    config = _config(shown, labels, labels[shown.index(against)], metric)
    differences = tuple(differences_to_reference(config, entries))
    result = BenchmarkResult(config, entries, differences, None, best.result.folder)
    return Group(
        tuple(read.one for read in of),
        tuple(read.one for read in shown),
        tuple(labels),
        tuple(read.config for read in shown),
        result,
        is_test_metric(metric) and against.one is not reference,
    )


def _config(of: Sequence[_Read], labels: Sequence[str], reference: str, metric: str) -> BenchmarkConfig:
    """The benchmark that the runs would be: what they have in common is that of the first, and lists are
    judged at the cutoff of `metric`, else at that of most."""
    first, wanted = of[0].config, find_metric(metric)
    depths = [read.config.evaluation.cutoffs[0] for read in of]
    usual = max(depths, key=depths.count)
    depth = usual if wanted is None or wanted.cutoff is None else wanted.cutoff
    models = [EntryConfig(name=n, model=r.config.model) for n, r in zip(labels, of, strict=True)]
    validation = {} if first.validation is None else first.validation.model_dump()
    return BenchmarkConfig(
        name="comparison",
        seeds=(first.seed,),
        data=first.data,
        split=first.split,
        validation=BenchmarkValidationConfig(**validation),
        models=tuple(models),
        reference=reference,
        trials=max(len(r.result.validation.trials) if r.result.validation else 1 for r in of),
        evaluation=first.evaluation.model_copy(update={"cutoffs": (depth,)}),
    )


def _labels(runs: Sequence[Compared], names: Sequence[str]) -> list[str]:
    """The names; those that several runs have with the beginning of the run's id, or a number."""
    labels: list[str] = []
    for one, name in zip(runs, names, strict=True):
        label = name if names.count(name) == 1 else f"{name[:60]}.{one.run.run_id[:6] or 1}"
        number = 2
        while label in labels:
            label, number = f"{name[:60]}.{number}", number + 1
        labels.append(label)
    return labels


def _without_common_words(names: Sequence[str]) -> list[str]:
    """ "films-ease" and "films-als" become "ease" and "als"."""
    n_words = 0
    for words in zip(*(name.split("-")[:-1] for name in names), strict=False):  # until the shortest ends
        if len(set(words)) > 1:
            break
        n_words += 1
    short = ["-".join(name.split("-")[n_words:]) for name in names]
    is_fit = len(set(names)) > 1 and all(re.match(r"[A-Za-z0-9]", name) for name in short)
    return short if is_fit else list(names)
