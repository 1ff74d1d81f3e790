"""The configs of all networks that are trained by gradient. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, NonNegativeInt, model_validator

from recsys_ae.errors import brief
from recsys_ae.models.base_configs import MOST_WIDTH, BaseModelConfig, BiasesConfig, Width
from recsys_ae.models.training_configs import (
    CorruptionConfig,
    EmphasisConfig,
    GaussianNoiseConfig,
    MaskingConfig,
    PretrainingConfig,
    SaltAndPepperConfig,
    TrainingConfig,
)

_MOST_LAYERS = 20
Activation = Literal["sigmoid", "relu", "tanh", "elu", "identity"]


class AutoencoderConfig(BaseModelConfig):
    """What all networks share. `hidden`: widths of the hidden layers, in order, as far as a layer has at most
    a hundred weights for each entry. `l2`: half of it multiplies the squared weights (biases excluded) beside
    the *sum* of the losses of all entries, so that a value fits small and large datasets alike."""

    trains_in_epochs: ClassVar[bool] = True
    fits_on_gpu: ClassVar[bool] = True
    hidden: Annotated[tuple[Width, ...], Field(min_length=1, max_length=_MOST_LAYERS)] = (500,)
    activation: Activation = "sigmoid"
    l2: NonNegativeFloat = 0.0
    corruption: CorruptionConfig | None = MaskingConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def max_epochs(self) -> int | None:
        return self.training.epochs


def _mirror_or_widths(value: Any) -> Any:
    """As it is, where it is one of them: the sentences about each alone would be two."""
    is_list = isinstance(value, (list, tuple)) and len(value) <= _MOST_LAYERS
    if value == "mirror" or (is_list and all(type(w) is int and 0 < w <= MOST_WIDTH for w in value)):
        return value
    raise ValueError(
        f"the decoder must be mirror or a list of at most {_MOST_LAYERS} widths from 1 to {MOST_WIDTH}, and "
        f"is {brief(value)}"
    )


class AutoRecConfig(AutoencoderConfig):
    """What user- and item-based AutoRec share (Sedhain et al. 2015, eq. 2).

    The network reads and reconstructs standardised ratings: less user and item biases (`debias`), divided by
    the deviation of what is left. So no setting has a unit, and ratings in other units give the same model.
    The paper has no biases (`debias: null`: less the mean rating alone); with them validation RMSE fell on
    every dataset that we tried, most where users rated little.

    `presence`: how the network sees that an entry is observed, whatever its value. "tied": each entry counts
    4 deviations more than it is, about as an uncentred rating does; "free": by a first-layer matrix of its
    own; "none": not at all, a rating as the biases have it looks like none. `anchored`: the output layer
    reads how a row differs from an empty one, so that rows with few ratings say little; the
    paper's reads all of the code (false), which can be better where rows are long.
    `output`: identity, or a sigmoid stretched over the rating scale. `l2`: the paper's lambda. It has 100;
    from 80 to 500 did best in validation on ours. Where ratings deviate by d, it is the paper's lambda for
    the output weights, which then make ratings, and d⁴ lambda for the input weights, which read them.
    `emphasis`: how much entries count whose input was corrupted, beside the others; null: as much.

    `decoder`: widths of the hidden layers after the code, in order ([]: none, as in the paper), or "mirror":
    those of the encoder in reverse. `tied`: each decoder layer is the transpose of the encoder layer that it
    undoes, with a bias of its own: half as many weights. `hidden_dropout`: the probability that a layer does
    not see a hidden unit of a row, in training. `pretraining`: of each layer by itself, before the network is
    trained as a whole; then the layers' inputs are corrupted in pretraining alone, and the hidden units
    dropped in what follows alone.
    """

    predicts_ratings: ClassVar[bool] = True
    output: Literal["identity", "scaled"] = "identity"
    debias: BiasesConfig | None = BiasesConfig(item_damping=5.0, user_damping=5.0)
    presence: Literal["tied", "free", "none"] = "tied"
    anchored: bool = True
    l2: NonNegativeFloat = 200.0
    emphasis: EmphasisConfig | None = None
    decoder: Annotated[Literal["mirror"] | tuple[int, ...], BeforeValidator(_mirror_or_widths)] = ()
    tied: bool = False
    hidden_dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    pretraining: PretrainingConfig | None = None

    @property
    def max_epochs(self) -> int | None:
        return self.training.epochs + self.pretraining_epochs

    @property
    def pretraining_epochs(self) -> int:
        """How many epochs come before those of the whole network."""
        return 0 if self.pretraining is None else len(self.hidden) * self.pretraining.epochs

    @property
    def mirrored(self) -> bool:
        """Whether each decoder layer undoes one of the encoder."""
        return self.decoder in ("mirror", self.hidden[-2::-1])

    @model_validator(mode="after")
    def _tied_means_mirrored(self):
        if self.tied and not self.mirrored:
            raise ValueError(
                f"tied needs a decoder that mirrors the encoder, and decoder {list(self.decoder)} does not "
                f"mirror hidden {list(self.hidden)}; set decoder: mirror, or tied: false"
            )
        return self

    @model_validator(mode="after")
    def _pretraining_means_layers_to_undo(self):
        if self.pretraining is None:
            return self
        if len(self.hidden) == 1:
            raise ValueError(
                f"pretraining trains one layer after the other, and hidden {list(self.hidden)} is a single "
                "one; give hidden two widths or more, or set pretraining: null"
            )
        if not self.mirrored:
            raise ValueError(
                "pretraining trains each encoder layer with the decoder layer that undoes it, and decoder "
                f"{list(self.decoder)} does not mirror hidden {list(self.hidden)}; set decoder: mirror, or "
                "pretraining: null"
            )
        if self.training.takes_all_rows:
            raise ValueError(
                f"pretraining trains layers on batches, and optimizer {self.training.optimizer!r} takes all "
                "rows in each step; set training.optimizer: adam, or pretraining: null"
            )
        return self

    @model_validator(mode="after")
    def _scaled_output_means_ratings(self):
        if self.output == "scaled" and self.debias is not None:
            raise ValueError(
                "output 'scaled' stretches over the rating scale, which ratings without biases "
                "leave; set debias: null, or output: identity"
            )
        return self

    @model_validator(mode="after")
    def _emphasis_tells_entries_apart(self):
        if self.emphasis is None:
            return self
        if self.corruption is None or isinstance(self.corruption, GaussianNoiseConfig):
            kind = "null" if self.corruption is None else "gaussian"
            which = "no input" if self.corruption is None else "every input"
            raise ValueError(
                f"'emphasis' tells corrupted inputs from others, and corruption {kind} corrupts {which}; set "
                "emphasis: null, or corruption: {kind: masking}"
            )
        share = self.corruption.probability
        if not self.emphasis.corrupted * share + self.emphasis.uncorrupted * (1 - share):
            raise ValueError(
                "'emphasis' leaves no entry to learn from with this probability of 'corruption'; give weight "
                "to the entries that there are"
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

    @model_validator(mode="after")
    def _likes_are_no_ratings(self):
        if isinstance(self.corruption, SaltAndPepperConfig):
            raise ValueError(
                "corruption 'salt-and-pepper' puts the ends of a rating scale in, and likes have none; set "
                "corruption: {kind: masking}"
            )
        if self.training.refeed:
            raise ValueError(
                "'training.refeed' trains on predicted ratings, and kinds 'mult-dae' and 'mult-vae' predict "
                "none; set training.refeed: 0"
            )
        return self


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

    @model_validator(mode="after")
    def _drawn_codes_go_with_batches(self):
        if self.training.takes_all_rows:
            raise ValueError(
                f"kind 'mult-vae' draws its codes, and training.optimizer {self.training.optimizer!r} needs "
                "a function that stays the same; set training.optimizer: adam, or kind: mult-dae"
            )
        return self
