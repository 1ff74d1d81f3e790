"""What all model configs share, and the biases that some of them take off first. Imports no torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from recsys_ae.config import Config

MOST_WIDTH = 65_536  # of a layer, or of factors: more would be a matrix larger than any memory
Width = Annotated[int, Field(gt=0, le=MOST_WIDTH)]


class BaseModelConfig(Config):
    """What a run must know of a model before it fits.

    `predicts_ratings`: its scores are in rating units. `ranks`: the order of a user's scores means something.
    `trains_in_epochs`: validation ratings choose its epoch, and a training that was stopped can be resumed.
    `fits_on_gpu`: it heeds the device; all others fit on the CPU.
    """

    predicts_ratings: ClassVar[bool] = False
    ranks: ClassVar[bool] = True
    trains_in_epochs: ClassVar[bool] = False
    fits_on_gpu: ClassVar[bool] = False

    @property
    def max_epochs(self) -> int | None:
        """How many epochs fitting reports at most; None where it reports none."""
        return None


class BiasesConfig(BaseModelConfig):
    """Mean + damped item bias + damped user bias (Koren 2010, section 2.1), refined by alternating until
    nothing moves, `sweeps` times at most. Defaults chosen by validation RMSE on ml-100k and movietweetings;
    Koren damps items by 10 and users by 15."""

    predicts_ratings: ClassVar[bool] = True
    kind: Literal["biases"] = "biases"
    item_damping: NonNegativeFloat = 5.0
    user_damping: NonNegativeFloat = 5.0
    sweeps: PositiveInt = 100
