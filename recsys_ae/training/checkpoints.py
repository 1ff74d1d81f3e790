"""The state of unfinished training, on disk without pickle."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from recsys_ae.errors import StorageError
from recsys_ae.files import remove_leftovers, replaced, write_arrays
from recsys_ae.types import Epoch

log = logging.getLogger(__name__)
Arrays = dict[str, np.ndarray]
FORMAT = 1  # raised whenever a state could no longer be put back as it was
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


@dataclass(slots=True)
class Checkpoint:
    """Where one training keeps its state.

    `folder`: None keeps nothing. `key`: says what is trained; a folder written for another key is refused.
    Where the folder cannot be written to, the training goes on without it, and says so once.
    """

    folder: Path | None
    key: str
    _last_saved: float = field(default_factory=time.monotonic)
    _broken: bool = False

    def save_if_due(self, state: Callable[[], TrainingState]) -> None:
        """Save where the last time is half a minute ago; only then the state is asked for."""
        if time.monotonic() - self._last_saved >= _SECONDS_BETWEEN:
            self.save(state())

    def save(self, state: TrainingState) -> None:
        """Write the state, whole or not at all."""
        if self.folder is None or self._broken:
            return
        try:
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
            document = json.loads((self.folder / "state.json").read_text())
            if document["format"] != FORMAT:
                raise ValueError("it is of another version")
            arrays = load_file(self.folder / "state.safetensors")
            key, epochs = document["key"], tuple(Epoch(**epoch) for epoch in document["epochs"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
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

    def clear_leftovers(self) -> None:
        """Remove what a killed process left half-written."""
        if self.folder is not None:
            remove_leftovers(self.folder)

    @property
    def is_kept(self) -> bool:
        """Whether there is a state to continue from."""
        return self.folder is not None and self.folder.exists()

    def forget(self) -> None:
        """Delete the state, for a training whose result is kept, and the folder of states with the last."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):  # it has other states, or never was
                self.folder.parent.rmdir()


def _write(folder: Path, key: str, state: TrainingState) -> None:
    parts: Mapping[str, Arrays] = {
        "parameters": state.parameters,
        "progress": state.progress,
        "best": state.best,
    }
    arrays = {f"{part}/{name}": array for part, named in parts.items() for name, array in named.items()}
    epochs: Sequence[dict] = [asdict(epoch) for epoch in state.epochs]
    with replaced(folder) as temporary:
        temporary.mkdir()
        write_arrays(temporary / "state.safetensors", arrays)
        (temporary / "state.json").write_text(json.dumps({"format": FORMAT, "key": key, "epochs": epochs}))


def _below(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
