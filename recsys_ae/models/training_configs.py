"""How a network is trained: what becomes of its inputs, and how it is optimised. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from recsys_ae.config import Config, Share, UnitInterval


class MaskingConfig(Config):
    """Each observed entry is hidden with `probability`. `rescale`: the rest is scaled by 1/(1 - probability),
    so that a row is read as strongly in training as later, when nothing is hidden."""

    kind: Literal["masking"] = "masking"
    probability: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5
    rescale: bool = True


class GaussianNoiseConfig(Config):
    """Normal noise is added to each observed input. `deviation`: as a share of that of the ratings; of a like
    as a share of what the network reads of it, which is less where a row has many."""

    kind: Literal["gaussian"] = "gaussian"
    deviation: PositiveFloat = 0.3


class SaltAndPepperConfig(Config):
    """Each observed input becomes, with `probability`, the lowest or the highest rating of the scale, either
    as likely as the other."""

    kind: Literal["salt-and-pepper"] = "salt-and-pepper"
    probability: UnitInterval = 0.1


CorruptionConfig = Annotated[
    MaskingConfig | GaussianNoiseConfig | SaltAndPepperConfig, Field(discriminator="kind")
]


class EmphasisConfig(Config):
    """How much the error at an entry counts whose input was `corrupted`, beside that at one whose input was
    `uncorrupted` (alpha and beta of Vincent et al. 2010, section 5.4). Only their ratio decides: both are
    scaled so that an entry counts 1 on average. With 1 and 0 a network learns from hidden entries alone."""

    corrupted: NonNegativeFloat = 1.0
    uncorrupted: NonNegativeFloat = 0.5


class WeightedLossConfig(Config):
    """Squared error over all cells (Hu, Koren, Volinsky 2008): a liked one should be 1, with a weight of 1 +
    `alpha` (of a count 1 + `alpha` · log2(1 + count / mean count)), all others 0, with a weight of 1. Only
    the liked cells are computed."""

    kind: Literal["weighted"] = "weighted"
    alpha: NonNegativeFloat = 1.0


class SampledLossConfig(Config):
    """Logistic cross-entropy of likes against `negatives` items for each of them, drawn anew in each epoch in
    proportion to popularity^`power`: 0 draws all alike. Draws are weighted so that `power` decides how often
    an item is looked at, and not what is learnt of it."""

    kind: Literal["sampled"] = "sampled"
    negatives: Annotated[int, Field(gt=0, le=1000)] = 5
    power: UnitInterval = 0.0


LikesLossConfig = Annotated[WeightedLossConfig | SampledLossConfig, Field(discriminator="kind")]


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
    end. The best epoch is restored either way; epoch 0 is what training begins with.

    "adamw" takes the learning rate times `weight_decay` (null: 0.01) off each weight in each step (Loshchilov
    and Hutter 2019). Unlike `l2` this is no part of what is minimised, and the moments of Adam do not see it.

    "l-bfgs-b" and "rprop" take all rows in each step, whatever `batch_size` says, and an epoch is
    `iterations_per_epoch` steps, within which the corruption of the inputs stays the same. L-BFGS-B finds the
    length of its steps itself (`learning_rate` means nothing), and forgets at the end of an epoch what it
    knows of the curvature: short epochs are validated more often and go down more slowly. It works in 64
    bits, with about 40 numbers for each parameter. Of Rprop `learning_rate` is the first step of each
    parameter.

    `refeed`: so many times after each step, the network takes another step, on what it makes of the whole
    rows: f(x) as input, and as target (Kuchaiev and Ginsburg 2017). That goes over all cells, each time.
    """

    epochs: NonNegativeInt = 100
    batch_size: PositiveInt = 512
    min_steps: PositiveInt = 8
    max_steps: PositiveInt = 128
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop", "rprop", "l-bfgs-b"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat | None = None
    iterations_per_epoch: PositiveInt = 20
    refeed: Annotated[int, Field(ge=0, le=10)] = 0
    schedule: ScheduleConfig = ConstantSchedule()
    patience: PositiveInt | None = 10
    validate_every: PositiveInt = 1

    @property
    def takes_all_rows(self) -> bool:
        """Whether each step is one on all rows."""
        return self.optimizer in ("rprop", "l-bfgs-b")

    @model_validator(mode="after")
    def _optimizer_heeds_its_settings(self):
        if self.weight_decay and self.optimizer != "adamw":
            raise ValueError(
                f"'weight_decay' is a part of AdamW and nothing to optimizer {self.optimizer!r}; set "
                "optimizer: adamw, or use l2"
            )
        if self.takes_all_rows and not isinstance(self.schedule, ConstantSchedule):
            raise ValueError(
                f"optimizer {self.optimizer!r} finds the length of its steps itself, so schedule "
                f"{self.schedule.kind!r} has nothing to change; set schedule: {{kind: constant}}, or "
                "optimizer: adam"
            )
        if self.takes_all_rows and self.refeed:
            raise ValueError(
                f"optimizer {self.optimizer!r} minimises one function of all rows, and 'refeed' takes steps "
                "of its own between those of batches; set refeed: 0, or optimizer: adam"
            )
        return self
