"""The configs of all networks that are trained by gradient. Imports no torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from recsys_ae.models.base_configs import BaseModelConfig, Width
from recsys_ae.models.training_configs import (
    CorruptionConfig,
    LikesLossConfig,
    MaskingConfig,
    SaltAndPepperConfig,
    TrainingConfig,
    WeightedLossConfig,
)

MOST_LAYERS = 20
Activation = Literal["sigmoid", "relu", "tanh", "elu", "identity"]


class AutoencoderConfig(BaseModelConfig):
    """What all networks share. `hidden`: widths of the hidden layers, in order, as far as a layer has at most
    a hundred weights for each entry. `l2`: half of it multiplies the squared weights (biases excluded) beside
    the *sum* of the losses of all entries, so that a value fits small and large datasets alike."""

    trains_in_epochs: ClassVar[bool] = True
    fits_on_gpu: ClassVar[bool] = True
    hidden: Annotated[tuple[Width, ...], Field(min_length=1, max_length=MOST_LAYERS)] = (500,)
    activation: Activation = "sigmoid"
    l2: NonNegativeFloat = 0.0
    corruption: CorruptionConfig | None = MaskingConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def max_epochs(self) -> int | None:
        return self.training.epochs

    @property
    def draws_codes(self) -> bool:
        """Whether each step of the training draws the codes anew."""
        return False

    @model_validator(mode="after")
    def _drawn_codes_go_with_batches(self):
        training = self.training
        if self.draws_codes and training.takes_all_rows:
            raise ValueError(
                f"training.optimizer {training.optimizer!r} minimises one function of all rows, and codes "
                "that are drawn make another one in every step; set training.optimizer: adam, or take a "
                "model without drawn codes"
            )
        if self.draws_codes and training.refeed:
            raise ValueError(
                f"training.refeed {training.refeed} feeds back what a row's code stands for, and codes that "
                "are drawn stand for something else each time; set training.refeed: 0, or take a model "
                "without drawn codes"
            )
        return self


class LikesConfig(AutoencoderConfig):
    """What networks of likes share: they read ones, divided by the root of their number; `corruption` hides a
    share of them. Training starts from popularity. `positive`: ratings below it are no likes (null: each
    observed entry is one, each count above 0)."""

    activation: Activation = "tanh"
    positive: float | None = None
    training: TrainingConfig = TrainingConfig(epochs=200, patience=20)

    @model_validator(mode="after")
    def _likes_are_no_ratings(self):
        if isinstance(self.corruption, SaltAndPepperConfig):
            raise ValueError(
                "corruption 'salt-and-pepper' puts the ends of a rating scale in, and likes have none; set "
                "corruption: {kind: masking}"
            )
        if self.training.refeed:
            raise ValueError(
                "'training.refeed' trains on predicted ratings, and models of likes predict none; set "
                "training.refeed: 0"
            )
        return self


class MultinomialConfig(LikesConfig):
    """What Mult-DAE and Mult-VAE share (Liang, Krishnan, Hoffman, Jebara 2018): they are trained to give each
    liked item a large share of a softmax over all items."""


class MultDAEConfig(MultinomialConfig):
    """Mult-DAE. `hidden`: widths up to the code; the decoder has the same in reverse. `l2`: the paper's 0.01
    on its batches of 500 users of MovieLens 20M is about 5 here."""

    kind: Literal["mult-dae"] = "mult-dae"
    hidden: Annotated[tuple[Width, ...], Field(min_length=1, max_length=MOST_LAYERS)] = (600, 200)
    l2: NonNegativeFloat = 5.0


class MultVAEConfig(MultinomialConfig):
    """Mult-VAE. `hidden`: widths of the encoder, which the decoder has in reverse; `code`: size of the normal
    code between them. `beta`: weight of its divergence from the standard normal, which rises to that over
    `anneal_epochs` epochs."""

    kind: Literal["mult-vae"] = "mult-vae"
    hidden: Annotated[tuple[Width, ...], Field(min_length=1, max_length=MOST_LAYERS)] = (600,)
    code: Width = 200
    beta: NonNegativeFloat = 0.2
    anneal_epochs: NonNegativeInt = 100

    @property
    def draws_codes(self) -> bool:
        return True


class RBMConfig(BaseModelConfig):
    """The restricted Boltzmann machine for collaborative filtering (Salakhutdinov, Mnih, Hinton 2007): a row
    is a user's ratings, each of which is one of a few levels, explained by binary hidden units.

    `hidden`: units, as far as they have at most a hundred weights for each rating. `levels`: the most there
    may be; where there are more distinct ratings, levels are quantiles of them. `conditional`: hidden units
    also depend on what was rated, however (section 4). It is trained by contrastive divergence with `steps`
    steps of Gibbs sampling, one more after every `grow_every` epochs (null: never). `l2`: half of it
    multiplies the squared weights beside the sum over all ratings; the paper's weight decay of 0.001 for
    each user is 0.001 times the number of users. `optimizer: sgd` has the paper's momentum. `l2` and the
    learning rate did best in validation on ml-100k; where items have few ratings, hidden units learn little.
    """

    predicts_ratings: ClassVar[bool] = True
    trains_in_epochs: ClassVar[bool] = True
    fits_on_gpu: ClassVar[bool] = True
    kind: Literal["rbm"] = "rbm"
    hidden: Width = 100
    levels: Annotated[int, Field(ge=2, le=50)] = 20
    conditional: bool = False
    steps: PositiveInt = 1
    grow_every: PositiveInt | None = None
    l2: NonNegativeFloat = 10.0
    training: TrainingConfig = TrainingConfig(learning_rate=5e-3)

    @property
    def max_epochs(self) -> int | None:
        return self.training.epochs

    @model_validator(mode="after")
    def _chains_go_with_batches(self):
        training = self.training
        if training.takes_all_rows or training.refeed:
            clash = (
                f"optimizer {training.optimizer!r}"
                if training.takes_all_rows
                else f"refeed {training.refeed}"
            )
            raise ValueError(
                "kind 'rbm' is trained on batches by contrastive divergence, which does not go with "
                f"training.{clash}; leave that out"
            )
        return self


class ImplicitAutoRecConfig(LikesConfig):
    """User-based AutoRec (Sedhain et al. 2015) of what a user likes, made to rank: its `loss` knows the items
    that are not liked, too, all of them or a sample. `l2`: beside the sum of the losses. Defaults chosen by
    validation NDCG on ml-100k and movietweetings; `l2` from 5 to 80 changed little."""

    kind: Literal["implicit-autorec"] = "implicit-autorec"
    hidden: Annotated[tuple[Width, ...], Field(min_length=1, max_length=MOST_LAYERS)] = (200,)
    loss: LikesLossConfig = WeightedLossConfig()
    l2: NonNegativeFloat = 10.0
