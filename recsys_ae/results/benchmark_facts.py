"""What a benchmark ran, readable: the data, the machine's part, and the settings of each model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from recsys_ae.reporting.page import Block, Facts, Fold, Text
from recsys_ae.results.benchmark import BenchmarkResult, Entry
from recsys_ae.results.folder import CONFIG
from recsys_ae.results.readable import settings_of, unusual, value_text
from recsys_ae.results.result import RunResult
from recsys_ae.settings.configs import BenchmarkConfig, EntryConfig


def what_was_run(result: BenchmarkResult) -> Iterator[Block]:
    """In short, and behind folds what only a second reader asks for."""
    config, fingerprints = result.config, result.fingerprints()
    runs = [run for entry in result.entries for run in entry.runs]
    counts = runs[0].report.counts if runs else {}
    seconds = sum(v.seconds for e in result.entries for v in e.validations())
    seconds += sum(run.cost.fit_seconds + run.cost.evaluate_seconds for run in runs)
    split = {name: value for name, value in settings_of(config.split).items() if name != "kind"}
    facts: dict[str, Any] = {"data": config.data.label}
    if "train_ratings" in counts:
        total = counts["train_ratings"] + counts["holdout_ratings"]
        facts["size"] = f"{total:,} ratings of {counts['users']:,} users and {counts['items']:,} items"
    facts |= {
        "split": ", ".join(
            [config.split.kind, *(f"{name.replace('_', ' ')} {value}" for name, value in split.items())]
        ),
        "tested on": f"{counts.get('holdout_ratings', 0):,} ratings of "
        f"{counts.get('evaluated_users', 0):,} users (first seed)",
        "seeds": ", ".join(map(str, config.seeds)),
        "trials of each model": config.trials,
        "validation share": f"{config.validation.share:g}",
        "reference": config.reference,
        "finished": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "time of all fits and tests": _duration(seconds),
        "fitted on": ", ".join(sorted({_fitted_on(run) for run in runs})),
        "again with": f"recsys-ae benchmark {CONFIG} (the file beside this page)",
    }
    yield Facts(facts)
    identity: dict[str, Any] = {
        "data fingerprint": ", ".join(sorted({row["data"] for row in fingerprints})),
        "split fingerprints": ", ".join(row["split"] for row in fingerprints),
    }
    if runs:
        identity["commit"] = runs[0].origin.git_commit or "installed, not from a repository"
        identity |= runs[0].origin.versions
    data, plain = settings_of(config.data), _unusual_of_data(config)
    yield Fold("Fingerprints and versions", [Facts(identity)])
    yield Fold("How the data were read", [Facts(data, plain)])


def _unusual_of_data(config: BenchmarkConfig) -> frozenset[str]:
    """The settings of the data that are not what they would be for this source by default."""
    usual = settings_of(type(config.data)(source=config.data.source))
    return frozenset(name for name, value in settings_of(config.data).items() if usual[name] != value)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _fitted_on(run: RunResult) -> str:
    return f"{run.fit.device} with {run.fit.threads} {'thread' if run.fit.threads == 1 else 'threads'}"


def settings_card(entry: Entry) -> tuple[str, Sequence[Block]]:
    """What the file says of a model where that differs from the defaults, what was tried and chosen, and all
    settings behind a fold."""
    config = entry.config
    settings, changed = settings_of(config.model), unusual(config.model)
    shown = {"kind": config.model.kind} | {name: value for name, value in settings.items() if name in changed}
    tried = {f"{name}, tried": _domain_text(config, name) for name in (*config.grid, *config.space)}
    chosen: dict[str, list[str]] = {}
    for validation in entry.validations():
        for name, value in validation.winner.settings.items():
            chosen.setdefault(f"{name}, chosen", []).append(value_text(value))
    picked = {name: "; ".join(dict.fromkeys(values)) for name, values in chosen.items()}
    for name in {name.removesuffix(", chosen") for name in picked}:
        shown.pop(name, None)
    blocks: list[Block] = [Facts(shown | tried | picked, frozenset(picked))]
    if entry.was_stopped:
        blocks.append(Text("Not run, or not with every seed, as the benchmark was stopped."))
    elif entry.error is not None:
        blocks.append(Text(f"Failed: {entry.error}"))
    blocks.append(Fold("All settings as in the file", [Facts(settings, changed)]))
    return config.name, blocks


def _domain_text(config: EntryConfig, name: str) -> str:
    if name in config.grid:
        return "; ".join(map(value_text, config.grid[name]))
    domain = config.space[name].model_dump(mode="json")
    if "values" in domain:
        return "; ".join(map(value_text, domain["values"]))
    return f"{domain['low']:g} to {domain['high']:g}" + (", by ratios" if domain["log"] else "")
