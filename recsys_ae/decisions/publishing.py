"""From a folder on disk to the model that the tracking store has of it."""

from __future__ import annotations

from pathlib import Path

from recsys_ae.errors import ConfigError, StorageError, TrackingError
from recsys_ae.results.choice import is_benchmark
from recsys_ae.results.folder import MODEL
from recsys_ae.results.result import RESULT
from recsys_ae.results.tracking import tag_of, tracked_ids
from recsys_ae.tracking.address import resolve_uri, shown
from recsys_ae.tracking.runs import find_run, tagged_runs


def tracked_model(text: str, *, uri: str | None = None) -> str:
    """The address of a run's model in the store, runs:/RUN_ID/model, of a run folder or the model folder in
    it; what is an address already stays as it is.

    Raises StorageError for a folder that holds no run, ConfigError for that of a benchmark, TrackingError for
    a run of which the store has nothing, or not all.
    """
    if ":/" in text:
        return text
    folder = _run_folder(Path(text).expanduser(), text)
    run_id = _run_in_store(folder, uri)
    if run_id is None:
        store = shown(resolve_uri(uri))
        raise TrackingError(
            f"{text}: the tracking store {store} does not have this run whole; track it first: "
            f"recsys-ae upload {folder}"
        )
    return f"runs:/{run_id}/{MODEL}"


def _run_folder(folder: Path, text: str) -> Path:
    if is_benchmark(folder):
        raise ConfigError(
            f"{text}: is the folder of a benchmark; name one of its models, such as {folder}/NAME/seed-0"
        )
    for place in (folder, folder.absolute().parent):
        if (place / RESULT).is_file() and (place / MODEL).exists():
            return place
    raise StorageError(
        f"{text}: no folder of a run, which alone can be published; train with recsys-ae train, or name "
        "models:/ID or runs:/RUN_ID/model"
    )


def _run_in_store(folder: Path, uri: str | None) -> str | None:
    """The id of the run that the store has of a folder, whole; the latest of several."""
    (run_id,) = tracked_ids(folder)
    named = None if run_id is None else find_run(run_id, uri=uri)
    found = [run for run in (*tagged_runs(tag_of(folder), uri=uri), named) if run is not None]
    return next((run.run_id for run in reversed(found) if run.is_complete), None)
