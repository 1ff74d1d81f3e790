"""Addresses of stores, and what is never said of them."""

from __future__ import annotations

import logging
import re
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import ArgumentError

from recsys_ae.errors import TrackingError
from recsys_ae.tracking import store
from recsys_ae.tracking.address import holds_secret, shown
from recsys_ae.tracking.mlflow_tracker import MlflowTracker

# Secrets hold a digit sequence that no sentence of ours has, among anything that breaks parsers.
SECRETS = st.builds(
    "{}7391{}".format, st.text("abc/@:?#&=%+ é", max_size=6), st.text("xyz/@:?#&=%+", max_size=6)
)
SCHEMES = st.sampled_from(["http", "https", "postgresql", "mysql+pymysql", "mlflow-artifacts", "s3"])


def addresses(scheme: str, secret: str) -> list[str]:
    """Where people put secrets, quoted as they should be or not."""
    return [
        f"{scheme}://ann:{secret}@host:5000/db",
        f"{scheme}://ann:{quote(secret, safe='')}@host/db?mode=1",
        f"{scheme}://{secret}@host",
        f"{scheme}://host/path?token={secret}",
        f"{scheme}://host/path?a=1&{quote(secret, safe='')}",
        f"{scheme}://ann:{secret}@host/db?X-Amz-Signature={secret}&b=2",
    ]


@given(SCHEMES, SECRETS)
def test_no_piece_of_a_secret_is_shown(scheme, secret):
    for address in addresses(scheme, secret):
        assert "7391" not in shown(address)
        assert shown(address).startswith(f"{scheme}://")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://u:p@h:5000/x", "http://h:5000/x"),
        ("postgresql://user:p@ss/w@host/db", "postgresql://host/db"),
        ("postgresql://user:p%40ss@host/db?sslmode=require", "postgresql://host/db?***"),
        ("https://host/x?X-Amz-Signature=abc&b=c#d", "https://host/x?***"),
        ("https://host/x#token=abc", "https://host/x#***"),
        ("http://u:a?b@host/x", "http://***"),
        ("mlflow-artifacts://u:p@host/1", "mlflow-artifacts://host/1"),
        ("sqlite:////srv/a@b/mlflow.db", "sqlite:////srv/a@b/mlflow.db"),
        ("file:///srv/a@b", "file:///srv/a@b"),
        ("file:///srv/runs?token=abc", "file:///srv/runs?***"),
        ("sqlite:////srv/mlflow.db?key=abc", "sqlite:////srv/mlflow.db?***"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("databricks", "databricks"),
    ],
)
def test_addresses_are_shown_with_what_is_no_secret(address, expected):
    assert shown(address) == expected


@given(SCHEMES, SECRETS, st.data())
@settings(max_examples=50)
def test_sentences_made_of_a_library_s_have_no_piece_of_a_secret(scheme, secret, data):
    """Libraries quote addresses whole, quoted, in capitals, or the part that they take for the host."""
    for address in addresses(scheme, secret):
        cut = data.draw(st.sampled_from([found.end() for found in re.finditer(r"[\W_]", address)]))
        for text in (address, address[cut:], repr(address), address.upper(), f"no host {secret!r} found"):
            assert "7391" not in store._reason(ArgumentError(f"could not parse {text}"), address)


def test_what_gives_nothing_away_is_quoted():
    error = ValueError("relation runs does not exist, see http://bob:geheim@docs/x")
    assert store._reason(error, "postgresql://ann:s3cret@host/db") == (
        "refused: relation runs does not exist, see http://docs/x"
    )
    assert not holds_secret("relation ann does not exist", "postgresql://ann:s3cret@host/db")


def test_a_password_that_a_library_has_unquoted_is_known():
    error = ValueError("no host geheim7391@host")
    assert store._reason(error, "postgresql://ann:w%40geheim7391@host/db") == "refused: ValueError"


@pytest.mark.parametrize(
    "name",
    [
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
        "DATABRICKS_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ],
)
def test_passwords_in_the_environment_are_secrets(name, monkeypatch):
    monkeypatch.setenv(name, "geheim-7391")
    assert store._reason(ValueError("bad password GEHEIM"), "http://host") == "refused: ValueError"


@pytest.mark.parametrize("password", ["p@ss/w0rt7391", "p:7391", "a/7391@b", "%zz7391"])
@pytest.mark.parametrize("scheme", ["http", "postgresql", "mysql", "mlflow-artifacts", "gopher"])
def test_no_tracker_says_a_password(scheme, password, caplog, capfd, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = f"{scheme}://ann:{password}@127.0.0.1:1/db"
    with caplog.at_level(logging.DEBUG, logger="recsys_ae"), MlflowTracker("demo", "run", uri=uri) as tracker:
        tracker.params({"a": 1})
    with pytest.raises(TrackingError) as caught, store.connected(uri) as client:
        client.search_experiments()
    said = caplog.text + str(caught.value) + "".join(capfd.readouterr())
    assert "7391" not in said
    assert "the tracking store" in said
    assert caught.value.__cause__ is None  # a traceback would quote it
