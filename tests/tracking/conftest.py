"""A real store, made once: its first migration takes longer than most tests."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from recsys_ae.tracking.store import connected


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with connected(f"sqlite:///{path}", create=True):
        return path


@pytest.fixture
def store(fresh_database, tmp_path, monkeypatch) -> str:
    """An empty store in `tmp_path`, which is the working folder; the environment names no other."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copy(fresh_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def dead_server() -> str:
    """An address where nobody listens: a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
