"""The folder of a run: everything that it found, whole or not at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from recsys_ae.config import Config
from recsys_ae.errors import ConfigError, StorageError
from recsys_ae.evaluation.evaluator import predict_holdout
from recsys_ae.evaluation.report import Report
from recsys_ae.experiments.config import ExperimentConfig
from recsys_ae.experiments.fitting import Fitted, shown_score
from recsys_ae.experiments.result import RunResult, json_values, write_json
from recsys_ae.files import replaced
from recsys_ae.models.storage import save_model
from recsys_ae.reporting.plots import plot_curves, plot_predictions
from recsys_ae.splitting.split import Split

CONFIG, RESULT, EPOCHS, REPORT, MODEL = (
    "config.yaml",
    "result.json",
    "epochs.csv",
    "per_user.parquet",
    "model",
)


def new_folder(name: str, out: Path | None, base: Path = Path("runs")) -> Path:
    """A folder that does not exist yet: `out`, else `base`/<name>-<UTC time>. Made by whoever writes it.

    Raises ConfigError where `out` is taken (results are never overwritten), or cannot be made: better now
    than after the fitting.
    """
    if out is not None:
        if out.exists():
            raise ConfigError(f"--out {out}: exists already; choose another folder, or remove it first")
        parent = next(place for place in out.absolute().parents if place.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise ConfigError(f"--out {out}: {parent} is no folder that can be written to; choose another")
        return out
    stem = f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 1000))
    return next(base / name for name in names if not (base / name).exists())


def write_run(
    folder: Path, config: ExperimentConfig, split: Split, fitted: Fitted, report: Report, result: RunResult
) -> None:
    """config.yaml (whole, defaults included), result.json, epochs.csv, per_user.parquet, plots, model/."""
    with replaced(folder) as temporary:
        temporary.mkdir()
        (temporary / CONFIG).write_text(yaml_of(config), encoding="utf-8")
        write_json(temporary / RESULT, result.to_json())
        if fitted.epochs:
            write_epochs(temporary / EPOCHS, fitted)
            plot_curves(fitted.epochs, temporary / "curves.svg", metric=fitted.metric)
        report.to_parquet(temporary / REPORT)
        _plot_predictions(temporary / "predictions.svg", split, fitted)
        save_model(
            temporary / MODEL, fitted.recommender, history=split.train.matrix, info=_info(config, result)
        )


def yaml_of(config: Config) -> str:
    """The whole config, defaults included, in the order of its fields; reading it gives an equal config."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def rewrite_result(folder: Path, result: RunResult) -> Path:
    """Replace result.json, for what is known only after tracking."""
    with replaced(folder / RESULT) as temporary:
        write_json(temporary, result.to_json())
    return folder / RESULT


def write_epochs(path: Path, fitted: Fitted) -> None:
    """One row per epoch: number, seconds, total, each term of the objective, the validation metric."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [
            {"epoch": epoch.number, "seconds": epoch.seconds, **curve_point(epoch, fitted.metric)}
            for epoch in fitted.epochs
        ]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def curve_point(epoch: Any, metric: str | None) -> dict[str, float]:
    """The values of one epoch under their tracked names: train/total, train/<term>, validation/<metric>."""
    point = {"train/total": epoch.total} | {f"train/{name}": value for name, value in epoch.terms.items()}
    if metric is not None and epoch.score is not None:
        point[f"validation/{metric}"] = shown_score(metric, epoch.score)
    return point


def read_epochs(folder: Path) -> Iterable[tuple[int, dict[str, float]]]:
    """(epoch, values) as `write_epochs` wrote them; nothing where the model had no epochs."""
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


def _info(config: ExperimentConfig, result: RunResult) -> dict[str, Any]:
    """What a model folder says of its origin."""
    return json_values(
        {
            "name": config.name,
            "config": config.model_dump(mode="json"),
            "seed": config.seed,
            "data_fingerprint": result.data_fingerprint,
            "split_fingerprint": result.split_fingerprint,
            "metrics": result.metrics,
            "versions": result.versions,
            "git_commit": result.git_commit,
        }
    )


def _plot_predictions(path: Path, split: Split, fitted: Fitted) -> None:
    if fitted.recommender.predicts_ratings and split.holdout.n_observed:
        predictions = predict_holdout(fitted.recommender, split)
        plot_predictions(predictions.actual, predictions.predicted, path)
