"""All model configs: what can be fitted, with the defaults of the papers. Imports no torch."""

from __future__ import annotations

from math import ceil
from typing import Annotated, ClassVar, Literal, assert_never

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from recsys_ae.config import Share, UnitInterval
from recsys_ae.models import (
    autorec_configs,
    base_configs,
    bottleneck_configs,
    network_configs,
    training_configs,
)
from recsys_ae.models.base_configs import BaseModelConfig, BiasesConfig, Width

# found here by all who know the configs of models
MOST_WIDTH = base_configs.MOST_WIDTH
MaskingConfig = training_configs.MaskingConfig
GaussianNoiseConfig = training_configs.GaussianNoiseConfig
SaltAndPepperConfig = training_configs.SaltAndPepperConfig
EmphasisConfig = training_configs.EmphasisConfig
ConstantSchedule = training_configs.ConstantSchedule
CosineSchedule = training_configs.CosineSchedule
StepSchedule = training_configs.StepSchedule
PretrainingConfig = training_configs.PretrainingConfig
TrainingConfig = training_configs.TrainingConfig
WeightedLossConfig = training_configs.WeightedLossConfig
SampledLossConfig = training_configs.SampledLossConfig
AutoencoderConfig = network_configs.AutoencoderConfig
GaussianCodeConfig = bottleneck_configs.GaussianCodeConfig
TopKConfig = bottleneck_configs.TopKConfig
AutoRecConfig = autorec_configs.AutoRecConfig
ItemAutoRecConfig = autorec_configs.ItemAutoRecConfig
UserAutoRecConfig = autorec_configs.UserAutoRecConfig
LikesConfig = network_configs.LikesConfig
MultinomialConfig = network_configs.MultinomialConfig
MultDAEConfig = network_configs.MultDAEConfig
MultVAEConfig = network_configs.MultVAEConfig
RBMConfig = network_configs.RBMConfig
ImplicitAutoRecConfig = network_configs.ImplicitAutoRecConfig


class MeanConfig(BaseModelConfig):
    """The mean training rating, for every pair."""

    predicts_ratings: ClassVar[bool] = True
    ranks: ClassVar[bool] = False
    kind: Literal["mean"] = "mean"


class PopularityConfig(BaseModelConfig):
    """Score = how many training users rated the item (at or above `positive`, where given)."""

    kind: Literal["popularity"] = "popularity"
    positive: float | None = None


class BiasedMFConfig(BaseModelConfig):
    """Biased matrix factorisation by alternating least squares on observed entries (Koren, Bell, Volinsky
    2009), biases solved for together with the factors. It starts from the bias model, which is its epoch 0.

    Ratings are standardised by the bias model `biases`, so that no penalty has a unit. A user or item with n
    ratings pays `l2` · n^`power` for its squared factors, and for its squared bias the damping of `biases`,
    beside the sum of squared errors. `power` 0 is a normal prior (Salakhutdinov & Mnih 2008), 1 the weighting
    of Zhou et al. 2008; halfway between did best on validation data of several datasets, and so did `l2`.
    """

    predicts_ratings: ClassVar[bool] = True
    trains_in_epochs: ClassVar[bool] = True
    kind: Literal["biased-mf"] = "biased-mf"
    factors: Width = 20
    l2: PositiveFloat = 1.4
    power: UnitInterval = 0.5
    biases: BiasesConfig = BiasesConfig()
    iterations: NonNegativeInt = 100
    patience: PositiveInt | None = 3

    @property
    def max_epochs(self) -> int | None:
        return self.iterations


class BayesianMFConfig(BaseModelConfig):
    """Bayesian matrix factorisation by Gibbs sampling (Salakhutdinov & Mnih 2008), predictions averaged over
    draws. `factors`: a quarter of the users or of the items, where that is less.

    `implicit`: whose vectors also depend on what was rated, however: "users" is SVD++ (Koren 2008), "both",
    where an item's also depends on who rated it, the "flipped" SVD++ of Rendle, Zhang, Koren 2019, and "none"
    the plain model; one rating alone says nothing so. `sweeps` of the chain, the share `burn_in` of which is
    thrown away; of the rest `samples` draws are kept, fewer where they would take over 1 GiB. The hyperpriors
    are those of the first paper; ratings are standardised, so nothing has a unit. Defaults chosen on
    validation data of ml-100k, ml-1m, ml-latest-small, movietweetings and filmtrust.
    """

    predicts_ratings: ClassVar[bool] = True
    kind: Literal["bayesian-mf"] = "bayesian-mf"
    factors: Width = 20
    implicit: Literal["both", "users", "items", "none"] = "both"
    sweeps: PositiveInt = 150
    burn_in: Share = 0.2
    samples: PositiveInt = 64

    @property
    def max_epochs(self) -> int | None:
        return self.sweeps


class ALSConfig(BaseModelConfig):
    """Implicit-feedback ALS (Hu, Koren, Volinsky 2008), by the library implicit. Confidence of a positive
    entry is 1 + `alpha`, of a count 1 + `alpha` · log2(1 + count / mean count); `positive` keeps only ratings
    at or above it (null: every observed entry). Defaults chosen by validation NDCG on ml-100k, ml-1m and
    movietweetings; a few dozen users need a lower `l2`."""

    kind: Literal["als"] = "als"
    factors: Width = 64
    l2: PositiveFloat = 20.0
    alpha: PositiveFloat = 2.0
    iterations: PositiveInt = 15
    positive: float | None = None

    @property
    def max_epochs(self) -> int | None:
        return self.iterations


class BPRConfig(BaseModelConfig):
    """Bayesian personalised ranking (Rendle et al. 2009), by the library implicit, on one thread so that a
    seed gives one model. Defaults chosen by validation NDCG on ml-100k and movietweetings."""

    kind: Literal["bpr"] = "bpr"
    factors: Width = 64
    learning_rate: PositiveFloat = 0.01
    l2: NonNegativeFloat = 0.01
    epochs: PositiveInt = 50
    positive: float | None = None

    @property
    def max_epochs(self) -> int | None:
        return self.epochs


class ItemKNNConfig(BaseModelConfig):
    """Item-item neighbours, by the library implicit: score = history @ similarities. `weighting`: of an
    item's users before the cosine (tf-idf did best on validation data), or BM25's own product."""

    kind: Literal["item-knn"] = "item-knn"
    neighbours: Width = 50
    weighting: Literal["cosine", "tfidf", "bm25"] = "tfidf"
    positive: float | None = None


class LinearAutoencoderConfig(BaseModelConfig):
    """What linear autoencoders in closed form share: they read the liked items of a user, and score all items
    by a matrix of weights, items by items.

    `l2`: of the squared weights, beside the squared errors, in units of the mean number of likes of an item
    that has any; the papers' lambda is this times that mean. Twice as many users of the same kind ask for
    twice the lambda, and so for the same `l2`: the paper's EASE has about 1, 0.4 and 0.3 for MovieLens 20M,
    Netflix and the Million Song Dataset. The defaults lose 3 to 6 % of the best validation NDCG on ml-100k,
    ml-1m, ml-latest-small, filmtrust and goodbooks-10k, whose best values lie between 0.5 and 16 and above.
    `positive` keeps only ratings at or above it (null: every observed entry).
    """

    l2: PositiveFloat
    positive: float | None = None


class EASEConfig(LinearAutoencoderConfig):
    """EASE (Steck 2019): no item may explain itself, the diagonal of the weights is 0."""

    kind: Literal["ease"] = "ease"
    l2: PositiveFloat = 2.0


class DropoutAutoencoderConfig(LinearAutoencoderConfig):
    """`dropout`: the share of the likes that is hidden from the input, the others being scaled up for it. Its
    expectation is taken exactly: a penalty that grows with the number of likes of an item."""

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5


class EDLAEConfig(DropoutAutoencoderConfig):
    """Emphasised denoising linear autoencoder of full rank (Steck 2020, eq. 8 and 9): only the likes hidden
    from the input are to be found again, so the diagonal of the weights is 0. Without dropout it is EASE."""

    kind: Literal["edlae"] = "edlae"
    l2: PositiveFloat = 1.0


class DLAEConfig(DropoutAutoencoderConfig):
    """Denoising linear autoencoder of full rank (Steck 2020): all likes are to be found again, those that the
    input still shows too."""

    kind: Literal["dlae"] = "dlae"
    l2: PositiveFloat = 1.0


class PCAConfig(BaseModelConfig):
    """Principal components of ratings standardised by `biases`: the linear autoencoder of rank `factors` that
    is best where *missing ratings count as average ones* (a residual of 0). It therefore says little of users
    and items with few ratings, and predicts less well than models of the observed ratings alone. Fewer
    factors where the matrix has not so many."""

    predicts_ratings: ClassVar[bool] = True
    kind: Literal["pca"] = "pca"
    factors: Width = 20
    biases: BiasesConfig = BiasesConfig()


class PureSVDConfig(BaseModelConfig):
    """PureSVD (Cremonesi, Koren, Turrin 2010) of likes: the linear autoencoder of rank `factors` that is best
    where liked items are 1 and all others 0. `positive` keeps only ratings at or above it (null: every
    observed entry). The paper has 50 factors for MovieLens 1M."""

    kind: Literal["pure-svd"] = "pure-svd"
    factors: Width = 50
    positive: float | None = None


ModelConfig = Annotated[
    ItemAutoRecConfig
    | UserAutoRecConfig
    | MultDAEConfig
    | MultVAEConfig
    | RBMConfig
    | ImplicitAutoRecConfig
    | MeanConfig
    | BiasesConfig
    | PopularityConfig
    | BiasedMFConfig
    | BayesianMFConfig
    | ALSConfig
    | BPRConfig
    | ItemKNNConfig
    | EASEConfig
    | EDLAEConfig
    | DLAEConfig
    | PCAConfig
    | PureSVDConfig,
    Field(discriminator="kind"),
]


def with_epochs(config: ModelConfig, epochs: int) -> ModelConfig:
    """The same training, ended after `epochs` epochs (0: where it starts): the learning rate of each epoch is
    what it was, so a cosine goes on ending where it did. Where layers are pretrained, their epochs count, and
    a training that ends among them has as many of each layer, rounded up. A model without epochs stays as it
    is."""
    match config:
        case AutoRecConfig(pretraining=PretrainingConfig() as pretraining):
            each = min(pretraining.epochs, ceil(epochs / len(config.hidden)))
            layers = PretrainingConfig(epochs=each) if epochs else None
            left = max(0, epochs - config.pretraining_epochs)
            whole = with_epochs(config.model_copy(update={"pretraining": None}), left)
            return whole.model_copy(update={"pretraining": layers})
        case AutoencoderConfig(training=training) | RBMConfig(training=training):
            schedule = training.schedule
            if isinstance(schedule, CosineSchedule) and schedule.epochs is None:
                schedule = schedule.model_copy(update={"epochs": training.epochs})
            shorter = training.model_copy(update={"epochs": epochs, "schedule": schedule})
            return config.model_copy(update={"training": shorter})
        case BiasedMFConfig() | ALSConfig():
            return config.model_copy(update={"iterations": epochs})
        case BayesianMFConfig():
            return config.model_copy(update={"sweeps": epochs})
        case BPRConfig():
            return config.model_copy(update={"epochs": epochs})
        case MeanConfig() | BiasesConfig() | PopularityConfig() | ItemKNNConfig():
            return config
        case EASEConfig() | EDLAEConfig() | DLAEConfig() | PCAConfig() | PureSVDConfig():
            return config
        case _:
            assert_never(config)
