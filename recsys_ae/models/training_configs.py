"""How a network is trained: what becomes of its inputs, and how it is optimised. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from recsys_ae.config import Config, Share, UnitInterval


class MaskingConfig(Config):
    """Each observed entry is hidden with `probability`, the rest scaled by 1/(1 - probability)."""

    kind: Literal["masking"] = "masking"
    probability: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5


class GaussianNoiseConfig(Config):
    """Normal noise is added to each observed input. `deviation`: as a share of that of the inputs."""

    kind: Literal["gaussian"] = "gaussian"
    deviation: PositiveFloat = 0.3


CorruptionConfig = Annotated[MaskingConfig | GaussianNoiseConfig, Field(discriminator="kind")]


class ConstantSchedule(Config):
    """The learning rate stays as it is."""

    kind: Literal["constant"] = "constant"


class CosineSchedule(Config):
    """Half a cosine from the learning rate down to `final_share` of it, within `epochs` epochs (null: all
    those of the training), after which it stays there."""

    kind: Literal["cosine"] = "cosine"
    final_share: UnitInterval = 0.0
    epochs: PositiveInt | None = None


class StepSchedule(Config):
    """The learning rate is multiplied by `factor` after every `every` epochs."""

    kind: Literal["step"] = "step"
    every: PositiveInt = 20
    factor: Share = 0.5


ScheduleConfig = Annotated[ConstantSchedule | CosineSchedule | StepSchedule, Field(discriminator="kind")]


class PretrainingConfig(Config):
    """Greedy training of one layer after the other (Vincent et al. 2010, section 3.2): the first encoder
    layer with the last decoder layer as an autoencoder of the rows, then the second with the last but one as
    an autoencoder of what the first makes of the rows, and so on inwards, `epochs` epochs each, by the
    optimiser and at the learning rate of the training that follows, without its schedule."""

    epochs: PositiveInt = 10


class TrainingConfig(Config):
    """How an autoencoder is optimised. `batch_size`: rows of a step, fewer where an epoch would have less
    than `min_steps` steps, and more where it would have more than `max_steps`. `patience`: epochs without a
    better validation score before training stops, at the next epoch that is validated; null trains to the
    end. The best epoch is restored either way; epoch 0 is what training begins with, the biases alone."""

    epochs: NonNegativeInt = 100
    batch_size: PositiveInt = 512
    min_steps: PositiveInt = 8
    max_steps: PositiveInt = 128
    optimizer: Literal["adam", "sgd", "rmsprop"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    schedule: ScheduleConfig = ConstantSchedule()
    patience: PositiveInt | None = 10
    validate_every: PositiveInt = 1
