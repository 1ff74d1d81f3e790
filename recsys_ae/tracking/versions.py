"""Versions of registered models: publishing them, finding them, and moving the aliases that point to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recsys_ae.errors import ConfigError, TrackingError, brief
from recsys_ae.metrics import find_metric, summary_metrics
from recsys_ae.tracking import records
from recsys_ae.tracking.address import shown
from recsys_ae.tracking.registry import MARK, is_missing, is_of_run, logged_model, what_there_is
from recsys_ae.tracking.store import asked
from recsys_ae.tracking.tracker import NOTE

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

_NAME = re.compile(r"\w[\w .-]*")
_ALIAS = re.compile(r"(?!latest$|v?\d+$)[A-Za-z0-9_-]+", re.IGNORECASE)
_OF_MODEL = ("run", "data", "seed", "data_fingerprint", "split_fingerprint")  # tags worth having


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model. `model_id`: of the logged model behind it; `run_id`: of the run that
    made that; both are "" for what other programs registered in another way."""

    name: str
    number: int
    model_id: str = ""
    run_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.number}"


def check_name(name: str) -> str:
    """The name of a registered model as it is. ConfigError for one that no address could hold."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{brief(name)} is no name for a model; take letters, digits, '-', '_', '.' and blanks"
        )
    return name


def check_alias(alias: str) -> str:
    """An alias as it is. ConfigError for one that stores refuse or take for a version."""
    if not _ALIAS.fullmatch(alias):
        raise ConfigError(
            f"{brief(alias)} is no alias; take letters, digits, '-' and '_', neither a number nor 'latest'"
        )
    return alias


def publish(
    model_uri: str, name: str, alias: str | None = None, *, uri: str | None = None
) -> tuple[Version, bool]:
    """Register the model of a run (models:/ID or runs:/RUN_ID/model) under a name, and whether that made a
    new version: the same model is registered under one name once. `alias` then points to it.

    A new version has the description of its run, and its kind, data, fingerprints, validation score and main
    test metrics as tags. Raises ConfigError for a malformed name, alias or address, TrackingError where the
    store has no such model of this package, or none of its files.
    """
    check_name(name)
    if alias is not None:
        check_alias(alias)
    if not is_of_run(model_uri):
        raise ConfigError(
            f"{model_uri}: only the model of a run can be published; give a run folder, models:/ID or "
            "runs:/RUN_ID/model"
        )

    def add(client: MlflowClient) -> tuple[Version, bool]:
        logged = logged_model(client, model_uri)
        check_is_ours(client, logged, model_uri)
        _make_name(client, name)
        known = client.search_model_versions(f"name = '{name}'")
        found = next((each for each in map(_version, known) if each.model_id == logged.model_id), None)
        version = _new_version(client, name, logged) if found is None else found
        if alias is not None:
            client.set_registered_model_alias(name, alias, str(version.number))
        return version, found is None

    return asked(uri, add)


def find_version(name: str, which: str, *, uri: str | None = None) -> Version:
    """The version that a number or an alias means. Raises TrackingError, naming those that there are, where
    there is none."""
    number = which if which.isdecimal() else None

    def find(client: MlflowClient) -> Version:
        chosen = number or _registered(client, name).aliases.get(which)
        found = None if chosen is None else _numbered(client, name, str(chosen))
        if found is None:
            what = f"{name}, {'version' if number else 'alias'} {brief(which)}"
            there_is = what_there_is(client, name)
            raise TrackingError(f"{what}: the tracking store {shown(client.tracking_uri)} has {there_is}")
        return found

    return asked(uri, find)


def aliased(name: str, alias: str, *, uri: str | None = None) -> Version | None:
    """The version that an alias points to; None where the model has no such alias."""

    def find(client: MlflowClient) -> Version | None:
        number = _registered(client, name).aliases.get(alias)
        return None if number is None else _numbered(client, name, str(number))

    return asked(uri, find)


def check_version(version: Version, *, uri: str | None = None) -> None:
    """Raises TrackingError where a version is no model of this package, or its files are gone."""

    def check(client: MlflowClient) -> None:
        if not version.model_id:
            raise _not_ours(version.uri)
        check_is_ours(client, logged_model(client, f"models:/{version.model_id}"), version.uri)

    asked(uri, check)


def tag_version(version: Version, tags: Mapping[str, str], *, uri: str | None = None) -> None:
    """Say of a version what is in the tags; those of the same names are replaced."""

    def tag(client: MlflowClient) -> None:
        for name, value in records.tag_texts(tags).items():
            client.set_model_version_tag(version.name, str(version.number), name, value)

    asked(uri, tag)


def move_alias(version: Version, alias: str, *, before: Version | None, uri: str | None = None) -> None:
    """Let an alias point to a version. `before`: where it has pointed so far, None: nowhere. Raises
    TrackingError where that has changed in the meantime."""

    def move(client: MlflowClient) -> None:
        now = _registered(client, version.name).aliases.get(alias)  # a number or its text, by the store
        if now is not None if before is None else str(now) != str(before.number):
            raise TrackingError(
                f"{version.name}@{alias} was moved by somebody else in the meantime, to version {now}; "
                "look at that, and start again"
            )
        client.set_registered_model_alias(version.name, alias, str(version.number))

    asked(uri, move)


def check_is_ours(client: MlflowClient, logged: LoggedModel, text: str) -> None:
    """Raises TrackingError where a logged model holds no model folder of this package."""
    places = [entry.path for entry in client.list_logged_model_artifacts(logged.model_id, "artifacts")]
    inside = [entry.path for place in places for entry in
              client.list_logged_model_artifacts(logged.model_id, place)]  # fmt: skip
    if not any(path.rpartition("/")[2] == MARK for path in inside):
        raise _not_ours(text)


def _not_ours(text: str) -> TrackingError:
    return TrackingError(f"{text} is no model of recsys-ae, or its files are gone ({MARK} is missing); "
                         "publish the model of a run that recsys-ae has tracked")  # fmt: skip


def _numbered(client: MlflowClient, name: str, number: str) -> Version | None:
    """None where there is no version of that number, or not any more."""
    from mlflow.exceptions import MlflowException

    try:
        return _version(client.get_model_version(name, number))
    except MlflowException as error:
        if not is_missing(error):
            raise
        return None


def _registered(client: MlflowClient, name: str) -> RegisteredModel:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if not is_missing(error):
            raise
        raise TrackingError(f"the tracking store {shown(client.tracking_uri)} has "
                            f"{what_there_is(client, name)}; publish one first: recsys-ae publish MODEL "
                            "--name NAME") from None  # fmt: skip


def _make_name(client: MlflowClient, name: str) -> None:
    """The registered model, if there is none of that name yet."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _new_version(client: MlflowClient, name: str, logged: LoggedModel) -> Version:
    """In one call: no version is ever seen without what it says of itself."""
    made = client.create_model_version(
        name,
        source=f"models:/{logged.model_id}",
        run_id=logged.source_run_id,
        model_id=logged.model_id,
        tags=records.tag_texts(_about(logged)),
        description=logged.tags.get(NOTE),
    )
    return _version(made)


def _about(logged: LoggedModel) -> dict[str, str]:
    """What people want to know of a version before they use it."""
    values = {metric.key: metric.value for metric in logged.metrics or []}
    cutoffs = [m.cutoff for m in map(find_metric, values) if m is not None and m.cutoff is not None]
    main = {f"test/{metric.key}" for metric in summary_metrics(min(cutoffs, default=1))}
    figures = {
        name: f"{value:.9g}"
        for name, value in sorted(values.items())
        if name in main or name.startswith("validated/")
    }
    kind = {"kind": logged.params["model.kind"]} if "model.kind" in logged.params else {}
    return {**kind, **{name: logged.tags[name] for name in _OF_MODEL if name in logged.tags}, **figures}


def _version(found: ModelVersion) -> Version:
    """Where the version names no logged model, its source may."""
    source = re.fullmatch(r"models:/(m-[0-9a-f]+)", found.source or "")
    model_id = found.model_id or (source[1] if source else "")
    return Version(found.name, int(found.version), model_id, found.run_id or "", dict(found.tags))
