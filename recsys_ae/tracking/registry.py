"""From what a user calls a model to a folder that can be loaded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_ae.errors import ConfigError, StorageError, TrackingError, brief, cut
from recsys_ae.tracking.address import local_path, resolve_uri, shown
from recsys_ae.tracking.store import asked, temporary_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.exceptions import MlflowException

MARK = "model.json"
_RUN = re.compile(r"runs:/([^/@]+)/([^@]+)")
_LOGGED = re.compile(r"models:/(m-[0-9a-f]{32})")
_REGISTERED = re.compile(r"models:/([^/@]+)(?:/(\d+)|@([^/@]+))")
_THE_MODEL = "model"  # of a run that has only one, whatever its name
_FORMS = "a folder, runs:/RUN_ID/model, models:/ID, models:/NAME/VERSION or models:/NAME@ALIAS"


def resolve_model(text: str, *, uri: str | None = None) -> Path:
    """The local folder (holding model.json) behind a model's folder name or URI.

    `uri`: the tracking store, as everywhere. Models of a local store are used where they lie; others are
    downloaded to a temporary folder that goes with the process. Raises StorageError for a folder that is no
    model, ConfigError for a malformed URI, TrackingError where the store knows no such model or fails.
    """
    if re.match(r"(runs|models):", text):
        return _from_store(text, uri)
    if "://" in text:
        raise ConfigError(f"{shown(text)}: not a model; give {_FORMS}")
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise StorageError(f"{text}: no such model folder; give {_FORMS}")
    return _model_in(folder, text)


def pinned(text: str, *, uri: str | None = None) -> str:
    """The address of the version that an alias points to at this moment, models:/NAME/VERSION; every other
    address, or folder, as it is. Raises TrackingError where the store knows no such alias."""
    match = _REGISTERED.fullmatch(text)
    if match is None or match[3] is None:
        return text
    version = asked(uri, lambda client: _version_of(client, match[1], None, match[3], text).version)
    return f"models:/{match[1]}/{version}"


def run_of_model(text: str, *, uri: str | None = None) -> str:
    """The id of the run that made the model behind an address of the store. ConfigError for what is no such
    address, TrackingError where the store knows none."""
    registered = _REGISTERED.fullmatch(text)
    if not (registered or is_of_run(text)):
        raise ConfigError(f"{text}: malformed model URI; give {_FORMS}")

    def find(client: MlflowClient) -> str | None:
        if registered is None:
            return logged_model(client, text).source_run_id
        return _version_of(client, registered[1], registered[2], registered[3], text).run_id

    run_id = asked(uri, find)
    if not run_id:
        raise TrackingError(f"{text}: the tracking store does not say which run it comes from; name the run")
    return run_id


def is_of_run(text: str) -> bool:
    """Whether a text is the address of a run's model: models:/ID or runs:/RUN_ID/NAME."""
    return bool(_RUN.fullmatch(text) or _LOGGED.fullmatch(text))


def _from_store(text: str, uri: str | None) -> Path:
    registered = _REGISTERED.fullmatch(text)
    if not (registered or is_of_run(text)):
        raise ConfigError(f"{text}: malformed model URI; give {_FORMS}")

    def find(client: MlflowClient) -> str:
        if registered is None:
            return logged_model(client, text).artifact_location
        return _source_of(client, registered[1], registered[2], registered[3], text)

    source = asked(uri, find)
    return _model_in(asked(uri, lambda _: _fetched(source, resolve_uri(uri)), downloads=True), text)


def logged_model(client: MlflowClient, text: str) -> LoggedModel:
    """The model that models:/ID or runs:/RUN_ID/NAME means."""
    if match := _RUN.fullmatch(text):
        return _model_of_run(client, match[1], match[2], text)
    from mlflow.exceptions import MlflowException

    try:
        return client.get_logged_model(text.removeprefix("models:/"))
    except MlflowException as error:
        if not is_missing(error):
            raise
        store = shown(client.tracking_uri)
        raise TrackingError(f"{text}: the tracking store {store} has no such model") from None


def _model_of_run(client: MlflowClient, run_id: str, name: str, text: str) -> LoggedModel:
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if not is_missing(error):
            raise
        raise TrackingError(
            f"{text}: the tracking store {shown(client.tracking_uri)} has no run {brief(run_id)}; "
            "`recsys-ae compare EXPERIMENT` lists runs"
        ) from None
    outputs = run.outputs.model_outputs if run.outputs else []
    models = [client.get_logged_model(output.model_id) for output in reversed(outputs)]
    for model in models:
        if model.name == name or (name == _THE_MODEL and len(models) == 1):
            return model
    raise TrackingError(f"{text}: run {run_id} (status {run.info.status}) has no model named {brief(name)}; "
                        "take a run that finished training")  # fmt: skip


def _source_of(client: MlflowClient, name: str, number: str, alias: str | None, text: str) -> str:
    """Where the files of a registered version lie."""
    found = _version_of(client, name, number, alias, text)
    source = client.get_model_version_download_uri(name, found.version)
    logged = re.fullmatch(r"models:/(m-[^/]+)", source)
    return client.get_logged_model(logged[1]).artifact_location if logged else source


def _version_of(
    client: MlflowClient, name: str, number: str | None, alias: str | None, text: str
) -> ModelVersion:
    """A registered version, named by its number or else by an alias."""
    from mlflow.exceptions import MlflowException

    try:
        return (
            client.get_model_version_by_alias(name, alias)
            if alias
            else client.get_model_version(name, str(number))
        )
    except MlflowException as error:
        if not is_missing(error):
            raise
        there_is = what_there_is(client, name)
        raise TrackingError(
            f"{text}: the tracking store {shown(client.tracking_uri)} has {there_is}"
        ) from None


def what_there_is(client: MlflowClient, name: str) -> str:
    """Which models a store has, or which versions and aliases one of them has, in words."""
    models = {model.name: model for model in client.search_registered_models()}
    if name not in models:
        return f"no model named {brief(name)}, but: {', '.join(map(cut, sorted(models))) or 'none at all'}"
    versions = client.search_model_versions(f"name = '{name}'")
    numbers = ", ".join(sorted((str(v.version) for v in versions), key=int))
    aliases = ", ".join(sorted(models[name].aliases)) or "none"
    return f"of model {brief(name)} the versions {numbers or 'none'} and the aliases {aliases}"


def _fetched(source: str, uri: str) -> Path:
    here = local_path(source)
    if here is not None:
        return here
    from mlflow.artifacts import download_artifacts

    target = temporary_folder()
    return Path(download_artifacts(artifact_uri=source, dst_path=target, tracking_uri=uri))


def _model_in(folder: Path, text: str) -> Path:
    """The folder itself, or the one inside a run folder or an MLflow model."""
    for candidate in (folder, folder / "model", *sorted(folder.glob("artifacts/*"))):
        if (candidate / MARK).is_file():
            return candidate
    where = "" if Path(text) == folder else f"{folder} "
    raise StorageError(f"{text}: {where}holds no model ({MARK} is missing); give {_FORMS}")


def is_missing(error: MlflowException) -> bool:
    """Whether a store has said that there is no such thing."""
    codes = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE")
    return error.error_code in codes
