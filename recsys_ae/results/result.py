"""What a run found, as a value and as a JSON document."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from recsys_ae.data.configs import Feedback
from recsys_ae.errors import StorageError
from recsys_ae.evaluation.report import REPORT, Report
from recsys_ae.files import replaced
from recsys_ae.results.trials import Trial, Validation
from recsys_ae.seals import FILES, check_files, read_sealed, write_sealed

FORMAT = 2  # of every result.json; raised when older programs could no longer read what newer ones write
RESULT, EPOCHS = "result.json", "epochs.csv"
VALIDATION = "validation/"  # the curve, epoch by epoch
VALIDATED = "validated/"  # the score of what was chosen
_TEST = "test/"
_COPY = "take it from a copy, or train again"
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class FitRecord:
    """How the model was fitted. `best_epoch`: the epoch whose model was kept, None for a model without
    epochs. `metric`: the validation metric that chose it, None where nothing was validated. `device` is "cpu"
    or "cuda". `resumable`: a training that was interrupted left a state to continue from. `refitted`: the
    model is one of all training ratings, fitted in `best_epoch` epochs; `epochs_run` are those of the
    training that chose them."""

    epochs_run: int
    best_epoch: int | None
    interrupted: bool
    device: str
    threads: int
    metric: str | None = None
    resumable: bool = False
    refitted: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the result comes from. `training_fingerprint`: of the training part, validation ratings included;
    `fitted_fingerprint`: of the ratings that the model was fitted to, the same unless it gave some up to
    validation; both are "" in documents of older programs. `git_commit`: None where the code was installed.
    `feedback`: what the values of the ratings are; None in results of older programs.
    """

    seed: int
    data_fingerprint: str
    split_fingerprint: str
    versions: dict[str, str]
    git_commit: str | None
    training_fingerprint: str = ""
    fitted_fingerprint: str = ""
    feedback: Feedback | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall times in seconds, and the highest memory of the process in MB. `fit_seconds` are of both fits of a
    model that was refitted, and of a resumed training those since it was resumed. `epoch_seconds`: the median
    of the epochs, validation left out; None where the model has none, or in results of older programs."""

    fit_seconds: float
    evaluate_seconds: float
    peak_memory_mb: float
    epoch_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run. `model` is the tracked URI, or the path of the model folder where there is none; `run_id` is
    None where the run was not tracked. `validation`: what chose epochs and settings, None where nothing was
    chosen. `metrics_before_refit`: the test metrics of the model that chose the epoch, where the one that
    was kept was fitted anew."""

    name: str
    report: Report
    fit: FitRecord
    origin: Origin
    cost: Cost
    folder: Path
    model: str
    run_id: str | None
    validation: Validation | None = None
    metrics_before_refit: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON values only, without the values per user; metrics have their tracked names."""
        report = self.report
        return json_values(
            {
                "format": FORMAT,
                "name": self.name,
                "run_id": self.run_id,
                "model": self.model,
                "folder": str(self.folder),
                "validation": None if self.validation is None else self.validation.to_json(),
                "report": {
                    "status": report.status,
                    "metrics": tracked(report.metrics),
                    "metrics_before_refit": tracked(self.metrics_before_refit),
                    "counts": report.counts,
                    "fallback": report.fallback,
                    "relevant": report.relevant,
                    "split_name": report.split_name,
                },
                "fit": asdict(self.fit),
                "origin": asdict(self.origin),
                "cost": asdict(self.cost),
            }
        )

    @classmethod
    def from_folder(cls, folder: Path, *, whole: bool = True) -> RunResult:
        """The result that a run folder holds, values per user included. Keys that this program does not know
        are ignored. `whole`: false where some of its files are elsewhere, as the model in a tracking store.

        Raises StorageError where the folder is none, is not whole, or was written by a newer program.
        """
        document = read_document(folder, whole=whole)
        try:
            parts = _parts(document, folder)
            return cls(
                name=document["name"],
                report=_read_report(folder, parts["report"]),
                fit=_record(FitRecord, parts["fit"]),
                origin=_record(Origin, parts["origin"]),
                cost=_record(Cost, parts["cost"]),
                folder=Path(document["folder"]),
                model=document["model"],
                run_id=document["run_id"],
                validation=_read_validation(document.get("validation")),
                metrics_before_refit={
                    untracked_name(name): value
                    for name, value in parts["report"].get("metrics_before_refit", {}).items()
                },
            )
        except (KeyError, TypeError, AttributeError):
            raise no_run(folder) from None


def tracked(metrics: Mapping[str, float]) -> dict[str, float]:
    """Test metrics under the names that trackers and documents give them: rmse becomes test/rmse."""
    return {f"{_TEST}{name}": float(value) for name, value in metrics.items()}


def untracked_name(name: str) -> str:
    """The name that reports give a metric: test/rmse becomes rmse. Other names stay as they are."""
    return name.removeprefix(_TEST)


def is_test_metric(name: str) -> bool:
    """Whether a tracked value is a metric of the test part."""
    return name.startswith(_TEST)


def _parts(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The parts of a document. In the first format, which had no number, one flat mapping held them all."""
    if document.get("format", 1) > FORMAT:
        raise StorageError(
            f"{folder / RESULT}: has format {document['format']}, and this program reads up to {FORMAT}; "
            "upgrade recsys-ae to read it"
        )
    if "format" in document:
        return {part: document[part] for part in ("report", "fit", "origin", "cost")}
    flat = document | {"metric": _metric_of_curve(folder)}
    return dict.fromkeys(("report", "fit", "origin", "cost"), flat)


def _metric_of_curve(folder: Path) -> str | None:
    """The validation metric of a run, by the columns of its curve: the first format did not say it."""
    path = folder / EPOCHS
    columns = path.read_text(encoding="utf-8").partition("\n")[0].split(",") if path.exists() else []
    return next((name.removeprefix(VALIDATION) for name in columns if name.startswith(VALIDATION)), None)


def _record(kind: type[R], values: Mapping[str, Any]) -> R:
    """A record made of the values that it knows. TypeError where one is missing."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in known})


def _read_validation(document: Mapping[str, Any] | None) -> Validation | None:
    if document is None:
        return None
    trials = tuple(_record(Trial, trial) for trial in document["trials"])
    found = (document["metric"], trials, document["chosen"], document["edges"])
    return Validation(*found, document.get("importances", {}), document.get("also", {}))


def _read_report(folder: Path, document: Mapping[str, Any]) -> Report:
    if not (folder / REPORT).exists():
        raise StorageError(f"{folder}: the run folder lacks {REPORT}; train again")
    report = Report.from_parquet(folder / REPORT)
    return replace(report, counts={**report.counts, **document["counts"]})


def read_document(folder: Path, *, whole: bool = True) -> Any:
    """What result.json holds in a folder of results. Raises StorageError where it cannot be read, and where
    it or a file that it knows of is not as it was written, or, of a `whole` folder, missing."""
    try:
        document = read_sealed(folder / RESULT, advice=_COPY)
        files = document.get(FILES, {})
        there = {name: seal for name, seal in files.items() if whole or (folder / name).exists()}
        check_files(folder, there, advice=_COPY)
    except (OSError, ValueError, AttributeError, RecursionError):
        raise no_run(folder) from None
    return document


def no_run(folder: Path) -> StorageError:
    """What to raise for a folder without a result that can be read."""
    return StorageError(
        f"{folder}: no run folder (it holds no readable {RESULT}); "
        "give a folder that train or benchmark has written"
    )


def json_values(value: Any) -> Any:
    """The same value with NaN and infinity as null, tuples as lists and NumPy scalars as numbers."""
    if isinstance(value, Mapping):
        return {str(key): json_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(inner) for inner in value]
    if hasattr(value, "tolist"):
        return json_values(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_document(path: Path, document: Mapping[str, Any], *, files: Mapping[str, str]) -> None:
    """Write a result.json. `files`: the checksums of the files that belong to it."""
    write_sealed(path, {**json_values(document), FILES: dict(files)})


def rewrite_document(folder: Path, document: Mapping[str, Any]) -> None:
    """Replace result.json; what it says of other files stays."""
    files = read_sealed(folder / RESULT, advice=_COPY).get(FILES, {})
    with replaced(folder / RESULT) as temporary:
        write_document(temporary, document, files=files)
