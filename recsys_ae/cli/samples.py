"""recsys-ae sample, recsys-ae walk: rows that a variational autoencoder makes up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import Say, answering, show_lists, tell

if TYPE_CHECKING:
    from recsys_ae.models.storage import StoredModel as Stored
    from recsys_ae.serving.samples import MadeUp

Top = Annotated[int, typer.Option(min=1, help="Items of each row: the best ones.")]
File = Annotated[Path | None, typer.Option(help="File to write: .parquet or .csv.", callback=options.at_home)]


def sample(
    model: options.StoredModel,
    n: Annotated[int, typer.Option("-n", min=1, help="How many users to make up.")] = 5,
    top: Top = 10,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes up the same users.")] = 0,
    out: File = None,
    threads: options.Threads = None,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
) -> None:
    """Make users up: draw codes from the prior of a variational autoencoder.

    Shown are the best items of each, with ratings, or shares of likes.
    """
    options.use_threads(threads)
    with answering(as_json=as_json) as say:
        from recsys_ae.serving import samples

        stored = _stored(model, tracking_uri)
        made_up = samples.sample(stored.recommender, n, seed=seed, top=top)
        _answer(say, stored, made_up, out)


def walk(
    model: options.StoredModel,
    start: Annotated[str, typer.Option("--from", metavar="USER", help="Where the walk begins.")],
    end: Annotated[str, typer.Option("--to", metavar="USER", help="Where it ends.")],
    steps: Annotated[int, typer.Option(min=2, help="Rows on the way, both ends included.")] = 7,
    top: Top = 10,
    out: File = None,
    threads: options.Threads = None,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
) -> None:
    """Walk from one user to another, from code to code of a variational autoencoder.

    Shown are the best items of each step, with ratings, or shares of likes.
    """
    options.use_threads(threads)
    with answering(as_json=as_json) as say:
        from recsys_ae.serving import samples

        stored = _stored(model, tracking_uri)
        made_up = samples.walk(
            stored.recommender, stored.histories, start=start, end=end, steps=steps, top=top
        )
        _answer(say, stored, made_up, out)


def _stored(model: str, tracking_uri: str | None) -> Stored:
    from recsys_ae.models.storage import load_model
    from recsys_ae.tracking.registry import resolve_model

    return load_model(resolve_model(model, uri=tracking_uri))


def _answer(say: Say, stored: Stored, made_up: MadeUp, out: Path | None) -> None:
    """In a file, which takes in any number of rows, or shown."""
    from recsys_ae.data.datasets import item_titles
    from recsys_ae.serving.writer import write_top_n

    names = made_up.names
    document = {f"{names[0]}s": made_up.n, "top": made_up.top}
    if out is not None:
        n_rows = write_top_n(out, made_up.blocks, users=made_up.rows, items=made_up.items, names=names)
        told = f"{out}: {n_rows} rows, the top {made_up.top} of {made_up.n} {names[0]}s"
        say({"out": str(out), "rows": n_rows, **document}, lambda: tell(told))
        return
    lists = made_up.frame().to_dict("records")
    titles = item_titles(stored.info.get("config", {}).get("data", {}).get("source", "")) or {}
    say({**document, "rows": lists}, lambda: show_lists(lists, titles, names=names))
