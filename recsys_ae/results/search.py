"""What a search leaves beside the results of its best model: its trials, and a config of the best."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys_ae.errors import RecsysError
from recsys_ae.evaluation.report import Report
from recsys_ae.reporting.tables import figure_text
from recsys_ae.results.folder import STUDY, yaml_of
from recsys_ae.results.result import RunResult, json_values
from recsys_ae.results.search_page import search_page
from recsys_ae.results.trials import Trial, Validation
from recsys_ae.settings.configs import ExperimentConfig, SearchConfig

SEARCH, BEST, TRIALS_CSV, TRIALS_JSON = "search.yaml", "best.yaml", "trials.csv", "trials.json"
PAGE = "page.html"


def write_search(
    folder: Path,
    config: SearchConfig,
    best: ExperimentConfig,
    validation: Validation,
    report: Report,
    study: Path,
) -> None:
    """Write search.yaml, best.yaml, trials.csv, trials.json, page.html and the study itself. `report`: of the
    best settings on the test part."""
    (folder / SEARCH).write_text(yaml_of(config), encoding="utf-8")
    number, n_trials = validation.chosen + 1, len(validation.trials)
    score = figure_text(validation.metric, validation.score or 0.0)
    said = f"# Trial {number} of the {n_trials} of a search: {validation.metric} {score} in validation.\n"
    (folder / BEST).write_text(said + yaml_of(best), encoding="utf-8")
    _write_csv(folder / TRIALS_CSV, validation)
    document = json.dumps(json_values(validation.to_json()), indent=2)
    (folder / TRIALS_JSON).write_text(document + "\n", encoding="utf-8")
    (folder / PAGE).write_text(search_page(config, best, validation, report), encoding="utf-8")
    shutil.copyfile(study, folder / STUDY)


def _write_csv(path: Path, validation: Validation) -> None:
    """A row for each trial: its number, its settings, its score, and how it went."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [_row(number, trial, validation.metric) for number, trial in enumerate(validation.trials, 1)]
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _row(number: int, trial: Trial, metric: str) -> dict[str, Any]:
    return {
        "trial": number,
        **{name: _cell(value) for name, value in trial.settings.items()},
        f"validation {metric}": trial.score,
        "ended": trial.ended,
        "epochs run": trial.epochs_run,
        "best epoch": trial.best_epoch,
        "seconds": round(trial.seconds, 3),
        "error": trial.error,
    }


def _cell(value: Any) -> Any:
    """Lists, mappings, null and such as JSON writes them."""
    return (
        value if isinstance(value, str | int | float) and not isinstance(value, bool) else json.dumps(value)
    )


def is_finished(folder: Path) -> bool:
    """Whether a folder has the results of a search, and not those of one whose last fit Ctrl-C has ended."""
    try:
        return not RunResult.from_folder(folder).fit.interrupted
    except RecsysError:
        return False


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings as a line for people."""
    return ", ".join(f"{name} {_cell(value)}" for name, value in settings.items())
