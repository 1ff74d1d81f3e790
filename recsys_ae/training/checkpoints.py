"""The state of unfinished training, on disk without pickle."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from recsys_ae.errors import StorageError
from recsys_ae.files import replaced
from recsys_ae.training.stopping import EarlyStopping
from recsys_ae.types import Epoch

_SECONDS_BETWEEN = 30.0  # a state can take a second to write: not after each of many short epochs


@dataclass(slots=True)
class Checkpoint:
    """Where training keeps its state: parameters, optimiser, best epoch and the curve so far. Random streams
    need no keeping: each epoch derives its own from the seed.

    `key`: says what is trained; a folder written for another key is refused.
    """

    folder: Path | None
    key: str
    _last_saved: float = field(default_factory=time.monotonic)

    def save_if_due(
        self,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        stopping: EarlyStopping,
        epochs: Sequence[Epoch],
    ) -> None:
        if self.folder is not None and time.monotonic() - self._last_saved >= _SECONDS_BETWEEN:
            self.save(module, optimizer, stopping, epochs)

    def save(
        self,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        stopping: EarlyStopping,
        epochs: Sequence[Epoch],
    ) -> None:
        """Write the state after the last of `epochs`; does nothing without a folder."""
        if self.folder is None:
            return
        tensors = {f"parameters/{name}": p for name, p in module.state_dict().items()}
        tensors |= {f"best/{name}": p for name, p in stopping.best_parameters.items()}
        tensors |= {
            f"optimizer/{index}/{name}": value
            for index, slots in optimizer.state_dict()["state"].items()
            for name, value in slots.items()
            if isinstance(value, Tensor)
        }
        meta = {
            "key": self.key,
            "best_score": stopping.best_score,
            "best_epoch": stopping.best_epoch,
            "epochs": [asdict(epoch) for epoch in epochs],
        }
        with replaced(self.folder) as temporary:
            temporary.mkdir()
            save_file(
                {name: t.detach().cpu().contiguous() for name, t in tensors.items()},
                temporary / "state.safetensors",
            )
            (temporary / "state.json").write_text(json.dumps(meta))
        self._last_saved = time.monotonic()

    def load(
        self, module: nn.Module, optimizer: torch.optim.Optimizer, stopping: EarlyStopping
    ) -> list[Epoch]:
        """Put the kept state back and return the epochs done; [] where nothing was kept.

        Raises StorageError where the folder is damaged or was written by another training.
        """
        if self.folder is None or not self.folder.exists():
            return []
        try:
            meta = json.loads((self.folder / "state.json").read_text())
            tensors = load_file(self.folder / "state.safetensors")
        except (OSError, ValueError, SafetensorError) as error:
            raise StorageError(
                f"{self.folder}: the checkpoint is damaged ({error}); train without --resume"
            ) from error
        if meta["key"] != self.key:
            raise StorageError(
                f"{self.folder}: the checkpoint belongs to another config, seed or training "
                "part; train without --resume"
            )
        module.load_state_dict(_below(tensors, "parameters/"))
        stopping.best_parameters = _below(tensors, "best/")
        stopping.best_score, stopping.best_epoch = meta["best_score"], meta["best_epoch"]
        _load_optimizer(optimizer, _below(tensors, "optimizer/"))
        return [Epoch(**epoch) for epoch in meta["epochs"]]


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        index, name = path.split("/")
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
