"""One trial of a tuning: fitted to a part of the training ratings, scored on the rest, told to a tracker."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Any, Protocol

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import CapabilityError, RecsysError, out_of_memory
from recsys_ae.evaluation.validation import Validator
from recsys_ae.experiments.fit import Fit, fit_ratings
from recsys_ae.experiments.resources import timed
from recsys_ae.metrics import Metric
from recsys_ae.results.folder import curve_point
from recsys_ae.results.tracking import track_settings, track_trial
from recsys_ae.results.trials import Edge, Trial
from recsys_ae.settings.configs import EntryConfig
from recsys_ae.settings.spaces import changed
from recsys_ae.tracking.tracker import Tracker
from recsys_ae.training.runner import Context
from recsys_ae.types import Epoch

log = logging.getLogger(__name__)


class Proposals(Protocol):
    """Where the settings of the trials come from: a grid, or a search (`study.py`)."""

    @property
    def trials(self) -> list[Trial]:
        """All that are finished, those of an earlier process too."""
        ...

    def propose(self) -> dict[str, Any] | None:
        """The settings of the next trial, None where there is none."""
        ...

    def is_hopeless(self, epoch: Epoch) -> bool:
        """Told of each epoch of the trial under way: whether it is to end there."""
        ...

    def keep(self, trial: Trial) -> None:
        """Told of the finished trial."""
        ...

    def edges(self, settings: Mapping[str, Any]) -> dict[str, Edge]:
        """The chosen settings beyond which a better value may lie."""
        ...

    def importances(self) -> dict[str, float]:
        """How much each setting matters, as shares of 1; empty where that is not known."""
        ...


class _Pruned(Exception):
    """Ends the training of a trial that is hopeless."""


@dataclass(frozen=True, slots=True)
class Task:
    """What all trials of a tuning share. `train`: the training ratings less those that the validator has."""

    entry: EntryConfig
    train: Ratings
    validator: Validator
    seed: int
    context: Context
    tracker: Tracker

    @property
    def metric(self) -> Metric:
        return self.validator.metric


def origin(entry: EntryConfig) -> str:
    """Where the settings of the trials come from, for sentences about them."""
    return f"the {'space' if entry.space else 'grid'} of model {entry.name!r}"


def run_trial(
    task: Task, proposals: Proposals, settings: dict[str, Any], *, number: int
) -> tuple[Trial, Fit | RecsysError | None]:
    """One trial, with its fit, or the error that it failed with; with None where it was pruned."""
    epochs: list[Epoch] = []
    with task.tracker.child(f"trial-{number}", waits=False) as tracker:
        track_settings(tracker, settings)
        with timed() as usage:
            outcome = _fitted(task, proposals, settings, tracker, epochs)
        match outcome:
            case Fit():
                trial = outcome.trial(settings)
            case None:
                trial = _pruned(settings, epochs, task.validator, usage.seconds)
            case error:
                log.warning("%s with %s has no validation score: %s", task.entry.name, settings, error)
                trial = Trial(settings, None, usage.seconds, error=str(error))
        track_trial(tracker, number, trial, task.metric.key)
    return trial, outcome


def _fitted(
    task: Task, proposals: Proposals, settings: dict[str, Any], tracker: Tracker, epochs: list[Epoch]
) -> Fit | RecsysError | None:
    """The fit; None where it was pruned. `epochs`: gets the curve."""

    def hear(epoch: Epoch) -> None:
        epochs.append(epoch)
        tracker.metrics(curve_point(epoch, task.metric), step=epoch.number)
        task.context.on_epoch(epoch)
        if proposals.is_hopeless(epoch):
            raise _Pruned

    try:
        model = changed(task.entry.model, settings, where=origin(task.entry))
        context = replace(task.context, on_epoch=hear)
        fit = fit_ratings(model, task.train, task.validator, seed=task.seed, context=context)
    except _Pruned:
        return None
    except RecsysError as error:
        return error
    except Exception as error:
        sentence = out_of_memory(error)  # such as that of the widest of a range of layers
        if sentence is None:
            raise
        return CapabilityError(sentence)
    if fit.trained.interrupted:
        raise KeyboardInterrupt
    return fit


def _pruned(settings: dict[str, Any], epochs: Sequence[Epoch], validator: Validator, seconds: float) -> Trial:
    """A trial that ended early, with the best of its epochs."""
    best: Epoch | None = None
    for epoch in epochs:
        if epoch.score is not None and not isnan(epoch.score):
            than = None if best is None else best.score
            best = epoch if than is None or validator.is_better(epoch.score, than) else best
    assert best is not None  # only a score can be behind others
    return Trial(settings, best.score, seconds, epochs[-1].number, best.number, pruned=True)
