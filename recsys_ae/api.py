"""Load, split, fit, evaluate, recommend: the whole of it in a few calls from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from recsys_ae.config import Config
from recsys_ae.data.configs import DataConfig
from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.load import load_ratings, load_table
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError, DataError
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.contamination import Training, evaluate_unless_seen
from recsys_ae.evaluation.evaluator import evaluate as evaluate_on
from recsys_ae.evaluation.report import Report
from recsys_ae.experiments.fit import fit_split
from recsys_ae.experiments.prepare import check_feedback
from recsys_ae.experiments.tune import Tuned, check_settings
from recsys_ae.experiments.tune import tune as tune_settings
from recsys_ae.models.configs import ModelConfig
from recsys_ae.recommender import Recommender
from recsys_ae.serving import samples
from recsys_ae.serving.lists import frame_of
from recsys_ae.serving.lists import recommend as recommend_to
from recsys_ae.settings.configs import SearchConfig, ValidationConfig
from recsys_ae.settings.explain import checked
from recsys_ae.splitting.configs import PredefinedSplitConfig, SplitConfig
from recsys_ae.splitting.make import make_split
from recsys_ae.splitting.split import Split
from recsys_ae.training.runner import Context
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector

if TYPE_CHECKING:
    import pandas as pd

Settings = str | Mapping[str, Any] | BaseModel  # a kind, its settings with a "kind", or a config


class _Model(Config):
    model: ModelConfig


class _Split(Config):
    split: SplitConfig


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A fitted recommender, to be used as one, that knows what it comes from.

    `training`: the ratings that it was fitted to or chosen by, on which `evaluate` does not test it.
    `validation`: the score that chose its epoch, None where nothing was chosen.
    """

    recommender: Recommender
    training: Training
    validation: float | None = None

    def __repr__(self) -> str:
        chosen = "" if self.validation is None else f", validation {self.validation:.6g}"
        return f"Model({self.kind} of {len(self.users)} users and {len(self.items)} items{chosen})"

    @property
    def kind(self) -> str:
        return self.recommender.kind

    @property
    def users(self) -> IdMap:
        return self.recommender.users

    @property
    def items(self) -> IdMap:
        return self.recommender.items

    @property
    def folds_in(self) -> bool:
        return self.recommender.folds_in

    @property
    def predicts_ratings(self) -> bool:
        return self.recommender.predicts_ratings

    @property
    def ranks(self) -> bool:
        return self.recommender.ranks

    def score(self, batch: UserBatch) -> FloatMatrix:
        return self.recommender.score(batch)

    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        return self.recommender.score_pairs(batch, rows, items)


def load(
    source: Any,
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    feedback: str | None = None,
    scale: tuple[float, float] | None = None,
    duplicates: str = "error",
    encoding: str = "utf-8",
    header: bool | None = None,
    decimal: str | None = None,
    filters: Mapping[str, Any] | None = None,
) -> Ratings:
    """Ratings of a known dataset, of files (a path, a folder of parts, a pattern, or a list of them), of a
    table (pandas, polars, Arrow) or of a SciPy matrix. The options are those of `DataConfig`; what the
    columns were read as is logged.

    Raises ConfigError for an option that does not exist, DataError for ratings that cannot be used.
    """
    in_memory = not isinstance(source, (str, PathLike, list, tuple))
    paths = [str(path) for path in source] if isinstance(source, (list, tuple)) else str(source)
    document = {
        "source": type(source).__name__ if in_memory else paths,
        "format": format,
        "columns": columns or {},
        "feedback": feedback,
        "scale": scale,
        "duplicates": duplicates,
        "encoding": encoding,
        "header": header,
        "decimal": decimal,
        "filters": filters or {},
    }
    config = checked(DataConfig, document, where="load")
    return load_table(source, config) if in_memory else load_ratings(config)


def split(
    ratings: Ratings, *, kind: Settings = "random", test_share: float | None = None, seed: int = 0
) -> Split:
    """Ratings in a training and a test part.

    `kind`: "random", "k-fold", "per-user", "temporal", "leave-last", "users" or "all", or a mapping with a
    `kind` and its settings, such as {"kind": "leave-last", "n": 2}. `test_share`: None takes the kind's own.
    Raises ConfigError for a setting that does not hold.
    """
    _check_is(ratings, Ratings, "split: the ratings must come from ra.load")
    shared = {} if test_share is None else {"test_share": test_share}
    config = checked(_Split, {"split": {**_settings(kind), **shared}}, where="split").split
    if isinstance(config, PredefinedSplitConfig):
        raise ConfigError("split: a predefined split is made of two files; name them in an experiment file")
    return make_split(config, ratings, seed)


def fit(
    model: Settings,
    split: Split,
    *,
    seed: int | None = None,
    validation: float | None = 0.05,
    refit: bool = False,
    device: str = "auto",
    anyway: bool = False,
) -> Model:
    """A model fitted to the training part, which remembers what it was fitted to.

    `model`: a kind such as "i-autorec", or a mapping with a `kind` and its settings. Models that train in
    epochs give up the share `validation` of the training part to choose their epoch by; None trains to the
    last epoch. `refit`: fits once more, to all of it, for as many epochs as were chosen. `seed`: None takes
    that of the split. Raises CapabilityError for a model of ratings and a split of counts or events, unless
    `anyway`.
    """
    _check_is(split, Split, "fit: the split must come from ra.split")
    config = checked(_Model, {"model": _settings(model)}, where="fit").model
    check_feedback(config, split.train, anyway=anyway)
    chosen_on = None
    if validation is not None:
        chosen_on = checked(ValidationConfig, {"share": validation, "refit": refit}, where="fit: validation")
    fitted = fit_split(
        config,
        split,
        validation=chosen_on,
        seed=split.seed if seed is None else seed,
        context=Context(device=device),
    )
    return Model(fitted.model, Training.of(split), fitted.score)


def evaluate(
    model: Model | Recommender,
    split: Split,
    *,
    cutoffs: Sequence[int] = (10,),
    relevant: float | str | None = None,
    anyway: bool = False,
) -> Report:
    """All metrics that the model is capable of, on the test part. `relevant`: the least rating of a hit, or
    "all"; None takes the upper 40 % of the training ratings (see `EvaluationConfig`).

    Raises DataError where the model was fitted to ratings of the test part, or to other data. `anyway`: tests
    nevertheless; `status` of the report says what it is worth.
    """
    _check_is(split, Split, "evaluate: the split must come from ra.split")
    document = {"cutoffs": list(cutoffs), "relevant": relevant}
    config = checked(EvaluationConfig, document, where="evaluate")
    if not isinstance(model, Model):
        return evaluate_on(model, split, config)
    return evaluate_unless_seen(model.recommender, split, model.training, config, anyway=anyway)


def recommend(
    model: Model | Recommender,
    split: Split,
    *,
    n: int = 10,
    users: Sequence[Any] | None = None,
    exclude_seen: bool = True,
) -> pd.DataFrame:
    """Top-N lists from what the split lets the model read: columns user, rank (from 1), item, score.

    `users`: ids, None takes all. Items that a user has rated are left out unless `exclude_seen` is false.
    Raises UnknownIdError for users that are not there.
    """
    _check_is(split, Split, "recommend: the split must come from ra.split")
    histories = split.histories()
    rows = None if users is None else histories.users.positions(users)
    blocks = recommend_to(_recommender_of(model), histories, rows=rows, n=n, exclude_seen=exclude_seen)
    return frame_of(blocks, users=histories.users, items=model.items)


def sample(model: Model | Recommender, n: int = 5, *, top: int = 10, seed: int = 0) -> pd.DataFrame:
    """The best items of `n` users who do not exist, drawn from a variational autoencoder: columns sample
    (from 1), rank (from 1), item, and rating, or share where the model knows likes alone. `top`: the number
    of items makes whole rows.

    Raises CapabilityError for another model than mult-vae and u-autorec with a gaussian bottleneck.
    """
    return samples.sample(_recommender_of(model), n, seed=seed, top=top).frame()


def walk(
    model: Model | Recommender, split: Split, start: Any, end: Any, *, steps: int = 7, top: int = 10
) -> pd.DataFrame:
    """The best items on the straight way from the code of the user `start` to that of `end`, both known by
    what the split lets the model read: columns step (from 1), rank (from 1), item, and rating or share.

    Raises CapabilityError as `sample` does, UnknownIdError for users that are not there.
    """
    _check_is(split, Split, "walk: the split must come from ra.split")
    made_up = samples.walk(
        _recommender_of(model), split.histories(), start=start, end=end, steps=steps, top=top
    )
    return made_up.frame()


def _recommender_of(model: Model | Recommender) -> Recommender:
    return model.recommender if isinstance(model, Model) else model


def _check_is(value: object, kind: type, sentence: str) -> None:
    if not isinstance(value, kind):
        raise DataError(f"{sentence}, and this is a {type(value).__name__}")


def _settings(given: Settings) -> dict[str, Any]:
    if isinstance(given, str):
        return {"kind": given}
    return given.model_dump() if isinstance(given, BaseModel) else dict(given)


def tune(
    model: Settings,
    split: Split,
    space: Mapping[str, Any],
    *,
    trials: int = 30,
    prune: bool = True,
    seed: int | None = None,
    validation: float = 0.05,
    study: str | PathLike[str] | None = None,
    device: str = "auto",
    anyway: bool = False,
) -> Tuned:
    """The best settings of a model that a search finds on a part of the training ratings: `model` of the
    answer is a config for `fit`, `validation` has all trials, `validation.winner` the best.

    `space`: dotted name of a setting -> {"low": 1, "high": 100}, with "log": True where ratios count, or
    {"values": [...]}. `study`: a SQLite file that keeps the trials, from which the same call goes on; None
    keeps none. The other arguments are those of `fit`. Raises ConfigError for a space that does not hold.
    """
    _check_is(split, Split, "tune: the split must come from ra.split")
    document = {
        "name": "tune",
        "seed": split.seed if seed is None else seed,
        "data": {"source": "memory"},
        "validation": {"share": validation},
        "model": _settings(model),
        "space": space,
        "trials": trials,
        "prune": prune,
    }
    config = checked(SearchConfig, document, where="tune")
    check_settings(config.entry)
    check_feedback(config.model, split.train, anyway=anyway)
    place = None if study is None else Path(study)
    return tune_settings(
        config.entry, split, config, seed=config.seed, context=Context(device=device), study=place
    )
