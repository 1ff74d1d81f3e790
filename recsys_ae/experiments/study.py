"""A search that proposes settings by what it has learnt, and keeps its trials. No other file knows Optuna.

Each proposal depends on the seed, its number and the trials before it, and on nothing that only memory has: a
search that was killed and goes on proposes what it would have proposed.
"""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import product
from math import isfinite, prod
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import OptunaError
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from recsys_ae.errors import ConfigError, StorageError, reason
from recsys_ae.files import added
from recsys_ae.results.trials import Edge, Trial, edges_of, end_of_range
from recsys_ae.rng import derived_seed
from recsys_ae.settings.spaces import Axis, Choices, Range
from recsys_ae.types import Epoch

_NAME, _TRIAL = "search", "trial"
_GUIDED, _DRAWS = 5, 50  # at settings that were not tried before: by what was learnt, and in all
_BEFORE_PRUNING = 5  # trials that came to their end
_TO_COMPARE = 3  # of them, with a score at the same epoch
_WARM_UP = 5  # a fifth of the epochs is never pruned: some settings begin slowly
_BEST = 0.25  # the share of the trials which an important setting tells from the others


@dataclass(slots=True)
class Study:
    """The trials of one search, one after another: `propose`, then `is_hopeless` after each epoch, then
    `keep`.

    `n_trials`: how many there will be. Where there are no more combinations than that, each that was not
    tried before is tried once, in their order; else the first trial has the settings `start`, where there are
    any. `max_epochs`: of the model; None prunes nothing. `storage`: keeps the trials on disk, each once it is
    finished; None keeps them in memory alone.
    """

    axes: Sequence[Axis]
    n_trials: int
    seed: int
    higher_is_better: bool
    start: Mapping[str, Any] | None = None
    max_epochs: int | None = None
    storage: RDBStorage | None = None
    _finished: list[FrozenTrial] = field(default_factory=list)
    _asked: optuna.Trial | None = None
    _best: float | None = None

    def __post_init__(self) -> None:
        if self.storage is not None:
            with _told():
                self._finished = optuna.load_study(study_name=_NAME, storage=self.storage).trials

    @property
    def trials(self) -> list[Trial]:
        """All that are finished, those of an earlier process too."""
        return [Trial(**json.loads(trial.user_attrs[_TRIAL])) for trial in self._finished]

    def propose(self) -> dict[str, Any] | None:
        """The settings of the next trial, None where there is none. Settings that were tried already are
        drawn again, in the end at random."""
        left, self._best = self._left(), None
        if len(self._finished) >= self.n_trials or left == []:
            return None
        if left is not None:
            return self._ask(0, left[0])
        if not self._finished and (start := self._start()) is not None:
            return self._ask(0, start)
        tried = [_text(trial.settings) for trial in self.trials]
        for draw in range(_DRAWS):
            settings = self._ask(draw)
            if _text(settings) not in tried:
                break
        return settings

    def is_hopeless(self, epoch: Epoch) -> bool:
        """Whether the best score so far of the trial under way is worse than the median of those after as
        many epochs of the trials that came to their end: of five, and of three that ran as long, or more. The
        best counts, as it is the best epoch that is kept."""
        assert self._asked is not None  # there is a trial under way
        if epoch.score is None or not isfinite(epoch.score):
            return False
        best = max if self.higher_is_better else min
        self._best = epoch.score if self._best is None else best(self._best, epoch.score)
        self._asked.report(self._best, epoch.number)
        return self._asked.should_prune()

    def keep(self, trial: Trial) -> None:
        """Finish the trial under way. One without a score counts as worse than all others. Raises
        StorageError where it cannot be written."""
        assert self._asked is not None
        scored = trial.score is not None and isfinite(trial.score)
        done = scored and not trial.pruned
        frozen = optuna.trial.create_trial(
            state=TrialState.COMPLETE if done else TrialState.PRUNED,
            value=trial.score if done else None,
            params=self._asked.params,
            distributions=self._asked.distributions,
            # the sampler reads those of a failed trial as it does those of a pruned one
            intermediate_values=self._asked.study.trials[-1].intermediate_values if scored else {},
            user_attrs={_TRIAL: json.dumps(asdict(trial))},
        )
        if self.storage is not None:
            with _told():
                optuna.load_study(study_name=_NAME, storage=self.storage).add_trial(frozen)
        self._finished.append(frozen)

    def edges(self, settings: Mapping[str, Any]) -> dict[str, Edge]:
        """The chosen settings beyond which a better value may lie."""
        listed = {axis.name: axis.domain.values for axis in self.axes if isinstance(axis.domain, Choices)}
        found = edges_of(listed, {name: settings[name] for name in listed})
        for axis in self.axes:
            if isinstance(axis.domain, Range):
                low, high = axis.domain.low, axis.domain.high
                edge = end_of_range(settings[axis.name], low, high, is_log=axis.domain.log)
                found |= {} if edge is None else {axis.name: edge}
        return found

    def importances(self) -> dict[str, float]:
        """How much each setting tells the best quarter of the trials from all, as shares of 1, by PED-ANOVA
        (Watanabe, Bansal, Hutter 2023). Nothing where there are too few trials, or one setting."""
        scored = [
            optuna.trial.create_trial(
                value=kept.score, params=trial.params, distributions=trial.distributions
            )
            for trial, kept in zip(self._finished, self.trials, strict=True)
            if kept.score is not None and isfinite(kept.score)  # a pruned one tells of its settings, too
        ]
        if len(scored) < 1 / _BEST * 2 or len(self.axes) < 2:
            return {}
        with _told():
            evaluator = PedAnovaImportanceEvaluator(target_quantile=_BEST)
            study = self._study(scored, 0)
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        return {name: float(share) for name, share in found.items() if isfinite(share)}

    def _ask(self, draw: int, fixed: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Begin a trial, of a study that knows the finished trials and nothing else. The answer is its
        settings: those that are `fixed`, as parameters, else drawn."""
        with _told():
            study = self._study(self._finished, draw)
            if fixed is not None:
                study.enqueue_trial(dict(fixed))
            self._asked = study.ask({axis.name: _distribution(axis) for axis in self.axes})
        return {axis.name: _setting(axis, self._asked.params[axis.name]) for axis in self.axes}

    def _study(self, trials: Sequence[FrozenTrial], draw: int) -> optuna.Study:
        seed = derived_seed(self.seed, "search", len(trials), draw) % 2**32  # all that the sampler takes
        study = optuna.create_study(
            direction="maximize" if self.higher_is_better else "minimize",
            sampler=TPESampler(seed=seed) if draw < _GUIDED else RandomSampler(seed=seed),
            pruner=self._pruner(),
        )
        study.add_trials(trials)
        return study

    def _pruner(self) -> BasePruner:
        if self.max_epochs is None:
            return NopPruner()
        warm_up = self.max_epochs // _WARM_UP
        return MedianPruner(_BEFORE_PRUNING, warm_up, n_min_trials=_TO_COMPARE)

    def _left(self) -> list[dict[str, Any]] | None:
        """All combinations that were not tried, as parameters; None where there are more than trials."""
        values = [axis.values() for axis in self.axes]
        known = [each for each in values if each is not None]
        if len(known) < len(values) or prod(map(len, known)) > self.n_trials:
            return None
        tried = [trial.params for trial in self._finished]
        combinations = (
            {axis.name: _parameter(axis, value) for axis, value in zip(self.axes, combination, strict=True)}
            for combination in product(*known)
        )
        return [combination for combination in combinations if combination not in tried]

    def _start(self) -> dict[str, Any] | None:
        if self.start is None:
            return None
        return {axis.name: _parameter(axis, self.start[axis.name]) for axis in self.axes}


def _distribution(axis: Axis) -> BaseDistribution:
    match axis.domain:
        case Choices(values=values):
            return CategoricalDistribution(tuple(map(_text, values)))
        case Range(low=low, high=high, log=log) if axis.whole:
            return IntDistribution(round(low), round(high), log=log)
        case Range(low=low, high=high, log=log):
            return FloatDistribution(low, high, log=log)


def _setting(axis: Axis, parameter: Any) -> Any:
    """What the config is to say, of what Optuna says."""
    if isinstance(axis.domain, Choices):
        return next(value for value in axis.domain.values if _text(value) == parameter)
    return axis.written(parameter)


def _parameter(axis: Axis, value: Any) -> Any:
    """The other way round."""
    if isinstance(axis.domain, Choices):
        return _text(value)
    return value[0] if axis.listed else value


def _text(value: Any) -> str:
    """A choice as Optuna keeps it: its choices are no lists and no mappings."""
    return json.dumps(value)


@contextmanager
def study_file(path: Path, fingerprints: Mapping[str, str]) -> Iterator[RDBStorage]:
    """The SQLite file of a search while the block lasts, made where it is missing. `fingerprints`: of all
    that decides its trials. Raises as `check_study` does, and StorageError where it cannot be made."""
    if not path.exists():
        with added(path) as new:  # so that no half of a file is ever found, nor SQLite's journal of it
            _make(new, fingerprints)
    with _opened(path) as storage:
        _check(path, storage, fingerprints)
        yield storage


def check_study(path: Path, fingerprints: Mapping[str, str]) -> None:
    """Raises ConfigError where the file keeps the trials of another search, or of other ratings; StorageError
    where it is none."""
    with _opened(path) as storage:
        _check(path, storage, fingerprints)


def _check(path: Path, storage: RDBStorage, fingerprints: Mapping[str, str]) -> None:
    with _told(path):
        found = optuna.load_study(study_name=_NAME, storage=storage).user_attrs
    for what, fingerprint in fingerprints.items():
        if found.get(what) != fingerprint:
            raise ConfigError(
                f"{path.parent}: holds a search of other {what}; choose another folder, or go on with the "
                f"very {what} of that search"
            )


def _make(path: Path, fingerprints: Mapping[str, str]) -> None:
    with _opened(path) as storage, _told(path):
        study = optuna.create_study(study_name=_NAME, storage=storage)
        for what, fingerprint in fingerprints.items():
            study.set_user_attr(what, fingerprint)


@contextmanager
def _opened(path: Path) -> Iterator[RDBStorage]:
    with _told(path):
        storage = RDBStorage("sqlite://", engine_kwargs={"creator": lambda: sqlite3.connect(path)})
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


@contextmanager
def _told(path: Path | None = None) -> Iterator[None]:
    """Optuna without its own log lines and warnings, and its failures as ours."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (OptunaError, SQLAlchemyError, sqlite3.Error, KeyError) as error:
        raise StorageError(
            f"{path or 'the study of the search'}: cannot be read or written ({reason(error)}); make room, "
            "take it from a copy, or search anew in another folder"
        ) from error
    finally:
        optuna.logging.set_verbosity(before)
