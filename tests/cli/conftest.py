"""Ratings, a store and one trained model, made once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import SMALL, succeed, write_ratings


@pytest.fixture(scope="session")
def ratings(tmp_path_factory) -> Path:
    return write_ratings(tmp_path_factory.mktemp("data") / "ratings.csv")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty working folder, no settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def store(fresh_database, here) -> Path:
    """A working folder with an empty store."""
    shutil.copy(fresh_database, here / "mlflow.db")
    return here


@pytest.fixture(scope="session")
def trained(ratings, tmp_path_factory) -> dict[str, Any]:
    """The answer of a training of u-autorec, untracked."""
    out = tmp_path_factory.mktemp("runs") / "first"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out.parent)
        return train(ratings, "u-autorec", out=out)


def train(ratings: Path, model: str, *words: str, out: Path) -> dict[str, Any]:
    extra = SMALL if model.endswith("autorec") else ()
    return succeed(
        "train", "--data", ratings, "--model", model, "--no-tracking", "--json", "--out", out, *extra, *words
    ).document
