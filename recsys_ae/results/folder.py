"""The folder of a run: everything that it found, whole or not at all."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from recsys_ae.config import Config
from recsys_ae.data.histories import Histories
from recsys_ae.errors import ConfigError, RecsysError, StorageError
from recsys_ae.evaluation.report import OF_ITEMS, Report
from recsys_ae.files import check_writable, claimed, remove_dead_claim, replaced_folder
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
    rewrite_document,
    tracked,
    write_document,
)
from recsys_ae.seals import checksums
from recsys_ae.settings.configs import BenchmarkConfig, ExperimentConfig, SearchConfig
from recsys_ae.settings.load import load_experiment
from recsys_ae.types import Epoch

CONFIG, MODEL = "config.yaml", "model"
STUDY = "study.db"  # of a search; other programs may open it, and so no checksum seals it
RUNS = Path("runs")
TABLE = "table.md"  # of a benchmark
_RESCUED = "run"  # a name that fits everywhere
_MEMORY = Path("/dev/shm")


@contextmanager
def new_folder(
    config: ExperimentConfig | BenchmarkConfig | SearchConfig,
    out: Path | None,
    *,
    resume: bool = False,
    goes_on: Callable[[Path], bool] = lambda folder: False,
) -> Iterator[Path]:
    """The folder of a new run or benchmark: `out`, else runs/<name>-<UTC time>. It is this process's own
    while the block lasts, and gone after it where nothing was written.

    Raises ConfigError where `out` has anything in it, as results are never overwritten, is that of another
    run at work, or cannot be made: better now than after the fitting. With `resume` the results of an
    interrupted run of the same config are replaced. `goes_on`: whether a folder that is not empty may be used
    all the same, as that of a search which goes on there.
    """
    with ExitStack() as stack:
        if out is None:
            out = _claimed_by_time(config.name, stack)
        else:
            _claim(out, config, resume, goes_on, stack)
        yield out


def _claimed_by_time(name: str, stack: ExitStack) -> Path:
    """The next name that nobody has. What killed runs of the same name have claimed is removed."""
    of_time = re.compile(rf"{re.escape(name)}-\d{{8}}T\d{{6}}Z(-\d+)?")
    for folder in sorted(RUNS.glob("*")):
        if of_time.fullmatch(folder.name):
            remove_dead_claim(folder)
    stem = f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    check_writable(RUNS / stem, "--out")
    for number in count(1):
        folder = RUNS / (stem if number == 1 else f"{stem}-{number}")
        with suppress(FileExistsError):
            stack.enter_context(claimed(folder, fresh=True))
            return folder
    raise AssertionError("there is always a next number")


def _claim(
    out: Path,
    config: ExperimentConfig | BenchmarkConfig | SearchConfig,
    resume: bool,
    goes_on: Callable[[Path], bool],
    stack: ExitStack,
) -> None:
    check_writable(out, "--out")
    taken = ConfigError(f"--out {out}: exists already; choose another folder, or remove it first")
    try:
        stack.enter_context(claimed(out))
    except FileExistsError:
        raise taken from None
    except BlockingIOError:
        raise ConfigError(f"--out {out}: another run writes there now; choose another folder") from None
    except OSError as error:
        raise ConfigError(
            f"--out {out}: cannot be made ({error.strerror or error}); choose another folder"
        ) from error
    if not any(out.iterdir()) or goes_on(out):
        return
    if not _is_interrupted(out, config):
        raise taken
    if not resume:
        raise ConfigError(
            f"--out {out}: exists already and holds this very run, stopped by Ctrl-C; add --resume to "
            "continue it, or choose another folder"
        )


def _is_interrupted(folder: Path, config: Config) -> bool:
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
    state: Path | None = None,
    write_more: Callable[[Path, Report], None] | None = None,
) -> None:
    """Write config.yaml (whole, defaults included), result.json, epochs.csv, per_user.parquet,
    per_item.parquet, plots, model/.

    `histories`: all that may be read of the users of the model. `metric`: what the epochs' scores measure.
    `state`: where that of the training is kept. `write_more`: writes what else belongs to the results into
    the folder that it is given. Raises StorageError where the folder cannot be written, such as on a full
    disk. What was found in hours is then written to another place, on another disk if there is one.
    """

    def write(result: RunResult) -> None:
        with replaced_folder(result.folder) as temporary:
            (temporary / CONFIG).write_text(yaml_of(config), encoding="utf-8")
            if epochs:
                _write_epochs(temporary / EPOCHS, epochs, metric)
                plot_curves(epochs, temporary / "curves.svg", metric=metric)
            result.report.to_parquet(temporary / REPORT)
            result.report.items_to_parquet(temporary / OF_ITEMS)
            if result.report.predictions is not None:
                found = result.report.predictions
                plot_predictions(found.actual, found.predicted, temporary / "predictions.svg")
            save_model(temporary / MODEL, model, histories=histories, info=_model_info(config, result))
            if write_more is not None:
                write_more(temporary, result.report)
            files = checksums(temporary)
            files.pop(STUDY, None)
            write_document(temporary / RESULT, result.to_json(), files=files)

    try:
        write(result)
    except StorageError as error:
        place = _elsewhere(result, write)
        if place is not None:
            rescue = f"they are in {place}: move them to another place, such as one on another disk"
        elif state is not None:
            rescue = f"make room, and the same command with --resume continues the training kept in {state}"
        else:
            rescue = "make room and train again"
        reason = getattr(error.__cause__, "strerror", None) or error.__cause__
        raise StorageError(f"{result.folder}: the results cannot be written ({reason}); {rescue}") from error


def _elsewhere(result: RunResult, write: Callable[[RunResult], None]) -> Path | None:
    """Where the results went instead; None where there is no room for them anywhere."""
    for parent in _other_places(result.folder):
        with suppress(OSError, StorageError):
            place = Path(tempfile.mkdtemp(prefix="recsys-ae-", dir=parent)) / _RESCUED
            try:
                write(replace(result, folder=place, model=str(place / MODEL)))
            except StorageError:
                place.parent.rmdir()
                raise
            return place
    return None


def _other_places(folder: Path) -> list[Path]:
    """Where results may go instead: to the folders for temporary files, of work and of the user, those on
    another disk than `folder` first, and at last into memory."""
    found = []
    for place in (tempfile.gettempdir, Path.cwd, Path.home):
        with suppress(OSError, RuntimeError):  # there is none
            found.append(Path(place()))
    with suppress(OSError):
        disk = next(parent for parent in folder.absolute().parents if parent.exists()).stat().st_dev
        found.sort(key=lambda place: place.stat().st_dev == disk)
    return [*found, _MEMORY]


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


def rewrite_result(folder: Path, result: RunResult) -> None:
    """Replace result.json, for what is known only after tracking."""
    rewrite_document(folder, result.to_json())


def _write_epochs(path: Path, epochs: Sequence[Epoch], metric: Metric | None) -> None:
    """One row per epoch: number, seconds, total, each term of the objective, each measure, the validation
    metric."""
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
    """The values of one epoch under their tracked names: train/total, train/<term>, measures/<measure>,
    validation/<metric>."""
    point = {} if epoch.total is None else {"train/total": epoch.total}
    point |= {f"train/{name}": value for name, value in epoch.terms.items()}
    point |= {f"measures/{name}": value for name, value in epoch.measures.items()}
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
