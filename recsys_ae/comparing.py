"""Models side by side, from Python: benchmarks of ratings in memory, and differences between reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError, DataError, brief
from recsys_ae.evaluation.comparison import Difference
from recsys_ae.evaluation.comparison import compare as compare_reports
from recsys_ae.evaluation.report import Report
from recsys_ae.experiments.benchmark import planned, run_benchmark
from recsys_ae.experiments.tune import check_budgets
from recsys_ae.metrics import NDCG, RMSE, Metric, find_metric
from recsys_ae.model import Model
from recsys_ae.models.storage import load_model
from recsys_ae.reporting.progress import run_bar
from recsys_ae.results.benchmark import BenchmarkResult, short_notes
from recsys_ae.results.conclusion import conclusion_lines
from recsys_ae.results.folder import MODEL, new_folder
from recsys_ae.settings.configs import BenchmarkConfig
from recsys_ae.settings.explain import checked
from recsys_ae.settings.load import load_benchmark
from recsys_ae.tracking.tracker import NullTracker
from recsys_ae.training.runner import Context

Settings = str | Mapping[str, Any] | BaseModel  # a kind, its settings with a "kind", or a config
IN_MEMORY = "ratings-in-memory"  # what documents call ratings that came from no file


@dataclass(frozen=True, slots=True, eq=False)
class Benchmark:
    """What a benchmark found. `result`: all of it, as in the folder's result.json."""

    result: BenchmarkResult

    def __repr__(self) -> str:
        config = self.result.config
        failed = sum(entry.error is not None for entry in self.result.entries)
        failures = f", {failed} failed" if failed else ""
        return f"Benchmark({len(config.models)} models, {len(config.seeds)} seeds{failures}: {self.folder})"

    @property
    def folder(self) -> Path:
        """Holds page.html, table.md, table.csv, and for each model and seed a folder with the model."""
        return self.result.folder

    @property
    def table(self) -> pd.DataFrame:
        """A row for each model (index): means of its metrics over the seeds, of its times in seconds and its
        memory in MB; `error`, where a model failed."""
        rows = {}
        for entry in self.result.entries:
            done = {} if entry.error is not None else {**entry.means(), **entry.costs()}
            rows[entry.config.name] = {**done, "error": entry.error}
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
        return table if table.error.notna().any() else table.drop(columns="error")

    @property
    def differences(self) -> pd.DataFrame:
        """A row for each model and metric: see `compare`."""
        return frame_of_differences(self.result.differences)

    @property
    def conclusion(self) -> list[str]:
        """Which model, by how much and how sure: a sentence for predicted ratings, one for lists, and how
        their figures are read."""
        return conclusion_lines(self.result)

    @property
    def notes(self) -> list[str]:
        """How the figures are read, and what the choices on validation ratings leave open."""
        return short_notes(self.result)

    def model(self, name: str, seed: int | None = None) -> Model:
        """The model of that name and seed (None: the first), loaded from the folder. Raises ConfigError where
        there is none."""
        entry = next((entry for entry in self.result.entries if entry.config.name == name), None)
        runs = {} if entry is None else {run.origin.seed: run for run in entry.runs}
        if not runs or (seed is not None and seed not in runs):
            known = ", ".join(entry.config.name for entry in self.result.entries if entry.runs)
            which = brief(name) if seed is None else f"{brief(name)} with seed {seed}"
            raise ConfigError(f"there is no model {which} here; there are {known or 'none'}")
        run = runs[seed] if seed is not None else next(iter(runs.values()))
        return Model.of_stored(load_model(run.folder / MODEL))


def benchmark(
    data: Ratings | str | PathLike[str],
    models: Sequence[Settings] | Mapping[str, Settings] | None = None,
    *,
    name: str = "benchmark",
    split: Settings = "random",
    seeds: int | Sequence[int] = 0,
    reference: str | None = None,
    trials: int = 1,
    prune: bool = True,
    cutoffs: int | Sequence[int] = (10,),
    relevant: float | str | None = None,
    folder: str | PathLike[str] | None = None,
    device: str = "auto",
    anyway: bool = False,
    progress: bool | None = None,
) -> Benchmark:
    """Models on the same splits of the same ratings: fitted with every seed, tested once, compared in pairs.

    `data`: ratings of `ra.load`, or a benchmark file, which says all but where the results go. `models`:
    kinds, or mappings with a `kind` and its settings; under names of their own in a mapping. A "grid" among
    the settings, such as {"l2": [1, 10]}, holds what is tried on validation ratings: `trials` combinations
    for each model at most. So does a "space" as that of `tune`, where `prune` ends early what falls behind.
    `reference`: what the others are compared with; None: the first. `relevant`: see
    `evaluate`. `folder`: gets page, tables and models; None: runs/NAME-TIME. `progress`: a bar on stderr;
    None shows one after two seconds.

    A model that fails keeps its error, and the others go on. Raises ConfigError, before any fit, for what
    does not hold together, CapabilityError for models of ratings and data without any, unless `anyway`.
    """
    ratings = None
    if isinstance(data, Ratings):
        ratings = data
        document = {
            "name": name,
            "data": {"source": IN_MEMORY},
            "split": settings_of(split, "benchmark"),
            "seeds": listed(seeds),
            "models": (entries := _entries(models)),
            "reference": entries[0]["name"] if reference is None else reference,
            "trials": trials,
            "prune": prune,
            "evaluation": {"cutoffs": listed(cutoffs), "relevant": relevant},
        }
        config = checked(BenchmarkConfig, document, where="benchmark")
    elif isinstance(data, (str, PathLike)) and models is None:
        config = load_benchmark(Path(data))
    else:
        raise ConfigError("benchmark: give ratings of ra.load with models, or a benchmark file alone")
    check_budgets(config)
    out = None if folder is None else Path(folder).expanduser()
    with new_folder(config, out) as place, run_bar(planned(config), shown=progress) as bar:
        context = Context(
            device=device,
            on_epoch=bar.epoch,
            on_read=bar.line.reading,
            on_tested=bar.testing,
            anyway=anyway,
        )
        result = run_benchmark(
            config,
            place,
            context,
            NullTracker(),
            on_run=bar.run,
            on_trials=bar.trials,
            ratings=ratings,
        )
    return Benchmark(result)


def compare(
    reports: Mapping[str, Report | Sequence[Report]],
    *,
    reference: str | None = None,
    metrics: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Differences between models that were evaluated on the same split, paired over users; of several seeds,
    a list of reports for each model, over these too.

    `reference`: what the others are compared with; None: the first. `metrics`: keys such as "ndcg_at_10";
    None: rmse and ndcg, as far as the reports have them. The answer has the columns model, metric, difference
    (of the model less that of the reference), low and high (of the 95 % interval), p_value, p_adjusted (by
    Holm's method over the whole table), n_users, n_skipped, n_seeds and note.

    Raises ConfigError for unknown names, DataError for reports of different splits or of another relevance.
    """
    if not isinstance(reports, Mapping):
        raise DataError("compare: give the reports as a mapping, each under its name")
    several = {name: list(own) if isinstance(own, Sequence) else [own] for name, own in reports.items()}
    for name, own in several.items():
        if not own or not all(isinstance(report, Report) for report in own):
            raise DataError(f"compare: {brief(name)} must have a report of ra.evaluate, or a list of them")
    if len(several) < 2:
        raise ConfigError("compare: give the reports of two models or more, each under its name")
    against = next(iter(several)) if reference is None else reference
    known = dict.fromkeys(key for own in several.values() for report in own for key in report.metrics)
    chosen = _main_metrics(known) if metrics is None else [_metric(key, known) for key in metrics]
    return frame_of_differences(compare_reports(several, reference=against, metrics=chosen))


def frame_of_differences(differences: Sequence[Difference]) -> pd.DataFrame:
    """One row for each, in their order."""
    columns = ("model", "metric", *Difference.__dataclass_fields__)
    rows = [{"model": one.name, "metric": one.metric, **one.to_json()} for one in differences]
    kept = [name for name in dict.fromkeys(columns) if name != "name"]
    return pd.DataFrame(rows, columns=[*kept, "note"])


def _main_metrics(known: Mapping[str, None]) -> list[Metric]:
    found = [find_metric(key) for key in known]
    return [m for m in found if m is not None and m in (RMSE, NDCG.at(m.cutoff or 0))]


def _metric(key: str, known: Mapping[str, None]) -> Metric:
    found = find_metric(key) if key in known else None
    if found is None:
        raise ConfigError(f"compare: no report has the metric {brief(key)}; there are {', '.join(known)}")
    return found


def _entries(models: Sequence[Settings] | Mapping[str, Settings] | None) -> list[dict[str, Any]]:
    """As a benchmark file lists them."""
    if not models or isinstance(models, str):
        raise ConfigError('benchmark: name the models, such as ["i-autorec", "biased-mf"]')
    values = models.values() if isinstance(models, Mapping) else models
    found = [settings_of(model, "benchmark") for model in values]
    names = list(models) if isinstance(models, Mapping) else [str(each.get("kind")) for each in found]
    return [
        {"name": name, "model": settings}
        | {tried: settings.pop(tried) for tried in ("grid", "space") if tried in settings}
        for name, settings in zip(names, found, strict=True)
    ]


def settings_of(given: Settings, where: str) -> dict[str, Any]:
    """Settings with a kind, as a file has them. Raises ConfigError, which begins with `where`, for what are
    none."""
    if isinstance(given, str):
        return {"kind": given}
    if isinstance(given, BaseModel):
        return given.model_dump()
    if not isinstance(given, Mapping):
        raise ConfigError(f'{where}: {brief(given)} names no kind; give one, or a mapping with a "kind"')
    return dict(given)


def listed(numbers: int | Sequence[int]) -> Any:
    """One number is a list of it. What is no number at all is left to who checks."""
    return list(numbers) if isinstance(numbers, Iterable) and not isinstance(numbers, str) else [numbers]
