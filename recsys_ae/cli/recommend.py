"""recsys-ae recommend"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering, show_table
from recsys_ae.errors import ConfigError

if TYPE_CHECKING:
    from recsys_ae.experiments.lists import Lists


def recommend(
    model: Annotated[str, typer.Argument(help="Model folder, runs:/ID/model or models:/NAME@ALIAS.")],
    users: Annotated[str, typer.Option(help="all, a file with one id per line, or ids: 12,40,41.")] = "all",
    n: Annotated[int, typer.Option("-n", min=1, help="Length of the lists.")] = 10,
    out: Annotated[Path | None, typer.Option(help="File to write: .parquet or .csv.")] = None,
    data: Annotated[
        str | None,
        typer.Option(help=("Newer ratings to read instead of those of training: a known dataset or a path.")),
    ] = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Rank what a user has rated too.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Users scored at once.")] = 1024,
    threads: options.Threads = None,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
) -> None:
    """Write top-N lists.

    Without --out, those of a few users are shown.
    """
    options.use_threads(threads)
    if out is None and users == "all":
        raise ConfigError(
            "give --out recs.parquet (or .csv) for the lists of all users, or name a few users, such "
            "as --users 12,40"
        )
    with answering(as_json=as_json) as say:
        from recsys_ae.experiments.lists import ListOptions, make_lists
        from recsys_ae.tracking.registry import resolve_model

        settings = ListOptions(
            n=n, users=users, data=data, exclude_seen=not include_seen, batch_size=batch_size
        )
        made = make_lists(resolve_model(model, uri=tracking_uri), settings)
        if out is not None:
            n_rows = made.write(out)
            document = {
                "out": str(out),
                "rows": n_rows,
                "users": made.n_users,
                "n": n,
                "unknown_items": made.n_unknown_items,
            }
            say(document, lambda: print(f"{out}: {n_rows} rows, the top {n} of {made.n_users} users"))
        else:
            rows = list(made.rows())
            document = {"users": made.n_users, "n": n, "unknown_items": made.n_unknown_items, "rows": rows}
            say(document, lambda: _show(rows, made))


def _show(rows: list[dict[str, Any]], made: Lists) -> None:
    from recsys_ae.reporting.tables import Table

    titles = made.titles() or {}
    columns = ("user", "rank", "item", *(["title"] if titles else []), "score")
    cells = tuple(
        (
            str(row["user"]),
            row["rank"],
            str(row["item"]),
            *([titles.get(row["item"])] if titles else []),
            row["score"],
        )
        for row in rows
    )
    show_table(Table(columns, cells))
