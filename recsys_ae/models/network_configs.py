"""The configs of all networks that are trained by gradient. Imports no torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from recsys_ae.config import Config
from recsys_ae.models.base_configs import BaseModelConfig, BiasesConfig, Width
from recsys_ae.models.penalty_configs import PenaltyConfig
from recsys_ae.models.training_configs import CorruptionConfig, MaskingConfig, TrainingConfig

Activation = Literal["sigmoid", "relu", "tanh", "elu", "identity"]


class TopKConfig(Config):
    """Of each row the `k` units of the code pass that are farthest from their rest: from 0, or where the
    network is anchored from the code of an empty row (Makhzani and Frey 2014)."""

    kind: Literal["top-k"] = "top-k"
    k: PositiveInt = 50


BottleneckConfig = TopKConfig


class AutoencoderConfig(BaseModelConfig):
    """What all networks share. `hidden`: widths of the hidden layers, in order, as far as a layer has at most
    a hundred weights for each entry. `l2`: half of it multiplies the squared weights (biases excluded) beside
    the *sum* of the losses of all entries, so that a value fits small and large datasets alike."""

    trains_in_epochs: ClassVar[bool] = True
    fits_on_gpu: ClassVar[bool] = True
    hidden: Annotated[tuple[Width, ...], Field(min_length=1, max_length=20)] = (500,)
    activation: Activation = "sigmoid"
    l2: NonNegativeFloat = 0.0
    corruption: CorruptionConfig | None = MaskingConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def max_epochs(self) -> int | None:
        return self.training.epochs


class AutoRecConfig(AutoencoderConfig):
    """What user- and item-based AutoRec share (Sedhain et al. 2015, eq. 2).

    The network reads and reconstructs standardised ratings: less user and item biases (`debias`), divided by
    the deviation of what is left. So no setting has a unit, and ratings in other units give the same model.
    The paper has no biases (`debias: null`: less the mean rating alone); with them validation RMSE fell on
    every dataset that we tried, most where users rated little.

    `presence`: how the network sees that an entry is observed, whatever its value. "tied": each entry counts
    4 deviations more than it is, about as an uncentred rating does; "free": by a first-layer matrix of its
    own. `anchored`: the output layer reads how a row differs from an empty one, so that rows with few ratings
    say little; the paper's reads all of the code (false), which can be better where rows are long.
    `output`: identity, or a sigmoid stretched over the rating scale. `l2`: the paper's lambda. It has 100;
    from 80 to 500 did best in validation on ours. Where ratings deviate by d, it is the paper's lambda for
    the output weights, which then make ratings, and d⁴ lambda for the input weights, which read them.
    `bottleneck`: what becomes of the code (null: nothing). `penalty`: what its activations cost, as they are
    before anchoring.
    """

    predicts_ratings: ClassVar[bool] = True
    output: Literal["identity", "scaled"] = "identity"
    debias: BiasesConfig | None = BiasesConfig(item_damping=5.0, user_damping=5.0)
    presence: Literal["tied", "free"] = "tied"
    anchored: bool = True
    l2: NonNegativeFloat = 200.0
    bottleneck: BottleneckConfig | None = None
    penalty: PenaltyConfig | None = None

    @model_validator(mode="after")
    def _scaled_output_means_ratings(self):
        if self.output == "scaled" and self.debias is not None:
            raise ValueError(
                "output 'scaled' stretches over the rating scale, which ratings without biases "
                "leave; set debias: null, or output: identity"
            )
        return self

    @model_validator(mode="after")
    def _codes_can_be_had(self):
        if self.bottleneck is not None and self.bottleneck.k > self.hidden[-1]:
            raise ValueError(
                f"bottleneck 'top-k' lets {self.bottleneck.k} units pass, and the last layer of hidden has "
                f"{self.hidden[-1]}; give a smaller k, or a wider layer"
            )
        if self.bottleneck is not None and self.penalty is not None:
            raise ValueError(
                "bottleneck and penalty both say how the units of a code behave; leave out one of them"
            )
        clash = self.penalty and self.penalty.clash(self.activation, self.hidden)
        if clash:
            raise ValueError(clash)
        return self


class ItemAutoRecConfig(AutoRecConfig):
    """Item-based AutoRec: a row is an item's ratings."""

    kind: Literal["i-autorec"] = "i-autorec"


class UserAutoRecConfig(AutoRecConfig):
    """User-based AutoRec: a row is a user's ratings; unseen users are read like any other."""

    kind: Literal["u-autorec"] = "u-autorec"


class MultinomialConfig(AutoencoderConfig):
    """What Mult-DAE and Mult-VAE share (Liang, Krishnan, Hoffman, Jebara 2018): autoencoders of what a user
    likes, trained to give each liked item a large share of a softmax over all items. They read ones, divided
    by the root of their number; `corruption` hides a share of them. Training starts from popularity.
    `positive`: ratings below it are no likes (null: each observed entry is one, each count above 0)."""

    activation: Activation = "tanh"
    positive: float | None = None
    training: TrainingConfig = TrainingConfig(epochs=200, patience=20)


class MultDAEConfig(MultinomialConfig):
    """Mult-DAE. `hidden`: widths up to the code; the decoder has the same in reverse. `l2`: the paper's 0.01
    on its batches of 500 users of MovieLens 20M is about 5 here."""

    kind: Literal["mult-dae"] = "mult-dae"
    hidden: Annotated[tuple[Width, ...], Field(min_length=1, max_length=20)] = (600, 200)
    l2: NonNegativeFloat = 5.0


class MultVAEConfig(MultinomialConfig):
    """Mult-VAE. `hidden`: widths of the encoder, which the decoder has in reverse; `code`: size of the normal
    code between them. `beta`: weight of its divergence from the standard normal, which rises to that over
    `anneal_epochs` epochs."""

    kind: Literal["mult-vae"] = "mult-vae"
    hidden: Annotated[tuple[Width, ...], Field(min_length=1, max_length=20)] = (600,)
    code: Width = 200
    beta: NonNegativeFloat = 0.2
    anneal_epochs: NonNegativeInt = 100
