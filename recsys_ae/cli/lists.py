"""recsys-ae recommend to a folder of shards, recsys-ae check: lists of many users."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering, tell
from recsys_ae.errors import ConfigError, cut

if TYPE_CHECKING:
    from recsys_ae.data.histories import Histories
    from recsys_ae.models.storage import StoredModel
    from recsys_ae.serving.batch import Made
    from recsys_ae.serving.configs import RulesConfig
    from recsys_ae.serving.manifest import Manifest
    from recsys_ae.types import Progress

_OF_FILES = (".parquet", ".csv")
_OF_OTHER_FILES = (".txt", ".tsv", ".json", ".jsonl", ".xlsx", ".pq", ".arrow", ".feather", ".gz", ".zip")


class Fallback(StrEnum):
    popular = "popular"
    none = "none"


FallbackOption = Annotated[
    Fallback | None,
    typer.Option(help="To a folder: what users without ratings get; default: the popular items."),
]
ShardUsers = Annotated[
    int | None, typer.Option(min=1, help="To a folder: users of a part; default: a million rows.")
]
Rules = Annotated[
    Path | None,
    typer.Option(help="A YAML file of what lists may hold, and in which order.", callback=options.at_home),
]
LimitMemory = Annotated[
    str | None, typer.Option(metavar="SIZE", help="To a folder: what the command may take, e.g. 2GB.")
]
Lists = Annotated[Path, typer.Argument(help="A folder of lists.", callback=options.at_home)]


def is_folder(out: Path | None) -> bool:
    """Whether lists go to a folder of shards: where the name does not end as that of a file."""
    if out is None or out.suffix.lower() in _OF_FILES:
        return False
    if out.suffix.lower() in _OF_OTHER_FILES:
        raise ConfigError(
            f"--out {out}: lists are written as .parquet or .csv, or to a folder, not as {out.suffix!r}; "
            "rename the output"
        )
    return True


def make_folder(
    out: Path,
    stored: StoredModel,
    histories: Histories,
    *,
    users: str,
    n: int,
    exclude_seen: bool,
    fallback: Fallback | None,
    shard_users: int | None,
    limit_memory: str | None,
    threads: int | None,
    rules: RulesConfig,
    asked: str,
    uri: str,
    on_listed: Progress,
) -> Made:
    """The lists of `recsys-ae recommend` in a folder. `asked`: what the model was called, `uri`: what that
    means now."""
    from recsys_ae.models.storage import model_facts
    from recsys_ae.serving.audience import audience_named
    from recsys_ae.serving.batch import make_lists
    from recsys_ae.serving.job import job_of
    from recsys_ae.serving.rules import rules_of
    from recsys_ae.serving.sizes import bytes_in

    limit = None if limit_memory is None else bytes_in(limit_memory)
    if_none: Literal["popular", "none"] = "none" if fallback is Fallback.none else "popular"
    audience = audience_named(histories, users, fallback=if_none)
    job = job_of(
        stored.recommender,
        audience,
        model=model_facts(stored.recommender, stored.info, asked=asked, uri=uri),
        histories=histories,
        training=stored.histories,
        n=n,
        exclude_seen=exclude_seen,
        fallback=if_none,
        rules=rules_of(rules, stored.recommender, audience.histories, stored.histories),
        shard_users=shard_users,
        limit_memory=limit,
    )
    return make_lists(out, job, threads=threads, limit_memory=limit, on_listed=on_listed)


def check(folder: Lists, as_json: options.AsJson = False) -> None:
    """Check a folder of lists.

    It is whole, and every file is as it was written.
    """
    with answering(as_json=as_json) as say:
        from recsys_ae.serving.manifest import check_lists

        manifest = check_lists(folder)
        say(summary(manifest), lambda: tell(f"{_what(manifest)}: whole"))


def show_made(made: Made) -> None:
    """What was made, and what readers should know of it."""
    manifest, n_kept = made.manifest, len(made.manifest.shards) - made.n_made
    if not made.n_made:
        tell(f"{_what(manifest)}: nothing to do, they were there, whole")
    else:
        tell(_what(manifest) + (f"; {n_kept} of {len(manifest.shards)} parts were there" if n_kept else ""))
    rated = (
        "nothing left that could be" if manifest.plan.settings["rules"] else "rated everything that could be"
    )
    for count, meaning in (
        ("empty_lists", f"users have {rated} listed: no list"),
        ("short_lists", f"lists have fewer than {manifest.plan.settings['n']} items"),
    ):
        if manifest.totals[count]:
            tell(f"{manifest.totals[count]:,} {meaning}")


def summary(manifest: Manifest) -> dict[str, Any]:
    """What JSON says of a folder of lists."""
    plan = manifest.plan
    return {
        "out": str(manifest.folder),
        "n": plan.settings["n"],
        "parts": len(manifest.shards),
        "model": dict(plan.model),
        **manifest.totals,
    }


def _what(manifest: Manifest) -> str:
    shown, parts = cut(str(manifest.folder), 200), len(manifest.shards)
    top = f"the top {manifest.plan.settings['n']} of {manifest.users:,} users"
    return f"{shown}: {manifest.rows:,} rows, {top}, in {parts} part{'s' if parts > 1 else ''}"
