"""The folder of a run: everything that it found, whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from recsys_ae.config import Config
from recsys_ae.data.histories import Histories
from recsys_ae.errors import ConfigError, RecsysError, StorageError
from recsys_ae.files import check_writable, replaced
from recsys_ae.metrics import Metric
from recsys_ae.models.storage import save_model
from recsys_ae.recommender import Recommender
from recsys_ae.reporting.plots import plot_curves, plot_predictions
from recsys_ae.results.result import (
    EPOCHS,
    REPORT,
    RESULT,
    VALIDATION,
    RunResult,
    json_values,
    tracked,
    write_json,
)
from recsys_ae.settings.configs import BenchmarkConfig, ExperimentConfig
from recsys_ae.settings.load import load_experiment
from recsys_ae.types import Epoch

CONFIG, MODEL = "config.yaml", "model"
RUNS = Path("runs")


def new_folder(config: ExperimentConfig | BenchmarkConfig, out: Path | None, *, resume: bool = False) -> Path:
    """The folder of a new run or benchmark: `out`, else runs/<name>-<UTC time>. Made by whoever writes it.

    Raises ConfigError where `out` is taken, as results are never overwritten, or cannot be made: better now
    than after the fitting. With `resume` the results of an interrupted run of the same config are replaced.
    """
    if out is None:
        stem = f"{config.name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 1000))
        return next(RUNS / name for name in names if not (RUNS / name).exists())
    if out.exists() and not _is_interrupted(out, config):
        raise ConfigError(f"--out {out}: exists already; choose another folder, or remove it first")
    if out.exists() and not resume:
        raise ConfigError(
            f"--out {out}: exists already and holds this very run, stopped by Ctrl-C; add --resume to "
            "continue it, or choose another folder"
        )
    check_writable(out, "--out")
    return out


def _is_interrupted(folder: Path, config: ExperimentConfig | BenchmarkConfig) -> bool:
    """Whether the folder holds what Ctrl-C left of a run of this config."""
    try:
        found, result = read_run(folder)
    except RecsysError:
        return False
    return result.fit.interrupted and found == config


def write_run(
    result: RunResult,
    config: ExperimentConfig,
    *,
    model: Recommender,
    histories: Histories,
    epochs: Sequence[Epoch],
    metric: Metric | None,
) -> None:
    """Write config.yaml (whole, defaults included), result.json, epochs.csv, per_user.parquet, plots, model/.

    `histories`: all that may be read of the users of the model. `metric`: what the epochs' scores measure.
    """
    with replaced(result.folder) as temporary:
        temporary.mkdir()
        (temporary / CONFIG).write_text(yaml_of(config), encoding="utf-8")
        write_json(temporary / RESULT, result.to_json())
        if epochs:
            _write_epochs(temporary / EPOCHS, epochs, metric)
            plot_curves(epochs, temporary / "curves.svg", metric=metric)
        result.report.to_parquet(temporary / REPORT)
        if result.report.predictions is not None:
            found = result.report.predictions
            plot_predictions(found.actual, found.predicted, temporary / "predictions.svg")
        save_model(temporary / MODEL, model, histories=histories, info=_model_info(config, result))


def read_run(folder: Path) -> tuple[ExperimentConfig, RunResult]:
    """What a run folder holds. Raises StorageError where it is none, or not whole."""
    result = RunResult.from_folder(folder)
    for name in (CONFIG, MODEL):
        if not (folder / name).exists():
            raise StorageError(f"{folder}: the run folder lacks {name}; train again")
    return load_experiment(folder / CONFIG), result


def yaml_of(config: Config) -> str:
    """The whole config, defaults included, in the order of its fields; reading it gives an equal config."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def rewrite_result(folder: Path, result: RunResult) -> Path:
    """Replace result.json, for what is known only after tracking."""
    with replaced(folder / RESULT) as temporary:
        write_json(temporary, result.to_json())
    return folder / RESULT


def _write_epochs(path: Path, epochs: Sequence[Epoch], metric: Metric | None) -> None:
    """One row per epoch: number, seconds, total, each term of the objective, the validation metric."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [
            {"epoch": epoch.number, "seconds": epoch.seconds, **curve_point(epoch, metric)}
            for epoch in epochs
        ]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def curve_point(epoch: Epoch, metric: Metric | None) -> dict[str, float]:
    """The values of one epoch under their tracked names: train/total, train/<term>, validation/<metric>."""
    point = {} if epoch.total is None else {"train/total": epoch.total}
    point |= {f"train/{name}": value for name, value in epoch.terms.items()}
    if metric is not None and epoch.score is not None:
        point[f"{VALIDATION}{metric.key}"] = epoch.score
    return point


def read_epochs(folder: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """(epoch, values) of epochs.csv; nothing where the model had no epochs."""
    path = folder / EPOCHS
    if not path.exists():
        return
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                values = {key: float(text) for key, text in row.items() if "/" in key and text}
                yield int(row["epoch"]), values
    except (ValueError, KeyError) as error:
        raise StorageError(f"{path}: damaged ({error}); train again") from error


def _model_info(config: ExperimentConfig, result: RunResult) -> dict[str, Any]:
    """What a model folder says of its origin."""
    return json_values(
        {
            "name": config.name,
            "config": config.model_dump(mode="json"),
            **asdict(result.origin),
            "validation": None if result.validation is None else result.validation.to_json(),
            "metrics": tracked(result.report.metrics),
            "relevance": result.report.relevance,
            "working_folder": str(Path.cwd()),  # where a relative path of the data leads somewhere
        }
    )
