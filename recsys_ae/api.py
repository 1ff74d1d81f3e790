"""Load, split, fit, evaluate, recommend: the whole of it in a few calls from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from recsys_ae.config import Config
from recsys_ae.data.configs import DataConfig
from recsys_ae.data.load import load_ratings, load_table
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.evaluator import evaluate as evaluate_on
from recsys_ae.evaluation.report import Report
from recsys_ae.experiments.fit import fit_split
from recsys_ae.experiments.prepare import check_feedback
from recsys_ae.models.configs import ModelConfig
from recsys_ae.recommender import Recommender
from recsys_ae.serving.lists import frame_of
from recsys_ae.serving.lists import recommend as recommend_to
from recsys_ae.settings.configs import ValidationConfig
from recsys_ae.settings.explain import checked
from recsys_ae.splitting.configs import PredefinedSplitConfig, SplitConfig
from recsys_ae.splitting.make import make_split
from recsys_ae.splitting.split import Split
from recsys_ae.training.runner import Context

if TYPE_CHECKING:
    import pandas as pd

Settings = str | Mapping[str, Any] | BaseModel  # a kind, its settings with a "kind", or a config


class _Model(Config):
    model: ModelConfig


class _Split(Config):
    split: SplitConfig


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
    `kind` and its settings, such as {"kind": "leave-last", "n": 2}. `test_share`: null takes the kind's own.
    """
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
    device: str = "auto",
    anyway: bool = False,
) -> Recommender:
    """A model fitted to the training part.

    `model`: a kind such as "i-autorec", or a mapping with a `kind` and its settings. Models that train in
    epochs give up the share `validation` of the training part to choose their epoch by; None trains to the
    last epoch. `seed`: None takes that of the split. Raises CapabilityError for a model of ratings and a
    split of counts or events, unless `anyway`."""
    config = checked(_Model, {"model": _settings(model)}, where="fit").model
    check_feedback(config, split.train, anyway=anyway)
    chosen_on = None
    if validation is not None:
        chosen_on = checked(ValidationConfig, {"share": validation}, where="fit: validation")
    fitted = fit_split(
        config,
        split,
        validation=chosen_on,
        seed=split.seed if seed is None else seed,
        context=Context(device=device),
    )
    return fitted.trained.model


def evaluate(
    model: Recommender, split: Split, *, cutoffs: Sequence[int] = (10,), relevant: float | None = None
) -> Report:
    """All metrics that the model is capable of, on the test part; `relevant`: the least rating of a hit."""
    document = {"cutoffs": list(cutoffs), "relevant": relevant}
    return evaluate_on(model, split, checked(EvaluationConfig, document, where="evaluate"))


def recommend(
    model: Recommender,
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
    histories = split.histories()
    rows = None if users is None else histories.users.positions(users)
    blocks = recommend_to(model, histories, rows=rows, n=n, exclude_seen=exclude_seen)
    return frame_of(blocks, users=histories.users, items=model.items)


def _settings(given: Settings) -> dict[str, Any]:
    if isinstance(given, str):
        return {"kind": given}
    return given.model_dump() if isinstance(given, BaseModel) else dict(given)
