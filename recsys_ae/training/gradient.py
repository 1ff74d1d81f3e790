"""Training by gradient: a network, its objective and a torch optimiser, and the step that they make."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from recsys_ae.training.checkpoints import Arrays
from recsys_ae.types import Epoch, Mean, Terms

C = TypeVar("C")
B = TypeVar("B", contravariant=True)
Schedule = Callable[[int], float]  # epoch, from 1 -> share of the initial learning rate


@dataclass(frozen=True, slots=True)
class AutogradStep(Generic[B]):
    """A step whose gradient comes from torch: forward, backward, update. Compiled steps for the same
    objectives can stand in for it.

    `objective`: (batch, step=, epoch=) -> the terms of what is minimised. `backward`: adds the gradient of
    these terms to that of the parameters.
    """

    objective: Callable[..., Terms]
    backward: Callable[[Terms], None]
    optimizer: torch.optim.Optimizer
    schedule: Schedule

    def __call__(self, batch: B, *, step: int, epoch: int) -> Terms:
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self.schedule(epoch)
        terms = self.objective(batch, step=step, epoch=epoch)
        self.optimizer.zero_grad(set_to_none=True)
        self.backward(terms)
        self.optimizer.step()
        return {name: Mean(float(term.sum.detach()), term.count) for name, term in terms.items()}


@dataclass(frozen=True, slots=True)
class GradientTrainee(Generic[C]):
    """A network that is trained by gradient, as `runner.run_training` takes it.

    `objective`: remembered too, for the buffers of its penalties. `optimizer`: None where nothing else is
    known from one epoch to the next. `train`: (done=) -> the epochs that follow; `fitted`: the fitted value
    that the network makes, in copies of its memory; `measures`: what was seen in the epoch that just ended,
    told once.
    """

    network: nn.Module
    objective: nn.Module
    optimizer: torch.optim.Optimizer | None
    train: Callable[..., Iterator[Epoch]]
    fitted: Callable[[], C]
    measures: Callable[[], Mapping[str, float]] = dict

    def epochs(self, done: Sequence[Epoch]) -> Iterator[Epoch]:
        """In training mode while it trains, in evaluation mode whenever others look."""
        self._train_mode(True)
        for epoch in self.train(done=done):
            self._train_mode(False)
            yield replace(epoch, measures=self.measures())
            self._train_mode(True)
        self._train_mode(False)

    def parameters(self) -> Arrays:
        return _arrays(self.network.state_dict())

    def progress(self) -> Arrays:
        named_slots = {} if self.optimizer is None else self.optimizer.state_dict()["state"]
        slots = {
            f"{index}/{name}": value
            for index, named in named_slots.items()
            for name, value in named.items()
            if isinstance(value, Tensor)
        }
        return _arrays(
            {f"optimizer/{name}": value for name, value in slots.items()}
            | {f"objective/{name}": value for name, value in self.objective.state_dict().items()}
        )

    def restore(self, parameters: Arrays, progress: Arrays | None = None) -> None:
        self.network.load_state_dict(_tensors(parameters, ""))
        if progress is None:
            return
        self.objective.load_state_dict(_tensors(progress, "objective/"))
        if self.optimizer is None:
            return
        state: dict[int, dict[str, Tensor]] = {}
        for path, tensor in _tensors(progress, "optimizer/").items():
            index, name = path.split("/")
            state.setdefault(int(index), {})[name] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})

    def candidate(self) -> C:
        self._train_mode(False)
        return self.fitted()

    def _train_mode(self, on: bool) -> None:
        self.network.train(on)
        self.objective.train(on)


def _arrays(tensors: Mapping[str, Tensor]) -> Arrays:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _tensors(arrays: Arrays, prefix: str) -> dict[str, Tensor]:
    """Those whose name begins with the prefix, as copies without it."""
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(array))
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def make_optimizer(
    name: Literal["adam", "adamw", "sgd", "rmsprop", "rprop"],
    parameters: Iterable[Tensor],
    *,
    learning_rate: float,
    weight_decay: float = 0.01,
) -> torch.optim.Optimizer:
    """An optimiser of nothing but the gradient: penalties belong to the objective, not to the optimiser. The
    one exception is the decoupled `weight_decay` of AdamW (Loshchilov and Hutter 2019), which is no gradient
    of anything: it takes learning rate × decay off each weight in each step, biases excluded."""
    all_of_them = list(parameters)
    group = [{"params": all_of_them, "initial_lr": learning_rate}]
    match name:
        case "adam":
            return torch.optim.Adam(group, lr=learning_rate, fused=True)
        case "adamw":
            weights = [parameter for parameter in all_of_them if parameter.dim() >= 2]
            biases = [parameter for parameter in all_of_them if parameter.dim() < 2]
            groups = [
                {"params": weights, "initial_lr": learning_rate, "weight_decay": weight_decay},
                {"params": biases, "initial_lr": learning_rate, "weight_decay": 0.0},
            ]
            return torch.optim.AdamW(groups, lr=learning_rate, fused=True)
        case "sgd":
            return torch.optim.SGD(group, lr=learning_rate, momentum=0.9, nesterov=True)
        case "rmsprop":
            return torch.optim.RMSprop(group, lr=learning_rate)
        case "rprop":
            return torch.optim.Rprop(group, lr=learning_rate)


def constant(epoch: int) -> float:
    """The initial learning rate throughout."""
    return 1.0


def cosine(epoch: int, *, epochs: int, final_share: float) -> float:
    """Half a cosine from 1 at the first epoch to `final_share` at the last of `epochs`, and after it
    (Loshchilov and Hutter 2017)."""
    progress = min((epoch - 1) / max(epochs - 1, 1), 1.0)
    return final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * progress))


def step_decay(epoch: int, *, every: int, factor: float) -> float:
    """`factor` to the power of the whole number of `every` epochs done."""
    return factor ** ((epoch - 1) // every)
