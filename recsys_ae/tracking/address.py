"""The address of a store: what it means, and how it is shown without its secrets."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"

_PATHS = ("file", "sqlite")  # schemes without host and user
_SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "DATABRICKS_TOKEN",
                     "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")  # fmt: skip


def resolve_uri(uri: str | None = None) -> str:
    """The address of the store: `uri`, else MLFLOW_TRACKING_URI, else a database in the working folder.

    Plain paths and relative databases become absolute, so that the address outlives a change of folder.
    """
    text = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{DATABASE}"
    if database := database_of(text):
        _, mark, query = text.partition("?")
        return f"{address_of(database)}{mark}{query}"
    if "://" not in text and not text.startswith(("file:", "databricks")):
        return Path(text).absolute().as_uri()
    return text


def address_of(database: Path) -> str:
    """The absolute address of an SQLite file. Quoted is what an address reads as its own: percent signs,
    which whoever opens it unquotes, and question marks, where a query would begin."""
    return "sqlite:///" + str(database.absolute()).replace("%", "%25").replace("?", "%3F")


def database_of(uri: str) -> Path | None:
    """The file of an SQLite address, None for all other stores."""
    place, _, _ = uri.removeprefix("sqlite:///").partition("?")
    return Path(unquote(place)) if uri.startswith("sqlite:///") else None


def artifact_root(uri: str) -> str | None:
    """Where a store without a server keeps files: beside its database; None where the store decides."""
    database = database_of(uri)
    return None if database is None else (database.parent / ARTIFACTS).as_uri()


def local_path(uri: str) -> Path | None:
    """The local path behind a file: URI or a plain path, None for anything remote."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return Path(uri) if not parts.scheme else None


def shown(address: str) -> str:
    """The address as messages show it: without user, password and query.

    Passwords may hold any sign. A host begins after the last @; where nobody can tell whether that belongs to
    the password or to what follows the host, nothing but the scheme is shown.
    """
    scheme, separator, rest = address.partition("://")
    if not separator or scheme in _PATHS:
        return _without_query(address)
    before, at, host = rest.rpartition("@")
    if at and re.search(r"[?#]", before):
        return f"{scheme}://***"
    return f"{scheme}://{_without_query(host)}"


def _without_query(text: str) -> str:
    path, mark, _ = re.match(r"([^?#]*)([?#]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    return f"{path}{mark}***" if mark else path


def holds_secret(text: str, address: str) -> bool:
    """Whether a text, such as a library's sentence, quotes any piece of what `shown` leaves out of the
    address, or of a password or token in the environment. Libraries cut addresses where ours does not."""
    said = text.casefold()
    return any(piece in said for piece in _pieces(address))


def has_secrets(address: str) -> bool:
    """Whether something of the address is not for everyone."""
    return bool(_pieces(address))


def _pieces(address: str) -> set[str]:
    secrets = [os.environ.get(name, "") for name in _SECRET_VARIABLES]
    scheme, separator, rest = address.partition("://")
    if separator and scheme not in _PATHS:
        before = rest.rpartition("@")[0]
        secrets.append(before.partition(":")[2] or before)
    secrets += re.split(r"[?#]", address, maxsplit=1)[1:]
    texts = {text.casefold() for text in (*secrets, *map(unquote, secrets)) if text}
    return texts | {piece for text in texts for piece in re.split(r"[\W_]+", text) if piece}
