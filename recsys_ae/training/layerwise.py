"""Greedy layer-wise training: several trainings, one after the other, as one (Hinton, Osindero, Teh 2006;
Vincent et al. 2010)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Generic, TypeVar

from recsys_ae.training.checkpoints import Arrays
from recsys_ae.training.runner import Trainee
from recsys_ae.types import Epoch

C = TypeVar("C", covariant=True)
RECONSTRUCTION = "reconstruction"  # the data term of every objective


@dataclass(frozen=True, slots=True)
class Phase(Generic[C]):
    """One of the trainings: `n_epochs` of `trainee`, which counts its own from 1. `data_term`: what the curve
    calls the data term in this phase, as losses of different layers are no one curve."""

    trainee: Trainee[C]
    n_epochs: int
    data_term: str = RECONSTRUCTION


@dataclass(slots=True)
class LayerwiseTrainee(Generic[C]):
    """The phases as one training, whose epochs are numbered through. The last phase trains the whole, and all
    others parts of it in place, so the parameters are those of the last.

    `current`: the phase that the last epoch was of. What an epoch depends on beside the parameters is what
    its own phase remembers: a phase that is over is asked no more, and one to come has nothing to remember.
    """

    phases: Sequence[Phase[C]]
    current: int = field(default=0, init=False)

    def epochs(self, done: Sequence[Epoch]) -> Iterator[Epoch]:
        """Those of each phase that follow the ones done."""
        firsts = accumulate((phase.n_epochs for phase in self.phases[:-1]), initial=0)
        for place, (phase, first) in enumerate(zip(self.phases, firsts, strict=True)):
            own = [epoch for epoch in done if first < epoch.number <= first + phase.n_epochs]
            if len(own) == phase.n_epochs:
                continue
            self.current = place
            for epoch in phase.trainee.epochs([replace(e, number=e.number - first) for e in own]):
                yield _told(epoch, first, phase.data_term)

    def parameters(self) -> Arrays:
        return self.phases[-1].trainee.parameters()

    def progress(self) -> Arrays:
        """What the current phase remembers, with its place before each name."""
        own = self.phases[self.current].trainee.progress()
        return {f"{self.current}/{name}": array for name, array in own.items()}

    def restore(self, parameters: Arrays, progress: Arrays | None = None) -> None:
        self.phases[-1].trainee.restore(parameters)
        for place, phase in enumerate(self.phases):
            prefix = f"{place}/"
            own = {n.removeprefix(prefix): a for n, a in (progress or {}).items() if n.startswith(prefix)}
            if own:
                self.current = place
                phase.trainee.restore(phase.trainee.parameters(), own)

    def candidate(self) -> C:
        return self.phases[-1].trainee.candidate()


def _told(epoch: Epoch, first: int, data_term: str) -> Epoch:
    """The epoch as one of all phases, its data term under the name that it has in its own."""
    terms = {data_term if name == RECONSTRUCTION else name: value for name, value in epoch.terms.items()}
    return replace(epoch, number=first + epoch.number, terms=terms)
