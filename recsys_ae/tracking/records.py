"""Our values in MLflow's terms, within its limits."""

from __future__ import annotations

import getpass
import json
import platform
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys_ae.provenance import commit_of, versions
from recsys_ae.tracking.tracker import DatasetRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

_AT_ONCE = {"params": 100, "tags": 100, "metrics": 1000}  # MLflow takes no more in one call
_NAME_LENGTH = 250
_PARAM_LENGTH = 6000
_TAG_LENGTH = 5000  # older servers take no more
_INPUT_TAG_LENGTH = 500


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings with dotted names: {"model": {"l2": 1}} becomes {"model.l2": 1}."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            result |= {f"{name}.{inner}": leaf for inner, leaf in flat(value).items()}
        else:
            result[name] = value
    return result


def tracked_name(name: str) -> str:
    """A name that every store takes: MLflow refuses `@` and most signs."""
    return re.sub(r"[^\w\-./ ]", "_", name.replace("@", "_at_"))[:_NAME_LENGTH]


def as_file_name(name: str) -> str:
    """The name with everything but letters, digits, `-`, `_` and `.` made `_`: safe as a folder."""
    return re.sub(r"[^\w\-.]", "_", name, flags=re.ASCII).lstrip(".") or "_"


def as_text(value: Any) -> str:
    """As YAML would show it: null, true, [1, 2]; texts as they are."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def system_tags() -> dict[str, str]:
    """Package versions, platform, user, command and, where the working folder is in a repository, its commit.

    "mlflow.source.git.dirty" says whether tracked files differ from the commit.
    """
    tags = {f"version.{name}": number for name, number in versions().items()}
    tags |= {"platform": platform.platform(), "mlflow.user": user(), "mlflow.source.type": "LOCAL",
             "mlflow.source.name": Path(sys.argv[0] or "python").name}  # fmt: skip
    commit = commit_of(Path.cwd())
    if commit is not None:
        tags |= {"mlflow.source.git.commit": commit.id, "mlflow.source.git.dirty": str(commit.dirty).lower()}
    return tags


def metrics(values: Mapping[str, float], step: int | None) -> list[Metric]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(tracked_name(name), float(value), now, step or 0) for name, value in values.items()]


def send(
    client: MlflowClient,
    run_id: str,
    *,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    metrics: Sequence[Metric] = (),
) -> None:
    """Log what is given, in as many calls as it takes; params may be nested."""
    from mlflow.entities import Param, RunTag

    entries: dict[str, Sequence[Any]] = {
        "params": [Param(*entry) for entry in _texts(flat(params or {}), _PARAM_LENGTH)],
        "tags": [RunTag(*entry) for entry in tag_texts(tags or {}).items()],
        "metrics": metrics,
    }
    for kind, whole in entries.items():
        for start in range(0, len(whole), _AT_ONCE[kind]):
            batch: dict[str, Any] = {kind: whole[start : start + _AT_ONCE[kind]]}
            client.log_batch(run_id, **batch)


def tag_texts(tags: Mapping[str, Any]) -> dict[str, str]:
    """Tags under the names and in the lengths that stores take."""
    return dict(_texts(tags, _TAG_LENGTH))


def send_dataset(client: MlflowClient, run_id: str, record: DatasetRecord) -> None:
    """As mlflow.data describes a local dataset; the counts are its profile, the split its tags."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source, profile = json.dumps({"uri": record.source or record.name}), json.dumps(dict(record.counts))
    dataset = Dataset(record.name[:500], record.fingerprint[:36], "local", source, profile=profile)
    tags = {"mlflow.data.context": "training", "split": record.split,
            "split_fingerprint": record.split_fingerprint}  # fmt: skip
    shown = [InputTag(name, value[:_INPUT_TAG_LENGTH]) for name, value in tags.items() if value]
    client.log_inputs(run_id, [DatasetInput(dataset, shown)])


def send_files(client: MlflowClient, run_id: str, path: Path) -> None:
    """A file, or a folder with all in it, under its own name."""
    if path.is_dir():
        client.log_artifacts(run_id, str(path), artifact_path=path.name)
    else:
        client.log_artifact(run_id, str(path))


def user() -> str:
    """Who runs this program."""
    try:
        return getpass.getuser()
    except (
        OSError,
        KeyError,
        ImportError,
    ):  # no such user in the machine's list, as in some containers, or no list
        return "unknown"


def _texts(values: Mapping[str, Any], length: int) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        text = as_text(value)
        yield tracked_name(name), text if len(text) <= length else text[: length - 1] + "…"
