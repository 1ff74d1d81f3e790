"""Whole experiments as values: what YAML files say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from recsys_ae.config import Config, Share
from recsys_ae.data.configs import DataConfig
from recsys_ae.errors import brief
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.models.configs import ModelConfig
from recsys_ae.settings.spaces import Space
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
    """One compared model. `grid`: dotted path inside `model` -> the values to try, all of them; `space`: the
    same path -> a range or values, of which as many combinations are tried as the budget allows. The one with
    the best validation score goes to the test."""

    name: Name
    model: ModelConfig
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(default_factory=dict)
    space: Space = Field(default_factory=dict)

    @model_validator(mode="after")
    def _settings_come_from_one_place(self):
        if self.grid and self.space:
            raise ValueError("has a grid and a space; write the values of the grid into the space")
        return self


class SearchConfig(Config):
    """The settings of one model, searched on validation ratings: `space` names what may change, see
    `EntryConfig`, and `trials` how many combinations are tried. `prune`: a training whose validation curve
    falls behind those of the trials before it ends early. `max_minutes`: no trial begins once the trials have
    taken as long; how many there are then depends on the machine. The best settings go to the test, fitted to
    all training ratings unless `validation.refit` is false."""

    name: Name
    seed: NonNegativeInt = 0
    data: DataConfig
    split: SplitConfig = RandomSplitConfig()
    validation: BenchmarkValidationConfig = BenchmarkValidationConfig()
    model: ModelConfig
    space: Annotated[Space, Field(min_length=1)]
    trials: PositiveInt = 30
    prune: bool = True
    max_minutes: PositiveFloat | None = None
    evaluation: EvaluationConfig = EvaluationConfig()

    @property
    def entry(self) -> EntryConfig:
        """The search as that of one model of a benchmark."""
        return EntryConfig(name=self.name, model=self.model, space=self.space)

    def experiment(self, model: ModelConfig) -> ExperimentConfig:
        """The run of a model with the settings that were found."""
        return ExperimentConfig(
            name=self.name,
            seed=self.seed,
            data=self.data,
            split=self.split,
            validation=ValidationConfig(**self.validation.model_dump()),
            model=model,
            evaluation=self.evaluation,
        )


class BenchmarkConfig(Config):
    """Models × seeds on the same splits. `trials`: how many settings every model may try (its tuning budget),
    those of grids and of spaces alike; in files `tuning: {trials: 30}` says the same. `prune`: of spaces, see
    `SearchConfig`. `reference`: the model to which all others are compared in pairs; the first, where none is
    named."""

    name: Name
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] = (0,)
    data: DataConfig
    split: SplitConfig = RandomSplitConfig()
    validation: BenchmarkValidationConfig = BenchmarkValidationConfig()
    models: Annotated[tuple[EntryConfig, ...], Field(min_length=1)]
    reference: str
    trials: PositiveInt = 1
    prune: bool = True
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

    @model_validator(mode="before")
    @classmethod
    def _the_first_is_the_reference(cls, document: Any) -> Any:
        """Where no other is named."""
        if not isinstance(document, dict) or document.get("reference") is not None:
            return document
        models = document.get("models")
        first = models[0] if isinstance(models, list | tuple) and models else None
        name = first.get("name") if isinstance(first, dict) else getattr(first, "name", None)
        return document if name is None else {**document, "reference": name}
