"""The store: a client of it that neither chatters nor hangs, and the page on it."""

from __future__ import annotations

import atexit
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from recsys_ae.errors import ConfigError, RecsysError, StorageError, TrackingError
from recsys_ae.files import added, recover
from recsys_ae.tracking.address import (
    address_of,
    artifact_root,
    database_of,
    has_secrets,
    holds_secret,
    resolve_uri,
    shown,
)
from recsys_ae.tracking.messenger import SLOWEST, Messenger, OutOfPatience, Patience, own_work

if TYPE_CHECKING:
    from mlflow import MlflowClient

Answer = TypeVar("Answer")

_CHATTERING = ("mlflow", "alembic", "sqlalchemy", "urllib3.connectionpool", "huey")
_WARNING = r"(mlflow|alembic|sqlalchemy|urllib3|requests|pydantic|google|pandas|numpy)\b"  # modules below
_OURS = {  # settings of MLflow while it works for us
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout belongs to --json
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",  # else the lock file of the working folder is packed into models
}
_DEFAULTS = {  # those that the user's environment may overrule
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's seven retries keep a dead server alive for minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # an hour, if the server says so
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # who names a file store means it
}
_URL = re.compile(r"\w[\w+.-]*://[^\s'\"]+")
_LONGEST_ANSWER = 256 * 1024 * 1024  # bytes, to one question; ten thousand runs have about 100 MB
_LARGEST_DOWNLOAD = 64 * 1024**3  # bytes; as a file of ratings, unpacked


def ui_command(
    uri: str | None = None, *, host: str = "127.0.0.1", port: int = 5000
) -> tuple[list[str], dict[str, str]]:
    """The command that serves MLflow's page for a store, to be run by the caller, and what is to be added to
    its environment: the address, which may hold a password, is in no list of processes.

    ConfigError for the address of a server, which is a page already, and for a port outside 1-65535;
    TrackingError for a local database that does not exist.
    """
    address = resolve_uri(uri)
    if address.startswith("http"):
        raise ConfigError(f"{shown(address)} is a running server; open it in a browser")
    if not 1 <= port <= 65535:
        raise ConfigError(f"port {port} does not exist; give one from 1 to 65535")
    _check_database(address, create=False)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", host, "--port", str(port), "--workers", "1"]
    root = artifact_root(address)
    rooted = {} if root is None else {"MLFLOW_DEFAULT_ARTIFACT_ROOT": root}
    return command, {"MLFLOW_BACKEND_STORE_URI": address, **rooted}


def asked(
    uri: str | None,
    action: Callable[[MlflowClient], Answer],
    *,
    create: bool = False,
    downloads: bool = False,
) -> Answer:
    """What the store at `uri` answers, as `connected`; TrackingError, too, where it is waited for more than
    10 s. `downloads`: files are asked for, of up to 64 GiB and what the disk has room for; the time in which
    they arrive does not count."""
    patience = Patience(rate=SLOWEST)
    messenger = Messenger(limit=_LARGEST_DOWNLOAD if downloads else _LONGEST_ANSWER, downloads=downloads)

    def call() -> Answer:
        with connected(uri, create=create) as client:
            return action(client)

    try:
        return messenger.ask(call, patience)
    except OutOfPatience:
        address = shown(resolve_uri(uri))
        raise TrackingError(f"the tracking store {address} {out_of_patience(patience)}") from None
    except TrackingError as error:
        if messenger.too_much is None:
            raise
        address = shown(resolve_uri(uri))  # libraries put sentences of their own on top
        raise TrackingError(f"the tracking store {address} {messenger.too_much}") from error
    finally:
        messenger.end()


def temporary_folder() -> str:
    """A folder that goes with the process."""
    folder = tempfile.mkdtemp(prefix="recsys-ae-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def out_of_patience(patience: Patience) -> str:
    """What a store has done that was waited for in vain."""
    return f"has not answered within {patience.seconds:g} s"


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
            with own_work():
                from mlflow import MlflowClient

            database = database_of(address)
            if database is not None and not database.exists():
                with own_work():
                    _make_database(database)
            yield MlflowClient(address, registry_uri=address)
    except RecsysError:
        raise
    except Exception as error:  # whatever a store raises, the user gets one kind of error
        cause = None if has_secrets(address) else error  # which a traceback would show
        raise TrackingError(f"the tracking store {shown(address)} {_reason(error, address)}") from cause


def tidy(uri: str) -> None:
    """Remove what killed makers of a local database left beside it."""
    database = database_of(uri)
    if database is not None and database.parent.is_dir():
        recover(database)


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
    """An empty store: who looks at the same time, or after a crash, sees none or a whole one. The first of
    several makers wins."""
    from mlflow import MlflowClient

    try:
        with added(path) as new:
            MlflowClient(address_of(new))
    except StorageError as error:
        raise TrackingError(f"the tracking store {error}") from error


class _Calm:
    """MLflow with our settings, quiet and quick to give up, while anybody in this process is at work with it.

    Settings belong to the process: whoever comes first makes them, whoever leaves last undoes them.
    """

    def __init__(self) -> None:
        self._lock, self._n_inside, self._undo = threading.Lock(), 0, ExitStack()

    @contextmanager
    def __call__(self, address: str) -> Iterator[None]:
        with self._lock:
            self._n_inside += 1
            if self._n_inside == 1:
                self._set()
            if not address.startswith(("http", "file")):
                self._hurry_databases()
        try:
            yield
        finally:
            with self._lock:
                self._n_inside -= 1
                if self._n_inside == 0:
                    self._undo.close()

    def _set(self) -> None:
        undo = self._undo
        undo.callback(_restore, {name: os.environ.get(name) for name in (*_DEFAULTS, *_OURS)})
        os.environ.update(
            {name: value for name, value in _DEFAULTS.items() if name not in os.environ} | _OURS
        )
        with own_work():
            import mlflow  # noqa: F401  (sets its own log levels when first imported: before they are silenced)

        # Libraries below log only errors: what matters of their warnings comes back as our own sentence.
        for logger in map(logging.getLogger, _CHATTERING):
            undo.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=_WARNING)
        undo.callback(_unfilter, warnings.filters[0])

    def _hurry_databases(self) -> None:
        """A database that cannot be opened is given up after three attempts, not after ten in 100 seconds."""
        with own_work():
            import mlflow.store.db.utils as databases

        # Another version of MLflow may have no such number: slower, not wrong.
        if getattr(databases, "MAX_RETRY_COUNT", 0) > 3:
            self._undo.callback(setattr, databases, "MAX_RETRY_COUNT", databases.MAX_RETRY_COUNT)
            databases.MAX_RETRY_COUNT = 3


_calm = _Calm()


def _unfilter(entry: object) -> None:
    with suppress(ValueError):  # others may have set all filters back in the meantime
        warnings.filters.remove(entry)  # type: ignore[attr-defined]


def _restore(before: Mapping[str, str | None]) -> None:
    """The environment as it was; None: without the variable."""
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _reason(error: BaseException, address: str) -> str:
    """What a store has done, in our words, or in those of a library where they give no secret away."""
    text = " ".join(str(error).split())
    if "Max retries exceeded" in text or "Connection refused" in text or "timed out" in text.lower():
        return "does not answer"
    if "unable to open database" in text or "readonly database" in text:
        return "cannot be opened or written to"
    if "database is locked" in text:
        return "is locked by another program"
    if "file is not a database" in text:
        return "is not an SQLite database"
    if too_long := re.search(r"answered with more than \d+ MiB", text):
        return too_long[0]
    said = text and not holds_secret(text, address)
    return f"refused: {_URL.sub(lambda found: shown(found[0]), text)[:300] if said else type(error).__name__}"
