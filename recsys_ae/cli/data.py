"""recsys-ae data list, describe, fetch"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering, show_table, tell

_READING = "How to read it, e.g. columns.user=reader, format=tsv."

data = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Known datasets, and what is in a file.")


@data.command("list", epilog="Example: recsys-ae data list")
def list_datasets(as_json: options.AsJson = False) -> None:
    """Known datasets, and which are here."""
    with answering(as_json=as_json) as say:
        from recsys_ae.data.datasets import DATASETS, find

        rows = [
            {"name": known.name, "ratings": known.ratings, "users": known.users, "items": known.items,
             "scale": known.scale, "feedback": known.feedback, "terms": known.terms,
             "published": known.published,
             "present": find(known.name) is not None, "fetchable": known.archive is not None}
            for known in DATASETS.values()
        ]  # fmt: skip
        say({"datasets": rows}, lambda: _show_list(rows))


def _show_list(rows: list[dict[str, Any]]) -> None:
    from recsys_ae.reporting.tables import Table

    columns = ("name", "ratings", "users", "items", "scale", "present", "can be fetched", "terms")
    cells = [(row["name"], row["ratings"], row["users"], row["items"], _scale(row), row["present"],
              row["fetchable"], row["terms"]) for row in rows]  # fmt: skip
    show_table(Table(columns, tuple(cells)), aside=["terms"])


@data.command(epilog="Example: recsys-ae data describe ratings.csv --set columns.user=reader --json")
def describe(
    source: Annotated[list[str], typer.Argument(help="A known dataset, or one or more paths.")],
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=_READING)] = None,
    as_json: options.AsJson = False,
) -> None:
    """What is in a file of ratings."""
    with answering(as_json=as_json) as say:
        from recsys_ae.data.describe import describe_source
        from recsys_ae.reporting.progress import watched
        from recsys_ae.settings.load import data_config

        with watched(shown=None) as line:
            found = describe_source(data_config(source, overrides or []), line.reading)
        say(found, lambda: _show(", ".join(source), found))


@data.command(epilog="Example: recsys-ae data fetch ml-100k")
def fetch(
    name: Annotated[str, typer.Argument(help="A known dataset, see data list.")],
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where to put it; default: RECSYS_AE_DATA, else the cache.", callback=options.at_home
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Download a dataset and verify it.

    The terms are shown first; a file with another checksum is not kept.
    """
    with answering(as_json=as_json) as say:
        from recsys_ae.data.datasets import fetch as fetched
        from recsys_ae.data.datasets import known
        from recsys_ae.reporting.progress import watched

        dataset = known(name)
        if dataset.archive is not None:
            tell(f"{name}: {dataset.terms}; published at {dataset.published}", on=sys.stderr)
        with watched(shown=True) as line:
            place = fetched(name, folder, progress=line.downloading)
        say({"name": name, "folder": str(place)}, lambda: tell(f"{name}: {place}"))


def _show(source: str, found: dict[str, Any]) -> None:
    facts = {name: f"{found[name]:,}" for name in ("users", "items", "ratings")}
    facts |= {"density": f"{found['density']:.4%}", "scale": _scale(found)}
    facts |= {"mean": f"{found['mean']:.4f}", "duplicates": f"{found['duplicates']:,}"}
    facts |= {name: f"{found[name]:,}" for name in ("zeros", "negatives") if found[name]}
    for name in ("ratings_per_user", "ratings_per_item"):
        facts[name.replace("_", " ")] = ", ".join(f"{word} {value:g}" for word, value in found[name].items())
    tail = found["long_tail"]
    facts["long tail"] = (
        f"the top 1 % of items have {tail['top_1_percent_of_items']:.0%} of the ratings, the top 10 % "
        f"{tail['top_10_percent_of_items']:.0%}; one rating only: {tail['items_with_one_rating']:,} items, "
        f"{tail['users_with_one_rating']:,} users"
    )
    if times := found["timestamps"]:
        known = [f"{times['first']} to {times['last']}"] if times["first"] else []
        missing = [f"{times['missing']:,} missing"] if times["missing"] else []
        facts["time"] = ", ".join([*known, *missing])
    tell(source)
    for name, text in {**facts, "fingerprint": found["fingerprint"]}.items():
        tell(f"  {name:20} {text}")
    most = max(found["histogram"].values(), default=1)
    width = max(8, *map(len, found["histogram"]))
    for value, count in found["histogram"].items():
        tell(f"  {value:>{width}} {count:>10,} {'█' * max(1, round(40 * count / most))}")
    for text in found["advice"]:
        tell(f"  {text}")


def _scale(known: Mapping[str, Any]) -> str:
    """The declared scale, or what stands in its place."""
    scale, feedback = known["scale"], known["feedback"]
    if scale is not None:
        return f"{scale[0]:g} to {scale[1]:g}"
    return "not declared" if feedback == "ratings" else f"none: {feedback}"
