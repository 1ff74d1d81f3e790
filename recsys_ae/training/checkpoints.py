"""The state of unfinished training, on disk without pickle."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from recsys_ae.errors import StorageError
from recsys_ae.files import discard, recover, replaced_folder, sole_holder
from recsys_ae.seals import FILES, check_files, checksums, read_sealed, write_arrays, write_sealed
from recsys_ae.types import Epoch

log = logging.getLogger(__name__)
Arrays = dict[str, np.ndarray]
FORMAT = 1  # raised whenever a state could no longer be put back as it was
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, SafetensorError)
_ANEW = "train without --resume"
_SECONDS_BETWEEN = 30.0  # a state can take a second to write: not after each of many short epochs


@dataclass(frozen=True, slots=True)
class TrainingState:
    """All that the next epoch depends on. Random streams need no keeping: each epoch derives its own from the
    seed.

    `parameters`: those of the last epoch; `progress`: what the optimiser and the objective remember; `best`:
    the parameters of the epoch with the best score, empty where nothing was validated; `epochs`: the curve.
    """

    parameters: Arrays
    progress: Arrays
    best: Arrays
    epochs: tuple[Epoch, ...]

    @property
    def last_epoch(self) -> int:
        return self.epochs[-1].number if self.epochs else 0


@dataclass(slots=True)
class Checkpoint:
    """Where one training keeps its state.

    `folder`: None keeps nothing. `key`: says what is trained; a folder written for another key is refused.
    Where the folder cannot be written to, the training goes on without it, and says so once. A state of more
    epochs is never replaced by one of fewer: of the same key, it is further along the very same training.
    """

    folder: Path | None
    key: str
    _last_saved: float = field(default_factory=time.monotonic)
    _broken: bool = False
    _kept_epoch: int = 0  # the last one of the state that is there

    @contextmanager
    def owned(self, *, resume: bool = False) -> Iterator[Checkpoint]:
        """The checkpoint while no other training has it, as it is after a kill at any moment. While another
        process trains the very same, one that keeps nothing. Raises StorageError where such a training is to
        be resumed."""
        if self.folder is None:
            yield self
            return
        with self._alone(self.folder) as alone:
            if alone:
                with suppress(OSError):  # what cannot be written to is said when it is written
                    recover(self.folder)
                yield self
                return
            if resume:
                raise StorageError(
                    f"{self.folder}: this very training is under way in another process; wait until it ends, "
                    "or train without --resume"
                )
            log.warning(
                "%s: this very training is under way in another process; this one keeps no state, and cannot "
                "be resumed if it is stopped",
                self.folder,
            )
            yield Checkpoint(None, self.key)

    def begin_anew(self) -> None:
        """Say that a training begins which could be continued, where that is so. Its state stays until this
        training has come as far."""
        try:
            state = self.load()
        except StorageError:  # a state that nobody could continue from
            return
        if state is not None and state.last_epoch > 0:
            self._kept_epoch = state.last_epoch
            log.warning(
                "%s keeps %d epochs of this very training, which begins anew; the same command with --resume "
                "continues from there",
                self.folder,
                state.last_epoch,
            )

    def save_if_due(self, state: Callable[[], TrainingState]) -> None:
        """Save where the last time is half a minute ago; only then the state is asked for."""
        if time.monotonic() - self._last_saved >= _SECONDS_BETWEEN:
            self.save(state())

    def save(self, state: TrainingState) -> None:
        """Write the state, whole or not at all."""
        if self.folder is None or self._broken:
            return
        try:
            if state.last_epoch >= self._kept_epoch:
                _write(self.folder, self.key, state)
        except StorageError as error:
            self._broken = True
            log.warning("%s; training goes on, and cannot be resumed if it is stopped", error)
        self._last_saved = time.monotonic()

    def load(self) -> TrainingState | None:
        """The state that was kept, None where there is none.

        Raises StorageError where the folder is damaged or was written by another training.
        """
        if self.folder is None or not self.folder.exists():
            return None
        try:
            document = read_sealed(self.folder / "state.json", advice=_ANEW)
            if document["format"] != FORMAT:
                raise ValueError("it is of another version")
            check_files(self.folder, document.get(FILES, {}), advice=_ANEW)
            arrays = load_file(self.folder / "state.safetensors")
            key, epochs = document["key"], tuple(Epoch(**epoch) for epoch in document["epochs"])
        except _DAMAGE as error:
            raise StorageError(
                f"{self.folder}: the checkpoint is damaged ({error}); train without --resume"
            ) from error
        if key != self.key:
            raise StorageError(
                f"{self.folder}: the checkpoint belongs to another config, seed or training "
                "part; train without --resume"
            )
        return TrainingState(
            _below(arrays, "parameters/"), _below(arrays, "progress/"), _below(arrays, "best/"), epochs
        )

    @property
    def is_kept(self) -> bool:
        """Whether there is a state to continue from."""
        return self.folder is not None and self.folder.exists()

    def forget(self) -> None:
        """Delete the state, for a training whose result is kept, and the folder of states with the last. It
        stays where another process has begun the same training, and deletes it when that ends."""
        if self.folder is None or not self.folder.exists():
            return
        with self._alone(self.folder) as alone:
            if alone:
                discard(self.folder)
        with suppress(OSError):  # it has other states
            self.folder.parent.rmdir()

    def _alone(self, folder: Path) -> AbstractContextManager[bool]:
        return sole_holder(folder.with_name(f".{folder.name}.lock"))


def _write(folder: Path, key: str, state: TrainingState) -> None:
    parts: Mapping[str, Arrays] = {
        "parameters": state.parameters,
        "progress": state.progress,
        "best": state.best,
    }
    arrays = {f"{part}/{name}": array for part, named in parts.items() for name, array in named.items()}
    epochs: Sequence[dict] = [asdict(epoch) for epoch in state.epochs]
    with replaced_folder(folder) as temporary:
        write_arrays(temporary / "state.safetensors", arrays)
        document = {"format": FORMAT, "key": key, "epochs": epochs, FILES: checksums(temporary)}
        write_sealed(temporary / "state.json", document)


def _below(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
