"""A real store, the address of a dead one, and a small model to keep in them."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from recsys_ae.data.histories import Histories
from recsys_ae.data.ids import IdMap
from recsys_ae.models.factors import FactorRecommender
from recsys_ae.models.storage import save_model


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


@pytest.fixture(scope="session")
def model_folder() -> Callable[..., Path]:
    """The function that writes a small model to a folder and returns it."""
    return _write_model


def _write_model(folder: Path, *, n_users: int = 7, n_items: int = 12, numbers: bool = False) -> Path:
    """A factor model with ids as texts (or numbers) and a history that holds a rating of 0."""
    rng = np.random.default_rng(5)

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    users = IdMap.of(np.arange(n_users) * 3) if numbers else IdMap.of([f"0{i}" for i in range(n_users)])
    items = IdMap.of(np.arange(n_items) + 100) if numbers else IdMap.of([f"film {i}" for i in range(n_items)])
    recommender = FactorRecommender(
        users, items, drawn(n_users, 3), drawn(n_items, 3), drawn(n_users), drawn(n_items), mean=3.0
    )
    rows, columns = np.arange(n_users), np.arange(n_users) % n_items
    values = np.where(rows == 2, 0.0, 4.0).astype(np.float32)
    history = csr_array((values, (rows, columns)), shape=(n_users, n_items))
    histories = Histories(users, rows, history)
    save_model(folder, recommender, histories=histories, info={"config": "toy"})
    return folder
