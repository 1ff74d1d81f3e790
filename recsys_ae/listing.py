"""Lists of all users in a folder, from Python: what `recsys-ae recommend --out lists` does."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from recsys_ae.errors import ConfigError, brief
from recsys_ae.model import Model
from recsys_ae.models.storage import load_model, model_facts
from recsys_ae.reporting.progress import watched
from recsys_ae.serving.audience import audience_of
from recsys_ae.serving.batch import make_lists
from recsys_ae.serving.job import job_of
from recsys_ae.serving.manifest import Manifest
from recsys_ae.serving.rules import rules_of
from recsys_ae.serving.sizes import bytes_in
from recsys_ae.settings.load import load_rules
from recsys_ae.tracking.registry import pinned, resolve_model


def recommend_all(
    model: Model | str | PathLike[str],
    folder: str | PathLike[str],
    users: Any = None,
    n: int = 20,
    *,
    exclude_seen: bool = True,
    fallback: Literal["popular", "none"] = "popular",
    rules: Mapping[str, Any] | str | PathLike[str] | None = None,
    shard_users: int | None = None,
    threads: int | None = None,
    limit_memory: int | str | None = None,
    progress: bool | None = None,
) -> Manifest:
    """Top-N lists as parquet files in a folder, part by part; what they hold is told by the answer, and by
    the folder's _manifest.json, which is there when all is whole. Called again after an interruption it goes
    on, to the same bytes; a folder of other lists is refused.

    `model`: one that was fitted or loaded, or its folder or address (see `load_model`). `users`: ids, one or
    many; None or "all" takes all. Those without any rating get the most popular items, their scores being how
    many people have rated these, or no list with fallback="none". `rules`: see
    `Model.recommend`. `shard_users`: of one file; None makes about a million rows each. `threads`: None takes
    all cores. `limit_memory`: of this process, in bytes or as in "2GB". `progress`: a bar on stderr; None
    shows one after two seconds.

    Raises ConfigError for settings that do not hold, DataError for what is no id, CapabilityError for a model
    that does not rank, StorageError for a folder that holds something else or cannot be written.
    """
    if fallback not in ("popular", "none"):
        raise ConfigError(f"fallback is {brief(fallback)}, but must be 'popular' or 'none'")
    if threads is not None and threads < 1:
        raise ConfigError(f"threads is {threads}, but must be at least 1; give a positive number")
    everybody = users is None or (isinstance(users, str) and users == "all")
    asked = None if isinstance(model, Model) else str(model)
    uri = None if asked is None else pinned(asked)
    if not isinstance(model, Model):
        model = Model.of_stored(load_model(resolve_model(str(uri))))
    histories = model.training.histories
    limit = bytes_in(limit_memory) if isinstance(limit_memory, str) else limit_memory
    audience = audience_of(histories, None if everybody else users, fallback=fallback)
    job = job_of(
        model.recommender,
        audience,
        model=model_facts(model.recommender, model.info, asked=asked, uri=uri),
        histories=histories,
        training=histories,
        n=n,
        exclude_seen=exclude_seen,
        fallback=fallback,
        rules=rules_of(load_rules(rules), model.recommender, audience.histories, histories),
        shard_users=shard_users,
        limit_memory=limit,
    )
    with watched(shown=progress) as line:
        path = Path(folder).expanduser()
        return make_lists(path, job, threads=threads, limit_memory=limit, on_listed=line.listing).manifest
