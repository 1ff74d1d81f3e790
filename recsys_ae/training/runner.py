"""The one way to train over epochs: validate, stop, keep the best, obey Ctrl-C, checkpoint, resume.

What is trained may be a network under a torch optimiser, or the two sides of a factorisation under
alternating least squares: whatever improves epoch by epoch and can say its state in arrays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import isnan
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from recsys_ae.errors import ConfigError, StorageError, brief
from recsys_ae.training.checkpoints import Arrays, Checkpoint, TrainingState
from recsys_ae.training.interrupts import deferred_interrupt
from recsys_ae.types import Epoch, Progress, unwatched

log = logging.getLogger(__name__)
C = TypeVar("C")
Fitted = TypeVar("Fitted", covariant=True)
Candidate = TypeVar("Candidate", covariant=True)
Compared = TypeVar("Compared", contravariant=True)


BEFORE_TRAINING = Epoch(0, {}, None, 0.0, 0)
DEVICES = ("auto", "cpu", "cuda")


def ignore(event: object) -> None:
    """Hear of something and do nothing."""


@dataclass(frozen=True, slots=True)
class Context:
    """How work is run, as against what is run: nothing here decides a result.

    `device`: "auto", "cpu" or "cuda". `checkpoints`: folder that holds the states of unfinished trainings,
    each under its key; None keeps none. `resume`: continue from there. `keep_state`: a training that came to
    its end leaves its state too, for the sake of what follows: that may be stopped, or find no room.
    `on_epoch`: told of each epoch (progress bar, tracker). `on_read`: told how many bytes of the ratings have
    been read, of how many. `on_tested`: told how many users a test has behind it, of how many. `anyway`: fit
    a model even to data that it is not meant for.
    """

    device: str = "auto"
    checkpoints: Path | None = None
    resume: bool = False
    keep_state: bool = False
    on_epoch: Callable[[Epoch], None] = ignore
    on_read: Progress = unwatched
    on_tested: Progress = unwatched
    anyway: bool = False

    def __post_init__(self) -> None:
        """Raises ConfigError for a device that no machine has, for models that use none, too."""
        if self.device not in DEVICES:
            raise ConfigError(f"device {brief(self.device)} is unknown; use auto, cpu or cuda")


class Validator(Protocol[Compared]):
    """What candidates are chosen by: a figure on validation data. `fingerprint` says what decides it."""

    @property
    def fingerprint(self) -> str: ...

    def __call__(self, candidate: Compared, /) -> float: ...

    def is_better(self, score: float, than: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class TrainingOptions(Generic[C]):
    """What one training is given beside its config and its ratings.

    `seed`: of all that it draws. `validator`: chooses its epoch; None keeps the last. `key`: names this very
    training in the folder of checkpoints: a hash of all that decides its result.
    """

    seed: int = 0
    validator: Validator[C] | None = None
    context: Context = Context()
    key: str = ""


class Trainee(Protocol[Candidate]):
    """Something that improves epoch by epoch.

    Arrays that it gives may be its own memory: whoever keeps them makes copies.
    """

    def epochs(self, done: Sequence[Epoch]) -> Iterator[Epoch]:
        """Train, and yield after each epoch that follows those `done`."""
        ...

    def parameters(self) -> Arrays:
        """What a candidate is made of."""
        ...

    def progress(self) -> Arrays:
        """What the next epoch depends on beside the parameters, such as the moments of an optimiser."""
        ...

    def restore(self, parameters: Arrays, progress: Arrays | None = None) -> None:
        """Put parameters back, and the progress where training is to go on."""
        ...

    def candidate(self) -> Candidate:
        """The fitted value that the parameters make now. It shares no memory with what trains on."""
        ...


@dataclass(frozen=True, slots=True)
class EpochRules:
    """`max_epochs` at most; validated after every `validate_every` epochs and after the last. `patience`:
    epochs without a better score after which training stops, at the next validation; None: it never does.
    `pretraining`: that many of the epochs, the first ones, are neither validated nor counted by these rules:
    they train parts of a candidate."""

    max_epochs: int
    patience: int | None = None
    validate_every: int = 1
    pretraining: int = 0


@dataclass(frozen=True, slots=True)
class Trained(Generic[Fitted]):
    """A fitted value and how it came to be. `epochs`: the curve, from epoch 0, the state before all training,
    where candidates were validated; `best_epoch`: the epoch whose parameters were kept, the last one where
    nothing was validated, None for a model without epochs; `interrupted`: ended by Ctrl-C. `checkpoint`: the
    state that training can be continued from."""

    model: Fitted
    epochs: tuple[Epoch, ...] = ()
    best_epoch: int | None = None
    interrupted: bool = False
    checkpoint: Checkpoint | None = None

    @property
    def resumable(self) -> bool:
        """Whether the training was interrupted and its state was kept."""
        return self.interrupted and self.checkpoint is not None and self.checkpoint.is_kept

    def forget(self) -> None:
        """Delete the state of a training that came to its end, once its result is kept; that of an
        interrupted one stays."""
        if self.checkpoint is not None and not self.interrupted:
            self.checkpoint.forget()


@dataclass(slots=True)
class _Best:
    """The first of the epochs with the best score so far, and its parameters."""

    epoch: Epoch | None = None
    parameters: Arrays = field(default_factory=dict)

    def is_beaten_by(self, epoch: Epoch, validator: Validator[C]) -> bool:
        if epoch.score is None or isnan(epoch.score):
            return False
        return self.epoch is None or validator.is_better(epoch.score, _score(self.epoch))

    def judged(self, epoch: Epoch, trainee: Trainee[C], validator: Validator[C]) -> Epoch:
        """The epoch with the score of the candidate as it is now, which is kept if it is the best so far."""
        epoch = replace(epoch, score=validator(trainee.candidate()))
        if self.is_beaten_by(epoch, validator):
            self.epoch = epoch
            self.parameters = {name: array.copy() for name, array in trainee.parameters().items()}
        return epoch


def run_training(trainee: Trainee[C], rules: EpochRules, options: TrainingOptions[C]) -> Trained[C]:
    """Train to the end, to the end of patience or to Ctrl-C, and give the candidate of the best epoch.
    SIGTERM and SIGHUP leave the state alone: their sender does not wait.

    The state before all training is a candidate too, as epoch 0. Without a validator the last epoch is kept.
    A resumed training ends at exactly the result that an uninterrupted one has; the epochs that it has behind
    it are told to `on_epoch` again, so that there is one curve. Raises StorageError where the state to resume
    from is damaged.
    """
    context = options.context
    folder = None if context.checkpoints is None else context.checkpoints / options.key
    with Checkpoint(folder, options.key).owned(resume=context.resume) as checkpoint:
        return _run(trainee, rules, options, checkpoint)


def _run(
    trainee: Trainee[C], rules: EpochRules, options: TrainingOptions[C], checkpoint: Checkpoint
) -> Trained[C]:
    validator, context = options.validator, options.context
    done, best = _begin(trainee, checkpoint, options)
    interrupted = False

    def state() -> TrainingState:
        return TrainingState(trainee.parameters(), trainee.progress(), best.parameters, tuple(done))

    with deferred_interrupt() as interrupt:
        for epoch in () if _is_over(done, best, rules) else trainee.epochs(tuple(done)):
            if validator is not None and _is_validated(epoch.number, rules):
                epoch = best.judged(epoch, trainee, validator)
            done.append(epoch)
            context.on_epoch(epoch)
            interrupted = interrupt.requested
            if interrupted or _is_over(done, best, rules):
                break
            checkpoint.save_if_due(state)
        if interrupted or context.keep_state:
            checkpoint.save(state())
        if interrupt.is_of_others and checkpoint.is_kept:
            place = checkpoint.folder
            log.warning("%s keeps the training; the same command with --resume continues it", place)
        interrupt.end_where_others_asked()
    if best.epoch is not None:
        trainee.restore(best.parameters)
    kept = best.epoch or (done[-1] if done else BEFORE_TRAINING)
    return Trained(trainee.candidate(), tuple(done), kept.number, interrupted, checkpoint)


def _begin(
    trainee: Trainee[C], checkpoint: Checkpoint, options: TrainingOptions[C]
) -> tuple[list[Epoch], _Best]:
    """The epochs behind this training and the best of them: those of the training that is resumed, else epoch
    0, where there is a validator to judge it."""
    validator, context = options.validator, options.context
    state = checkpoint.load() if context.resume else None
    if state is None:
        if not context.resume:
            checkpoint.begin_anew()
        elif context.checkpoints is not None:
            log.warning(
                "no interrupted training of this config, seed and data was found in %s; training starts anew",
                context.checkpoints,
            )
        best = _Best()
        if validator is None:
            return [], best
        untrained = best.judged(BEFORE_TRAINING, trainee, validator)
        context.on_epoch(untrained)
        return [untrained], best
    try:
        trainee.restore(state.parameters, state.progress)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StorageError(
            f"{checkpoint.folder}: the checkpoint does not fit this training ({error}); train without "
            "--resume"
        ) from error
    best = _Best(parameters=state.best)
    for epoch in state.epochs:
        if validator is not None and best.is_beaten_by(epoch, validator):
            best.epoch = epoch
        context.on_epoch(epoch)
    return list(state.epochs), best


def _is_over(done: Sequence[Epoch], best: _Best, rules: EpochRules) -> bool:
    """Whether the last epoch was validated and `patience` epochs have passed since the best."""
    if not done or done[-1].score is None or best.epoch is None or rules.patience is None:
        return False
    return done[-1].number - max(best.epoch.number, rules.pretraining) >= rules.patience


def _is_validated(number: int, rules: EpochRules) -> bool:
    own = number - rules.pretraining
    return own > 0 and (own % rules.validate_every == 0 or number == rules.max_epochs)


def _score(epoch: Epoch) -> float:
    assert epoch.score is not None
    return epoch.score
