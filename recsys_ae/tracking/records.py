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
from recsys_ae.tracking.tracker import NOTE

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

_AT_ONCE = {"params": 100, "tags": 100, "metrics": 1000}  # MLflow takes no more in one call
_NAME_LENGTH = 250
_PARAM_LENGTH = 6000
_TAG_LENGTH = 5000  # older servers take no more
_CUT = "\n\n…and more, in the files of the run."


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
    tags |= {"platform": platform.platform(), **source_tags()}
    commit = commit_of(Path.cwd())
    if commit is not None:
        tags |= {"mlflow.source.git.commit": commit.id, "mlflow.source.git.dirty": str(commit.dirty).lower()}
    return tags


def source_tags() -> dict[str, str]:
    """User and command, under the names by which MLflow shows them."""
    name = Path(sys.argv[0] or "python").name
    return {"mlflow.user": user(), "mlflow.source.type": "LOCAL", "mlflow.source.name": name}


def metrics(
    values: Mapping[str, float],
    step: int | None = None,
    *,
    model_id: str | None = None,
    dataset: tuple[str, str] | None = None,
) -> list[Metric]:
    """`model_id`: of the model that was measured; `dataset`: name and digest of what it was measured on."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    measured = (model_id, *(dataset or (None, None)))
    return [
        Metric(tracked_name(name), float(value), now, step or 0, *measured) for name, value in values.items()
    ]


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
        "params": [Param(*entry) for entry in param_texts(params or {}).items()],
        "tags": [RunTag(*entry) for entry in tag_texts(tags or {}).items()],
        "metrics": metrics,
    }
    for kind, whole in entries.items():
        for start in range(0, len(whole), _AT_ONCE[kind]):
            batch: dict[str, Any] = {kind: whole[start : start + _AT_ONCE[kind]]}
            client.log_batch(run_id, **batch)


def tag_texts(tags: Mapping[str, Any]) -> dict[str, str]:
    """Tags under the names and in the lengths that stores take; a description ends with a whole line."""
    whole = {name: _whole_lines(value) if name == NOTE else value for name, value in tags.items()}
    return dict(_texts(whole, _TAG_LENGTH))


def _whole_lines(text: str) -> str:
    if len(text) <= _TAG_LENGTH:
        return text
    kept = text[: _TAG_LENGTH - len(_CUT)].rpartition("\n")[0]
    return f"{kept}{_CUT}"


def model_name(kind: str, experiment: str) -> str:
    """How stores name a model of an experiment: "i-autorec-movietweetings". They refuse most signs."""
    return re.sub(r"[^\w-]+", "-", f"{kind}-{experiment}")[:_NAME_LENGTH]


def param_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Params, which may be nested, under the names and in the lengths that stores take."""
    return dict(_texts(flat(values), _PARAM_LENGTH))


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
