"""The page on the local store."""

from __future__ import annotations

import sys

from recsys_ae.errors import ConfigError, TrackingError
from recsys_ae.tracking.store import artifact_root, database_of, resolve_uri, shown


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
    database = database_of(address)
    if database is not None and not database.exists():
        raise TrackingError(
            f"{database}: no runs are tracked there; train a model first, or name another store"
        )
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", address, "--host", host,
               "--port", str(port), "--workers", "1"]  # fmt: skip
    root = artifact_root(address)
    return command if root is None else [*command, "--default-artifact-root", root]
