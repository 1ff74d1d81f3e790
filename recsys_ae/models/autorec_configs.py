"""The configs of AutoRec: networks of ratings. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, assert_never

from pydantic import BeforeValidator, Field, NonNegativeFloat, model_validator

from recsys_ae.errors import brief
from recsys_ae.models.base_configs import MOST_WIDTH, BiasesConfig
from recsys_ae.models.bottleneck_configs import BottleneckConfig, GaussianCodeConfig, TopKConfig
from recsys_ae.models.network_configs import MOST_LAYERS, AutoencoderConfig
from recsys_ae.models.penalty_configs import PenaltyConfig, SparseKLConfig
from recsys_ae.models.training_configs import (
    EmphasisConfig,
    GaussianNoiseConfig,
    MaskingConfig,
    PretrainingConfig,
    SaltAndPepperConfig,
)


def _mirror_or_widths(value: Any) -> Any:
    """As it is, where it is one of them: the sentences about each alone would be two."""
    is_list = isinstance(value, (list, tuple)) and len(value) <= MOST_LAYERS
    if value == "mirror" or (is_list and all(type(w) is int and 0 < w <= MOST_WIDTH for w in value)):
        return value
    raise ValueError(
        f"the decoder must be mirror or a list of at most {MOST_LAYERS} widths from 1 to {MOST_WIDTH}, and "
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
    reads how a row differs from an empty one, so that rows with few ratings say little; the paper's reads all
    of the code (false), which can be better where rows are long.

    `bottleneck`: how a code is made of what the last hidden layer says; null: that is the code. Drawn codes
    are held by their prior, too, and did better with an `l2` of 50.
    `output`: identity, or a sigmoid stretched over the rating scale. `l2`: the paper's lambda. It has 100;
    from 80 to 500 did best in validation on ours. Where ratings deviate by d, it is the paper's lambda for
    the output weights, which then make ratings, and d⁴ lambda for the input weights, which read them.
    `penalty`: what the activations of the code cost, as they are before anchoring; null: nothing.
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
    bottleneck: BottleneckConfig | None = None
    l2: NonNegativeFloat = 200.0
    penalty: PenaltyConfig | None = None
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
    def after_code(self) -> tuple[int, ...]:
        """Widths of the hidden layers after the code. A code that is drawn is a layer of its own, beyond the
        last of `hidden`."""
        if self.decoder != "mirror":
            return self.decoder
        return self.hidden[::-1] if self.draws_codes else self.hidden[-2::-1]

    @property
    def mirrored(self) -> bool:
        """Whether each decoder layer undoes one of the encoder."""
        return self.after_code == self.hidden[-2::-1]

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
        clash = "emphasis" if self.emphasis is not None else None
        if isinstance(self.corruption, SaltAndPepperConfig):
            clash = "corruption 'salt-and-pepper'"
        if clash:
            raise ValueError(
                f"{clash} is about ratings, and with pretraining the inputs of single layers are "
                f"corrupted, most of which are codes; leave out {clash}, or set pretraining: null"
            )
        if self.training.takes_all_rows:
            raise ValueError(
                f"pretraining trains layers on batches, and optimizer {self.training.optimizer!r} takes all "
                "rows in each step; set training.optimizer: adam, or pretraining: null"
            )
        return self

    @property
    def draws_codes(self) -> bool:
        return isinstance(self.bottleneck, GaussianCodeConfig)

    @property
    def corrupted_share(self) -> float:
        """The probability that an input is corrupted."""
        match self.corruption:
            case None:
                return 0.0
            case MaskingConfig(probability=probability) | SaltAndPepperConfig(probability=probability):
                return probability
            case GaussianNoiseConfig():
                return 1.0
            case _:
                assert_never(self.corruption)

    @model_validator(mode="after")
    def _drawn_codes_stand_between_the_layers(self):
        """They have a layer of their own, so the decoder undoes no layer of the encoder."""
        for name, wanted in (("tied", self.tied), ("pretraining", self.pretraining is not None)):
            if self.draws_codes and wanted:
                raise ValueError(
                    f"{name} needs a decoder that undoes the encoder layer by layer, and bottleneck "
                    f"'gaussian' puts a layer of drawn codes between them; leave out {name}, or set "
                    "bottleneck: null"
                )
        return self

    @model_validator(mode="after")
    def _codes_can_be_had(self):
        if isinstance(self.bottleneck, TopKConfig) and self.bottleneck.k > self.hidden[-1]:
            raise ValueError(
                f"bottleneck 'top-k' lets {self.bottleneck.k} units pass, and the last layer of hidden has "
                f"{self.hidden[-1]}; give a smaller k, or a wider layer"
            )
        if self.bottleneck is not None and self.penalty is not None:
            raise ValueError(
                "bottleneck and penalty both say how the units of a code behave; leave out one of them"
            )
        if clash := self.penalty and self.penalty.clash(self.activation, self.hidden):
            raise ValueError(clash)
        if (
            isinstance(self.penalty, SparseKLConfig)
            and self.penalty.over == "running"
            and self.training.takes_all_rows
        ):
            raise ValueError(
                f"penalty 'kl-sparse' over 'running' changes from step to step, and training.optimizer "
                f"{self.training.optimizer!r} minimises one function; set penalty.over: batch, or "
                "training.optimizer: adam"
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
        kind = "null" if self.corruption is None else self.corruption.kind
        share = self.corrupted_share
        if share in (0.0, 1.0):
            raise ValueError(
                f"'emphasis' tells corrupted inputs from others, and corruption {kind} corrupts "
                f"{'every' if share else 'no'} input; set emphasis: null, or corruption: {{kind: masking}}"
            )
        if not self.emphasis.corrupted and not self.emphasis.uncorrupted:
            raise ValueError(
                "'emphasis' leaves no entry to learn from; let corrupted or uncorrupted be above 0"
            )
        return self


class ItemAutoRecConfig(AutoRecConfig):
    """Item-based AutoRec: a row is an item's ratings."""

    kind: Literal["i-autorec"] = "i-autorec"


class UserAutoRecConfig(AutoRecConfig):
    """User-based AutoRec: a row is a user's ratings; unseen users are read like any other."""

    kind: Literal["u-autorec"] = "u-autorec"
