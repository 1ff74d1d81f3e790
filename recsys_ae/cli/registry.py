"""recsys-ae publish, recsys-ae promote: models under names, and which of them is the champion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering, tell

if TYPE_CHECKING:
    from recsys_ae.tracking.tracker import Tracker


def publish(
    model: Annotated[str, typer.Argument(help="Run folder, models:/ID or runs:/ID/model.")],
    name: Annotated[str, typer.Option(help="Name to register the model under.")],
    alias: Annotated[
        str | None, typer.Option(help="Alias that is to point to this version, such as challenger.")
    ] = None,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
) -> None:
    """Register the model of a tracked run under a name, as a new version.

    A model that is registered under the name already stays the version that it is.
    """
    with answering(as_json=as_json) as say:
        from recsys_ae.decisions.publishing import tracked_model
        from recsys_ae.tracking.versions import publish as publish_model

        address = tracked_model(model, uri=tracking_uri)
        version, is_new = publish_model(address, name, alias, uri=tracking_uri)
        document = {
            "uri": version.uri,
            "name": name,
            "version": version.number,
            "alias": alias,
            "new": is_new,
            "model": f"models:/{version.model_id}",
            "run_id": version.run_id,
        }
        lines = [version.uri if is_new else f"{version.uri} is this model already; no new version is made"]
        if alias is not None:
            lines.append(f"models:/{name}@{alias} points to it")
        say(document, lambda: tell(*lines))


def promote(
    name: Annotated[str, typer.Argument(help="Name that models are registered under.")],
    challenger: Annotated[
        str, typer.Option(help="Alias or number of the version to promote.")
    ] = "challenger",
    champion: Annotated[str, typer.Option(help="Alias that is to be moved.")] = "champion",
    metric: Annotated[
        str | None,
        typer.Option(
            help="What must be better; default: test/rmse where the champion has it, else test/ndcg."
        ),
    ] = None,
    guard: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=MARGIN",
            help="What must not get worse by more, e.g. test/coverage_at_10=0.05; may be repeated.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Promote whatever the comparison says; this is recorded.")
    ] = False,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a challenger the champion, if it is better by more than luck.

    Both must have been tested on the same split; their values per user are compared. The exit code is 1 where
    the champion stays. Every decision is a run, with its figures.
    """
    with answering(as_json=as_json) as say:
        from recsys_ae.decisions.promotion import Rules, experiment_of
        from recsys_ae.decisions.promotion import promote as promote_model

        def tracker_of(experiment: str, run: str) -> Tracker:
            return options.make_tracker(
                experiment, run, uri=tracking_uri, off=False, folder=Path(), must_work=True
            )

        rules = Rules.parse(metric, guard or [], force=force)
        found = promote_model(
            name, rules, challenger=challenger, champion=champion, uri=tracking_uri, tracker_of=tracker_of
        )
        lines = [found.sentence, *found.notes]
        if found.run_id is not None:
            lines.append(f"recorded as run {found.run_id} of experiment '{experiment_of(name)}'")
        say(found.to_json(), lambda: tell(*lines))
    if found.outcome == "kept":
        raise typer.Exit(1)
