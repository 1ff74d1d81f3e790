"""Load, split, fit, evaluate, compare: the whole of it in a few calls from Python. What `fit` gives does the
rest: see `Model`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys_ae.comparing import IN_MEMORY, Benchmark, Settings, benchmark, compare, listed, settings_of
from recsys_ae.config import Config
from recsys_ae.data.configs import DataConfig
from recsys_ae.data.load import load_ratings, load_table
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError, DataError, RecsysError
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.contamination import Training, evaluate_unless_seen
from recsys_ae.evaluation.evaluator import evaluate as evaluate_on
from recsys_ae.evaluation.report import Report
from recsys_ae.evaluation.validation import validation_metric
from recsys_ae.experiments.fit import Fit, fit_split, metric_of_epochs
from recsys_ae.experiments.prepare import check_feedback
from recsys_ae.experiments.tune import Tuned, check_settings
from recsys_ae.experiments.tune import tune as tune_settings
from recsys_ae.listing import recommend_all
from recsys_ae.metrics import Metric
from recsys_ae.model import Model
from recsys_ae.models.configs import ModelConfig
from recsys_ae.models.storage import load_model as read_model
from recsys_ae.recommender import Recommender
from recsys_ae.reporting.progress import count_bar, epoch_bar, watched
from recsys_ae.reporting.tables import figure_text
from recsys_ae.results.result import json_values
from recsys_ae.results.trials import Trial, Validation, best_of
from recsys_ae.serving import samples
from recsys_ae.serving.asked import check_at_least
from recsys_ae.serving.lists import lists_of
from recsys_ae.settings.configs import SearchConfig, ValidationConfig
from recsys_ae.settings.explain import checked
from recsys_ae.splitting.configs import PredefinedSplitConfig, SplitConfig
from recsys_ae.splitting.make import make_split
from recsys_ae.splitting.split import Split
from recsys_ae.training.runner import Context

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Benchmark",
    "Model",
    "Ratings",
    "RecsysError",
    "Report",
    "Split",
    "Tuned",
    "benchmark",
    "compare",
    "evaluate",
    "fit",
    "load",
    "load_model",
    "recommend",
    "recommend_all",
    "sample",
    "split",
    "tune",
    "walk",
]


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
    progress: bool | None = None,
) -> Ratings:
    """Ratings of a known dataset, of files (a path, a folder of parts, a pattern, or a list of them), of a
    table (pandas, polars, Arrow) or of a SciPy matrix. The options are those of `DataConfig`; what the
    columns were read as is logged. `progress`: a bar on stderr; None shows one after two seconds.

    Raises ConfigError for an option that does not exist, DataError for ratings that cannot be used.
    """
    in_memory = not isinstance(source, (str, PathLike, list, tuple))
    for part in source if isinstance(source, (list, tuple)) else ():
        _check_is(part, (str, PathLike), "load: a list of ratings is a list of paths")
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
    with _in_python(), watched(shown=progress) as line:
        return load_table(source, config) if in_memory else load_ratings(config, line.reading)


@contextmanager
def _in_python() -> Iterator[None]:
    """What a sentence advises to say on a command line becomes an argument of `load`."""

    def argument(match: re.Match[str]) -> str:
        name, inner, value = match.groups()
        return f'{name}={{"{inner}": "{value}"}}' if inner else f'{name}="{value}"'

    try:
        yield
    except DataError as error:
        error.args = (re.sub(r"--set data\.(\w+)(?:\.(\w+))?=([^\s;,]+)", argument, str(error)),)
        raise


def split(
    ratings: Ratings, *, kind: Settings = "random", test_share: float | None = None, seed: int = 0
) -> Split:
    """Ratings in a training and a test part.

    `kind`: "random", "k-fold", "per-user", "temporal", "leave-last", "users" or "all", or a mapping with a
    `kind` and its settings, such as {"kind": "leave-last", "n": 2}. `test_share`: None takes the kind's own.
    Raises ConfigError for a setting that does not hold.
    """
    _check_is(ratings, Ratings, "split: the ratings must come from ra.load")
    check_at_least("seed", seed, 0)
    shared = {} if test_share is None else {"test_share": test_share}
    document = {"split": {**settings_of(kind, "split"), **shared}}
    config = checked(_Split, document, where="split", within="split").split
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
    progress: bool | None = None,
    **settings: Any,
) -> Model:
    """A model fitted to the training part, which remembers what it was fitted to.

    `model`: a kind such as "i-autorec", or a mapping with a `kind` and its settings. `settings`: those of the
    model, such as hidden=[200] or training={"epochs": 30}; they go before those of the mapping. Models that
    train in epochs give up the share `validation` of the training part to choose their epoch by; None trains
    to the last epoch. `refit`: fits once more, to all of it, for as many epochs as were chosen. `seed`: None
    takes that of the split. `progress`: a bar on stderr; None shows one after two seconds.

    Raises ConfigError for a setting that does not hold, CapabilityError for a model of ratings and a split of
    counts or events, unless `anyway`.
    """
    _check_is(split, Split, "fit: the split must come from ra.split")
    document = {"model": {**settings_of(model, "fit"), **settings}}
    config = checked(_Model, document, where="fit", within="model").model
    check_feedback(config, split.train, anyway=anyway)
    seed = split.seed if seed is None else seed
    check_at_least("seed", seed, 0)
    chosen_on = None
    if validation is not None:
        chosen_on = checked(ValidationConfig, {"share": validation, "refit": refit}, where="fit: validation")
    metric = metric_of_epochs(config, chosen_on, EvaluationConfig())
    with epoch_bar(config.max_epochs, metric=metric, shown=progress) as bar:
        fitted = fit_split(
            config,
            split,
            validation=chosen_on,
            seed=seed,
            context=Context(device=device, on_epoch=bar),
        )
    return Model(fitted.model, Training.of(split), _info(config, split, fitted))


def _info(config: ModelConfig, split: Split, fitted: Fit) -> dict[str, Any]:
    """What a model says of its origin; JSON values."""
    chosen = None if fitted.metric is None else Validation(fitted.metric.key, (fitted.trial({}),))
    found = {
        "model": config.model_dump(mode="json"),
        "split": split.config.model_dump(mode="json"),
        "split_seed": split.seed,
        "data_fingerprint": split.data_fingerprint,
        "feedback": split.train.feedback,
        "validation": None if chosen is None else chosen.to_json(),
    }
    return json_values(found | ({} if split.train.scale is None else {"scale": split.train.scale}))


def load_model(folder: str | PathLike[str]) -> Model:
    """The model in a folder that `Model.save` or the command line has written, or behind the address
    models:/ID, runs:/RUN_ID/model, models:/NAME/VERSION or models:/NAME@ALIAS of the tracking store in use.
    It scores as the saved one does, bit for bit.

    Raises StorageError where there is no model, or none that this program reads, ConfigError and
    TrackingError for an address that leads nowhere.
    """
    from recsys_ae.tracking.registry import resolve_model

    _check_is(folder, (str, PathLike), "load_model: give a folder or an address")
    return Model.of_stored(read_model(resolve_model(str(folder))))


def evaluate(
    model: Model | Recommender,
    split: Split,
    *,
    cutoffs: int | Sequence[int] = (10,),
    relevant: float | str | None = None,
    anyway: bool = False,
    progress: bool | None = None,
) -> Report:
    """All metrics that the model is capable of, on the test part. `relevant`: the least rating of a hit, or
    "all"; None takes the upper 40 % of the training ratings (see `EvaluationConfig`). `progress`: a bar on
    stderr; None shows one after two seconds.

    Raises DataError where the model was fitted to ratings of the test part, or to other data. `anyway`: tests
    nevertheless; `status` of the report says what it is worth.
    """
    _check_is(split, Split, "evaluate: the split must come from ra.split")
    _check_is(model, Recommender, "evaluate: the model must come from ra.fit or ra.load_model")
    document = {"cutoffs": listed(cutoffs), "relevant": relevant}
    config = checked(EvaluationConfig, document, where="evaluate")
    with watched(shown=progress) as line:
        if not isinstance(model, Model):
            return evaluate_on(model, split, config, on_tested=line.testing)
        return evaluate_unless_seen(
            model.recommender, split, model.training, config, anyway=anyway, on_tested=line.testing
        )


def recommend(
    model: Model | Recommender,
    split: Split,
    *,
    n: int = 10,
    users: Any = None,
    filter_items: Any = None,
    items: Any = None,
    exclude_seen: bool = True,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Top-N lists from what the split lets the model read: columns user, rank (from 1), item, score. For the
    lists of a model's own users see `Model.recommend`.

    The other arguments, and what is raised, are those of `Model.recommend`.
    """
    _check_is(split, Split, "recommend: the split must come from ra.split")
    with watched(shown=progress) as line:
        return lists_of(
            _recommender_of(model, "recommend"),
            split.histories(),
            users,
            n=n,
            exclude_seen=exclude_seen,
            filter_items=filter_items,
            items=items,
            on_listed=line.listing,
        )


def sample(model: Model | Recommender, n: int = 5, *, top: int = 10, seed: int = 0) -> pd.DataFrame:
    """The best items of `n` users who do not exist, drawn from a variational autoencoder: columns sample
    (from 1), rank (from 1), item, and rating, or share where the model knows likes alone. `top`: the number
    of items makes whole rows.

    Raises CapabilityError for another model than mult-vae and u-autorec with a gaussian bottleneck.
    """
    return samples.sample(_recommender_of(model, "sample"), n, seed=seed, top=top).frame()


def walk(
    model: Model | Recommender, split: Split, start: Any, end: Any, *, steps: int = 7, top: int = 10
) -> pd.DataFrame:
    """The best items on the straight way from the code of the user `start` to that of `end`, both known by
    what the split lets the model read: columns step (from 1), rank (from 1), item, and rating or share.

    Raises CapabilityError as `sample` does, UnknownIdError for users that are not there.
    """
    _check_is(split, Split, "walk: the split must come from ra.split")
    made_up = samples.walk(
        _recommender_of(model, "walk"), split.histories(), start=start, end=end, steps=steps, top=top
    )
    return made_up.frame()


def _recommender_of(model: Model | Recommender, where: str) -> Recommender:
    _check_is(model, Recommender, f"{where}: the model must come from ra.fit or ra.load_model")
    return model.recommender if isinstance(model, Model) else model


def _check_is(value: object, kind: type | tuple[type, ...], sentence: str) -> None:
    if not isinstance(value, kind):
        raise DataError(f"{sentence}, and this is a {type(value).__name__}")


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
    progress: bool | None = None,
) -> Tuned:
    """The best settings of a model that a search finds on a part of the training ratings: `model` of the
    answer is a config for `fit`, `validation` has all trials, `validation.winner` the best.

    `space`: dotted name of a setting -> {"low": 1, "high": 100}, with "log": True where ratios count, or
    {"values": [...]}. `study`: a SQLite file that keeps the trials, from which the same call goes on; None
    keeps none. `progress`: a bar on stderr; None shows one after two seconds. The other arguments are those
    of `fit`. Raises ConfigError for a space that does not hold, StorageError for a study with which another
    search is at work.
    """
    _check_is(split, Split, "tune: the split must come from ra.split")
    settings = settings_of(model, "tune")
    document = {
        "name": settings.get("kind", "model"),
        "seed": split.seed if seed is None else seed,
        "data": {"source": IN_MEMORY},
        "validation": {"share": validation},
        "model": settings,
        "space": space,
        "trials": trials,
        "prune": prune,
    }
    config = checked(SearchConfig, document, where="tune", within="model")
    check_settings(config.entry)
    check_feedback(config.model, split.train, anyway=anyway)
    metric = validation_metric(None, config.evaluation, predicts_ratings=config.model.predicts_ratings)
    with count_bar("trials", config.trials, shown=progress) as tell:
        told = 0

        def show(finished: Sequence[Trial]) -> None:
            nonlocal told
            tell(len(finished) - told, _best_so_far(finished, metric))
            told = len(finished)

        return tune_settings(
            config.entry,
            split,
            config,
            seed=config.seed,
            context=Context(device=device),
            study=None if study is None else Path(study).expanduser(),
            on_trials=show,
        )


def _best_so_far(trials: Sequence[Trial], metric: Metric) -> str:
    best = best_of(trials, metric)
    score = None if best is None else trials[best].score
    return "" if score is None else f"best {metric.key} {figure_text(metric.key, score)}"
