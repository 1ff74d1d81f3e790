"""recsys-ae recommend, recsys-ae evaluate: what a stored model is asked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering, cold_text, show_beside, show_lists, tell
from recsys_ae.cli.lists import (
    Fallback,
    FallbackOption,
    LimitMemory,
    Rules,
    ShardUsers,
    is_folder,
    make_folder,
    show_made,
    summary,
)
from recsys_ae.errors import ConfigError

if TYPE_CHECKING:
    from recsys_ae.data.histories import Histories
    from recsys_ae.models.storage import StoredModel
    from recsys_ae.reporting.progress import Line
    from recsys_ae.serving.lists import Emptiness, TopNBlock
    from recsys_ae.serving.rules import Rules as RulesOfLists
    from recsys_ae.types import PositionVector, Progress

_READING = "With --data: how to read it where it differs from the training, e.g. data.columns.user=reader."


def recommend(
    model: options.StoredModel,
    users: Annotated[
        str | None,
        typer.Option(help="all (the default with --out), a file with one id per line, or 12,40,41."),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Length of the lists.")] = 10,
    out: Annotated[
        Path | None,
        typer.Option(help="A .parquet or .csv file, or a folder of shards.", callback=options.at_home),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="Newer ratings to read instead of those of training: a known dataset or paths."),
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=_READING)] = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Rank what a user has rated too.")
    ] = False,
    history: Annotated[
        int, typer.Option(min=0, help="Without --out: how many of a user's best rated items to show, too.")
    ] = 0,
    rules: Rules = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Not to a folder: users scored at once; default 1024.")
    ] = None,
    fallback: FallbackOption = None,
    shard_users: ShardUsers = None,
    limit_memory: LimitMemory = None,
    threads: options.Threads = None,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Write top-N lists.

    Without --out, those of the users who are named are shown, or else of three.
    To a folder (--out lists) they go part by part: killed and started again, the
    command goes on. Of a benchmark's folder, the model makes them whose lists are
    the best by validation.
    """
    options.use_threads(threads)
    to_folder = is_folder(out)
    _check_belongs(to_folder, batch_size, fallback, shard_users, limit_memory)
    _check_shown(out, users, history)
    if overrides and not data:
        raise ConfigError("--set says how to read newer ratings; name them with --data, or leave it out")
    with answering(as_json=as_json) as say, _watched(quiet) as line:
        from recsys_ae.models.storage import load_model
        from recsys_ae.serving.rules import rules_of
        from recsys_ae.settings.load import load_rules

        ruled = load_rules(rules)
        place, address = _chosen(model, tracking_uri)
        stored = load_model(place)
        histories = _newer(stored, data, overrides or [], line.reading) if data else stored.histories
        if out is not None and to_folder:
            made = make_folder(
                out, stored, histories, users=users or "all", n=n, exclude_seen=not include_seen,
                fallback=fallback, shard_users=shard_users, limit_memory=limit_memory, threads=threads,
                rules=ruled, asked=model, uri=address, on_listed=line.listing,
            )  # fmt: skip
            say({**summary(made.manifest), "parts_made": made.n_made}, lambda: show_made(made))
            return
        held_to = rules_of(ruled, stored.recommender, histories, stored.histories)
        asked = _Asked(stored, histories, n, not include_seen, held_to, batch_size or 1024, line.listing)
        if out is not None:
            document, told = asked.written(out, users or "all")
            say(document, lambda: tell(told))
        else:
            document, show = asked.shown(users, history)
            say(document, show)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Lists that go to one file, or to the terminal."""

    stored: StoredModel
    histories: Histories
    n: int
    exclude_seen: bool
    rules: RulesOfLists
    batch_size: int
    on_listed: Progress

    def written(self, out: Path, users: str) -> tuple[dict[str, Any], str]:
        """Write a file: the answer, as JSON and in words."""
        from recsys_ae.serving.lists import chosen_rows
        from recsys_ae.serving.writer import write_top_n

        rows = chosen_rows(users, self.histories.users)
        blocks, empty = self._blocks(rows)
        items = self.stored.recommender.items
        n_rows = write_top_n(out, blocks, users=self.histories.users, items=items)
        document = {"out": str(out), "rows": n_rows, **self._document(rows, empty)}
        return document, f"{out}: {n_rows} rows, the top {self.n} of {len(rows)} users{_of_empty(empty)}"

    def shown(self, users: str | None, history: int) -> tuple[dict[str, Any], Callable[[], None]]:
        """The answer as JSON, and what shows it, of three users where nobody is named; beside `history` items
        that each has rated best."""
        from recsys_ae.data.datasets import item_titles
        from recsys_ae.serving.lists import best_rated, chosen_rows, frame_of

        known, items = self.histories.users, self.stored.recommender.items
        rows = _three(len(known)) if users is None else chosen_rows(users, known)
        blocks, empty = self._blocks(rows)
        lists = frame_of(blocks, users=known, items=items).to_dict("records")
        rated = best_rated(self.histories, rows, items=items, n=history).to_dict("records")
        document = {**self._document(rows, empty), **({"histories": rated} if history else {}), "rows": lists}
        source = self.stored.info.get("config", {}).get("data", {}).get("source", "")
        note = _of_empty(empty)
        if users is None and len(rows) < len(known):
            note += f"; {len(rows)} of {len(known):,} users: --users names others, --out writes all"

        def show() -> None:
            titles = item_titles(source) or {}
            if history:
                show_beside(rated, lists, titles, note)
            else:
                show_lists(lists, titles, note)

        return document, show

    def _blocks(self, rows: PositionVector) -> tuple[Iterator[TopNBlock], Emptiness]:
        from recsys_ae.serving.lists import Emptiness, passing, recommend

        empty = Emptiness()
        lists = recommend(
            self.stored.recommender, self.histories, rows=rows, n=self.n,
            exclude_seen=self.exclude_seen, rules=self.rules, batch_size=self.batch_size,
        )  # fmt: skip
        return empty.counting(passing(lists, len(rows), self.on_listed)), empty

    def _document(self, rows: PositionVector, empty: Emptiness) -> dict[str, Any]:
        unknown = self.histories.n_unknown_items
        return {"users": len(rows), "n": self.n, "unknown_items": unknown, "empty_lists": empty.n_empty}


def _three(n_users: int) -> PositionVector:
    """The first, the middle and the last, as far as there are so many."""
    import numpy as np

    return np.unique([0, n_users // 2, n_users - 1]) if n_users else np.empty(0, dtype=np.int64)


def _check_shown(out: Path | None, users: str | None, history: int) -> None:
    """Raises ConfigError for what a terminal or a file has no room for."""
    if out is None and users == "all":
        raise ConfigError(
            "give --out recs.parquet (or .csv) for the lists of all users, or name a few users, such "
            "as --users 12,40"
        )
    if out is not None and history:
        raise ConfigError("--history is shown beside lists, and in no file; leave out --history or --out")


@contextmanager
def _watched(quiet: bool) -> Iterator[Line]:
    """A line on stderr where the answer takes its time."""
    from recsys_ae.reporting.progress import watched

    with watched(shown=False if quiet else None) as line:
        yield line


def _check_belongs(
    to_folder: bool,
    batch_size: int | None,
    fallback: Fallback | None,
    shard_users: int | None,
    limit_memory: str | None,
) -> None:
    """Raises ConfigError for an option that says nothing where the lists go."""
    if to_folder and batch_size is not None:
        raise ConfigError(
            "--batch-size is not for a folder, where the catalogue says how many users are scored at once; "
            "leave it out, or bound what is taken with --limit-memory"
        )
    given = {"--fallback": fallback, "--shard-users": shard_users, "--limit-memory": limit_memory}
    if not to_folder and (named := [name for name, value in given.items() if value is not None]):
        raise ConfigError(f"{named[0]} is for lists in a folder; name one, as in --out lists")


def _chosen(model: str, tracking_uri: str | None) -> tuple[Path, str]:
    """The folder of the model, which of a benchmark's folder is that of its best lists, and its address."""
    from recsys_ae.results.choice import best_ranker, is_benchmark
    from recsys_ae.tracking.registry import pinned, resolve_model

    if not is_benchmark(Path(model)):
        address = pinned(model, uri=tracking_uri)
        return resolve_model(address, uri=tracking_uri), address
    best = best_ranker(Path(model))
    what = (
        f"its lists are the best of {best.n} models"
        if best.n > 1
        else "the only model whose lists were scored"
    )
    tell(f"{best.name}: {what} (validation {best.metric} {best.score:.4f})", on=sys.stderr)
    return best.folder, str(best.folder)


def _newer(stored: StoredModel, data: list[str], overrides: list[str], on_read: Progress) -> Histories:
    """What newer ratings say of users, read as those of the training were, but for `overrides`. `on_read`:
    told how many bytes have been read, of how many."""
    from recsys_ae.data.configs import DataConfig
    from recsys_ae.data.load import check_same_feedback, load_ratings, newer_settings
    from recsys_ae.settings.explain import checked
    from recsys_ae.settings.load import data_config

    info = stored.info
    document = info.get("config", {}).get("data", {"source": "the training"})
    trained = checked(DataConfig, document, where="model.json")
    config = data_config(data, overrides, settings=newer_settings(data, trained, info.get("feedback")))
    ratings = load_ratings(config, on_read)
    check_same_feedback(ratings, config, info.get("feedback"))
    return stored.reading(ratings)


def _of_empty(empty: Emptiness) -> str:
    return f"; {empty.n_empty} of them have rated everything: no list" if empty.n_empty else ""


def evaluate(
    model: options.StoredModel,
    data: Annotated[str | None, typer.Option(help="Other ratings: a known dataset or a path.")] = None,
    overrides: options.Overrides = None,
    seed: Annotated[int | None, typer.Option(help="The same as --set seed=N.")] = None,
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Test on training ratings or other data too, and say so."),
    ] = False,
    threads: options.Threads = None,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Test a stored model again.

    Uses the data and the split of the config that is stored with it, unless others are named. A split that
    holds out ratings which the model was trained on is refused, and so are other data.
    """
    options.use_threads(threads)
    with answering(as_json=as_json) as say, _watched(quiet) as line:
        from recsys_ae.experiments.retest import retest
        from recsys_ae.tracking.registry import resolve_model

        named = {"data.source": data, "seed": seed}
        changes = [f"{key}={value}" for key, value in named.items() if value is not None]
        found = retest(
            resolve_model(model, uri=tracking_uri),
            [*changes, *(overrides or [])],
            anyway=anyway,
            on_read=line.reading,
            on_tested=line.testing,
        )
        say(found, lambda: _show_test(found))


def _show_test(found: dict[str, Any]) -> None:
    from recsys_ae.metrics import is_ranking_metric
    from recsys_ae.reporting.tables import figure_text
    from recsys_ae.results.result import VALIDATED

    metrics, stored = found["metrics"], found["stored_metrics"]
    if not metrics:
        tell("nothing to measure: the split holds no ratings out")
        return
    if found["status"] == "contaminated":
        n_seen = found["holdout_in_training"]
        tell(f"contaminated: the model was trained on {n_seen} of the ratings that it is tested on")
    if found["status"] == "foreign":
        tell("foreign: the ratings are not those that the model was trained on")
    tell(f"{'metric':32} {'now':>10} {'stored':>10}")
    if (chosen := found["validation"]) and chosen["score"] is not None:
        name = VALIDATED + chosen["metric"]
        tell(f"{name:32} {'':10} {figure_text(name, chosen['score']):>10}")
    for name, value in metrics.items():
        before = figure_text(name, stored[name]) if name in stored else ""
        tell(f"{name:32} {figure_text(name, value):>10} {before:>10}".rstrip())
    if any(map(is_ranking_metric, metrics)):
        tell(f"relevant: {found['relevance']}")
    if cold := cold_text(found["counts"]):
        tell(cold)
