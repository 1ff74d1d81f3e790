"""What may be added to the loss of a network for the sake of its codes. Imports no torch.

The other fields of a config are what `nn.penalties.PENALTIES` gives to the penalty of its kind, by name. One
weight means the same for small and large data, networks and rows: the loss is a mean over entries, and a
penalty one over units; the docstrings there say what papers' weights are in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat

from recsys_ae.config import Config, Share


class CodePenaltyConfig(Config):
    """What all penalties on codes share."""

    def of_all_rows(self) -> Self:
        """The same where each step takes all rows, which it reads in blocks."""
        return self

    def clash(self, activation: str, hidden: Sequence[int]) -> str | None:
        """Why it cannot be had with hidden layers of these widths and this activation; None: it can."""
        return None


class SparseKLConfig(CodePenaltyConfig):
    """The mean activation of each unit is to be `rho` (a tanh counts as (1 + a) / 2): `beta` times its
    divergence from that. The mean is one `over` each mini-batch ("batch"), a running mean of these, of which
    a share of `decay` is left after each step ("running"), or one over all rows, taken before each epoch
    ("data"). Where each step takes all rows, "batch" and "data" mean the same: the mean over all rows as the
    step reads them, for which it reads them twice."""

    kind: Literal["kl-sparse"] = "kl-sparse"
    rho: Share = 0.05
    beta: NonNegativeFloat = 0.1
    over: Literal["batch", "running", "data"] = "batch"
    decay: Share = 0.9

    def of_all_rows(self) -> Self:
        return self.model_copy(update={"over": "data"})

    def clash(self, activation: str, hidden: Sequence[int]) -> str | None:
        if activation in ("sigmoid", "tanh"):
            return None
        return (
            f"penalty 'kl-sparse' holds the mean activation of units between two states, which activation "
            f"{activation!r} does not have; set activation: sigmoid or tanh, or penalty: {{kind: l1}}"
        )


class L1Config(CodePenaltyConfig):
    """`weight` times the mean absolute activation."""

    kind: Literal["l1"] = "l1"
    weight: NonNegativeFloat = 0.1


class ContractiveConfig(CodePenaltyConfig):
    """`weight` times the squared Jacobian of the code by the entries of a row: noise in them is to move the
    code little. It is known in closed form for one hidden layer."""

    kind: Literal["contractive"] = "contractive"
    weight: NonNegativeFloat = 10.0

    def clash(self, activation: str, hidden: Sequence[int]) -> str | None:
        if len(hidden) == 1:
            return None
        return (
            f"penalty 'contractive' is known in closed form for one hidden layer, and hidden has "
            f"{len(hidden)}; give hidden one width, or choose another penalty"
        )


PenaltyConfig = Annotated[SparseKLConfig | L1Config | ContractiveConfig, Field(discriminator="kind")]
