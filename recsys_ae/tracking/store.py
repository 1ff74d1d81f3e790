"""Where runs are kept: the store's address, its page, and a client that neither chatters nor hangs."""

from __future__ import annotations

import logging
import os
import re
import sys
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from recsys_ae.errors import ConfigError, RecsysError, TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"

_CHATTERING = ("mlflow", "alembic", "sqlalchemy", "urllib3.connectionpool", "huey")
_OURS = {  # settings of MLflow while it works for us
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout belongs to --json
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",  # else the lock file of the working folder is packed into models
}
_DEFAULTS = {  # those that the user's environment may overrule
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's seven retries keep a dead server alive for minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # who names a file store means it
}


def resolve_uri(uri: str | None = None) -> str:
    """The address of the store: `uri`, else MLFLOW_TRACKING_URI, else a database in the working folder.

    Plain paths and relative databases become absolute, so that the address outlives a change of folder.
    """
    text = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{DATABASE}"
    if text.startswith("sqlite:///"):
        path = Path(unquote(text.removeprefix("sqlite:///")))
        return f"sqlite:///{path.absolute()}"
    if "://" not in text and not text.startswith(("file:", "databricks")):
        return Path(text).absolute().as_uri()
    return text


def database_of(uri: str) -> Path | None:
    """The file of a SQLite address, None for all other stores."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def artifact_root(uri: str) -> str | None:
    """Where a store without a server keeps files: beside its database; None where the store decides."""
    database = database_of(uri)
    return None if database is None else (database.parent / ARTIFACTS).as_uri()


def shown(uri: str) -> str:
    """The address as messages show it: without a password."""
    return re.sub(r"//[^/@]*@", "//", uri)


def local_path(uri: str) -> Path | None:
    """The local path behind a file: URI or a plain path, None for anything remote."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return Path(uri) if not parts.scheme else None


def ui_command(uri: str | None = None, *, host: str = "127.0.0.1", port: int = 5000) -> list[str]:
    """The command that serves MLflow's page for a store, to be run by the caller.

    ConfigError for the address of a server, which is a page already, and for a port outside 1-65535;
    TrackingError for a local database that does not exist.
    """
    address = resolve_uri(uri)
    if address.startswith("http"):
        raise ConfigError(f"{shown(address)} is a running server; open it in a browser")
    if not 1 <= port <= 65535:
        raise ConfigError(f"port {port} does not exist; give one from 1 to 65535")
    _check_database(address, create=False)
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", address, "--host", host,
               "--port", str(port), "--workers", "1"]  # fmt: skip
    root = artifact_root(address)
    return command if root is None else [*command, "--default-artifact-root", root]


@contextmanager
def connected(uri: str | None = None, *, create: bool = False) -> Iterator[MlflowClient]:
    """A client of the store at `uri`; every failure inside leaves as a TrackingError of one sentence.

    Inside, MLflow is quiet and gives up on a dead server within seconds; its settings are restored
    afterwards. `create`: a local database that is not there yet is made, else refused.
    """
    address = resolve_uri(uri)
    _check_database(address, create=create)
    try:
        with _calm(address):
            from mlflow import MlflowClient

            database = database_of(address)
            if database is not None and not database.exists():
                _make_database(database)
            yield MlflowClient(address, registry_uri=address)
    except RecsysError:
        raise
    except Exception as error:  # whatever a store raises, the user gets one kind of error
        raise TrackingError(f"the tracking store {shown(address)} {_reason(error)}") from error


def _check_database(address: str, *, create: bool) -> None:
    database = database_of(address)
    if database is None or database.exists():
        return
    if not create:
        raise TrackingError(
            f"{database}: no runs are tracked there; train a model first, or name another store"
        )
    if not database.parent.is_dir():
        raise TrackingError(f"{database}: its folder does not exist; make it, or name another store")


def _make_database(path: Path) -> None:
    """An empty store, made under another name: who looks at the same time, or after a crash, sees none or a
    whole one. The first of several makers wins."""
    from mlflow import MlflowClient

    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        MlflowClient(f"sqlite:///{temporary}")
        with suppress(FileExistsError):
            os.link(temporary, path)  # unlike a renaming, it replaces nothing
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _calm(address: str) -> Iterator[None]:
    """MLflow with our settings, quiet and quick to give up; each change is undone afterwards."""
    with ExitStack() as undo:
        undo.callback(_restore, {name: os.environ.get(name) for name in (*_DEFAULTS, *_OURS)})
        os.environ.update(
            {name: value for name, value in _DEFAULTS.items() if name not in os.environ} | _OURS
        )
        import mlflow  # noqa: F401  (sets its own log levels when first imported: before they are silenced)

        # Libraries below log only errors: what matters of their warnings comes back as our own sentence.
        for logger in map(logging.getLogger, _CHATTERING):
            undo.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
        undo.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        if not address.startswith(("http", "file")):
            import mlflow.store.db.utils as databases

            # A database that cannot be opened is given up after three attempts, not after ten in 100 seconds.
            if hasattr(databases, "MAX_RETRY_COUNT"):  # else another version of MLflow: slower, not wrong
                undo.callback(setattr, databases, "MAX_RETRY_COUNT", databases.MAX_RETRY_COUNT)
                databases.MAX_RETRY_COUNT = 3
        yield


def _restore(before: Mapping[str, str | None]) -> None:
    """The environment as it was; None: without the variable."""
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if "Max retries exceeded" in text or "Connection refused" in text or "timed out" in text.lower():
        return "does not answer"
    if "unable to open database" in text or "readonly database" in text:
        return "cannot be opened or written to"
    if "file is not a database" in text:
        return "is not an SQLite database"
    return f"refused: {shown(text)[:300] or type(error).__name__}"
