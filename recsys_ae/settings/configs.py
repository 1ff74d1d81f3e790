"""Whole experiments as values: what YAML files say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from recsys_ae.config import Config, Share
from recsys_ae.data.configs import DataConfig
from recsys_ae.errors import brief
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.models.configs import ModelConfig
from recsys_ae.splitting.configs import RandomSplitConfig, SplitConfig

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]


ValidationMetric = Literal[
    "rmse", "mae", "rmse_warm", "mae_warm", "precision", "recall", "hit_rate", "map", "mrr", "ndcg"
]


class ValidationConfig(Config):
    """How epochs and settings are chosen: on a share of the training part, by one metric (null: rmse for
    models that predict ratings, else ndcg at the first cutoff). Splits of users validate on users.

    `refit`: a model whose epoch was chosen is fitted once more, to the whole training part, for as many
    epochs. As many epochs are a few more steps, as there are more ratings; each has the learning rate that it
    had.
    """

    share: Share = 0.05
    metric: ValidationMetric | None = None
    refit: bool = False


class BenchmarkValidationConfig(ValidationConfig):
    """The same for models that are compared, which are all fitted to the same training ratings unless `refit`
    is false."""

    refit: bool = True


class ExperimentConfig(Config):
    """One run: data, split, model, and what is measured."""

    name: Name
    seed: NonNegativeInt = 0
    data: DataConfig
    split: SplitConfig = RandomSplitConfig()
    validation: ValidationConfig | None = ValidationConfig()
    model: ModelConfig
    evaluation: EvaluationConfig = EvaluationConfig()


class EntryConfig(Config):
    """One compared model. `grid`: dotted path inside `model` -> the values to try; the combination with the
    best validation score goes to the test."""

    name: Name
    model: ModelConfig
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(default_factory=dict)


class BenchmarkConfig(Config):
    """Models × seeds on the same splits. `trials`: how many settings every model may try (its tuning budget);
    `reference`: the model to which all others are compared in pairs."""

    name: Name
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] = (0,)
    data: DataConfig
    split: SplitConfig = RandomSplitConfig()
    validation: BenchmarkValidationConfig = BenchmarkValidationConfig()
    models: Annotated[tuple[EntryConfig, ...], Field(min_length=1)]
    reference: str
    trials: PositiveInt = 1
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _names_and_seeds_fit(self):
        names = [entry.name for entry in self.models]
        if len(set(names)) < len(names):
            raise ValueError(f"two models have the same name: {', '.join(names)}")
        if self.reference not in names:
            raise ValueError(f"reference {brief(self.reference)} is none of the models: {', '.join(names)}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)}: each seed is run once; name others")
        return self
