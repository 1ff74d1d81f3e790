"""The configs of all networks that are trained by gradient. Imports no torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, model_validator

from recsys_ae.config import Config
from recsys_ae.models.base_configs import BaseModelConfig, BiasesConfig, Width
from recsys_ae.models.training_configs import CorruptionConfig, MaskingConfig, TrainingConfig

Activation = Literal["sigmoid", "relu", "tanh", "elu", "identity"]


class GaussianCodeConfig(Config):
    """A variational autoencoder of ratings (Kingma and Welling 2014): after the hidden layers a row has not a
    code but a normal distribution of codes, of size `code`. Each step of the training draws one; afterwards
    the mean is the code. The output layer reads it directly.

    Let a rating be normal around the output for its row's code, with variance s². Minus the evidence lower
    bound, times 2 s² and up to a constant, is then

        Σ (rating - output)² + 2 s² Σ KL(posterior of a row's code ‖ standard normal),

    over ratings and over rows. Training minimises this with `beta` in place of s². Ratings are standardised:
    `beta` 1 is noise as large as all that the biases leave, and where a fifth of that is explained, 0.8 is
    the bound itself. Less is the same as weighing the divergence less than the bound does, which can predict
    better (Liang et al. 2018, section 2.2.2); 0 leaves the codes free. The weight rises from 0 over
    `anneal_epochs` epochs.
    """

    kind: Literal["gaussian"] = "gaussian"
    code: Width = 50
    beta: NonNegativeFloat = 0.2
    anneal_epochs: NonNegativeInt = 10


BottleneckConfig = GaussianCodeConfig  # of two kinds or more: Annotated[A | B, Field(discriminator="kind")]


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

    @property
    def draws_codes(self) -> bool:
        """Whether each step of the training draws the codes anew."""
        return False

    @model_validator(mode="after")
    def _a_line_search_needs_one_function(self):
        if self.draws_codes and self.training.optimizer == "l-bfgs-b":
            raise ValueError(
                "training.optimizer 'l-bfgs-b' minimises one fixed function, and codes that are drawn make "
                "another one in every step; set training.optimizer: adam, or take a model without drawn codes"
            )
        return self


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
    `bottleneck`: how a code is made of what the last hidden layer says; null: that is the code. Drawn codes
    are held by their prior, too, and did better with an `l2` of 50.
    `output`: identity, or a sigmoid stretched over the rating scale. `l2`: the paper's lambda. It has 100;
    from 80 to 500 did best in validation on ours. Where ratings deviate by d, it is the paper's lambda for
    the output weights, which then make ratings, and d⁴ lambda for the input weights, which read them.
    """

    predicts_ratings: ClassVar[bool] = True
    output: Literal["identity", "scaled"] = "identity"
    debias: BiasesConfig | None = BiasesConfig(item_damping=5.0, user_damping=5.0)
    presence: Literal["tied", "free"] = "tied"
    anchored: bool = True
    bottleneck: BottleneckConfig | None = None
    l2: NonNegativeFloat = 200.0

    @property
    def draws_codes(self) -> bool:
        return isinstance(self.bottleneck, GaussianCodeConfig)

    @model_validator(mode="after")
    def _scaled_output_means_ratings(self):
        if self.output == "scaled" and self.debias is not None:
            raise ValueError(
                "output 'scaled' stretches over the rating scale, which ratings without biases "
                "leave; set debias: null, or output: identity"
            )
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

    @property
    def draws_codes(self) -> bool:
        return True
