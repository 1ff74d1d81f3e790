"""When to stop, and what to go back to."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass(slots=True)
class EarlyStopping:
    """Remembers the parameters of the best validation score. `patience`: epochs without a better one after
    which training has finished; None never finishes early."""

    patience: int | None
    best_score: float = float("-inf")
    best_epoch: int = 0
    best_parameters: dict[str, Tensor] = field(default_factory=dict)

    def observe(self, epoch: int, score: float, module: nn.Module) -> None:
        """Hear the score of an epoch; the parameters are copied if it is the best so far."""
        if score > self.best_score:
            self.best_score, self.best_epoch = score, epoch
            self.best_parameters = {name: p.detach().clone() for name, p in module.state_dict().items()}

    def finished(self, epoch: int) -> bool:
        """Whether `patience` epochs have passed since the best; never where no score was heard."""
        return self.patience is not None and self.best_epoch > 0 and epoch - self.best_epoch >= self.patience

    def restore(self, module: nn.Module) -> None:
        """Put the best parameters back; nothing happens where no score was heard."""
        if self.best_parameters:
            module.load_state_dict(self.best_parameters)
