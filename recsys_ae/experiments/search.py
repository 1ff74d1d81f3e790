"""A search from a config to results: tune on validation ratings, fit the best to all, test it once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from recsys_ae.errors import ConfigError, RecsysError
from recsys_ae.evaluation.report import Report
from recsys_ae.experiments.fit import device_of
from recsys_ae.experiments.prepare import check_feedback, prepare
from recsys_ae.experiments.run import run_on
from recsys_ae.experiments.tune import check_settings, fingerprints, lock_of, tune
from recsys_ae.experiments.warm_up import warm_up
from recsys_ae.files import recover
from recsys_ae.results.folder import RUNS, STUDY
from recsys_ae.results.result import RunResult
from recsys_ae.results.search import is_finished, write_search
from recsys_ae.results.tracking import track_search
from recsys_ae.results.trials import Trial
from recsys_ae.settings.configs import SearchConfig
from recsys_ae.tracking.tracker import Tracker
from recsys_ae.training.runner import Context, ignore


def run_search(
    config: SearchConfig,
    folder: Path,
    context: Context,
    tracker: Tracker,
    *,
    on_trials: Callable[[Sequence[Trial]], None] = ignore,
) -> RunResult:
    """Search the settings of a model, fit the best to all training ratings and test it once.

    `folder`: of the results, as `new_folder` gives it. The study in it keeps each trial once it is finished;
    a search that was stopped goes on there and ends at the trials that it would have had. `on_trials`: told
    of all finished trials, before the first and after each.

    Raises ConfigError, before anything is read, for a space that does not hold.
    """
    check_settings(config.entry)
    device_of(config.model, context.device)  # refuses one that is not there
    split = prepare(config.data, config.split, config.seed, context.on_read)
    check_feedback(config.model, split.train, anyway=context.anyway)
    warm_up(config.model, split.train, context)
    study = folder / STUDY
    with tracker:
        track_search(tracker, config)
        tuned = tune(
            config.entry,
            split,
            config,
            seed=config.seed,
            context=context,
            tracker=tracker,
            study=study,
            on_trials=on_trials,
        )
        best = config.experiment(tuned.model)

        def write_more(place: Path, report: Report) -> None:
            write_search(place, config, best, tuned.validation, report, study)

        return run_on(best, split, folder, context, tracker, tuned=tuned, write_more=write_more)


def goes_on(folder: Path, config: SearchConfig) -> bool:
    """Whether a folder holds this very search, unfinished, or only what one left that was killed before its
    first trial. Raises ConfigError where it is another one."""
    study = folder / STUDY
    recover(study)
    if not study.is_file():
        return all(path == lock_of(study) for path in folder.iterdir())
    from recsys_ae.experiments.study import check_study  # loads Optuna

    check_study(study, fingerprints(config))
    return not is_finished(folder)


def unfinished(config: SearchConfig) -> Path:
    """The folder in which this very search was stopped, the latest of those that a search without a folder of
    its own has made. Raises ConfigError where there is none."""
    for folder in sorted(RUNS.glob(f"{config.name}-*"), reverse=True):
        try:
            if (folder / STUDY).is_file() and goes_on(folder, config):
                return folder
        except RecsysError:  # of another search
            continue
    raise ConfigError(
        f"{RUNS}: no unfinished search {config.name!r} of these settings; leave out --resume, or name its "
        "folder with --out"
    )
