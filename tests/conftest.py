"""What all tests share: one thread each, the folder of real datasets, a checkout that stays clean."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
STORES = ("mlflow.db", "mlruns", "mlartifacts")  # what MLflow leaves in the folder where it is called

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # torch and numpy read it when they are first imported, in the tests

# A shell starts what runs in the background with Ctrl-C ignored, and nohup with SIGHUP; the tests send both,
# to themselves and to their children.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of local datasets; the test is skipped where there is none."""
    named = os.environ.get("RECSYS_AE_DATA")
    if not named:
        pytest.skip("needs real datasets: set RECSYS_AE_DATA to their folder")
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"needs real datasets: RECSYS_AE_DATA names {folder}, which is no folder")
    return folder


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory) -> Path:
    """A store whose first migration, of many seconds, is over."""
    from recsys_ae.tracking.store import connected

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with connected(f"sqlite:///{path}", create=True):
        return path


@pytest.fixture(scope="session", autouse=True)
def _checkout_stays_clean() -> Iterator[None]:
    """Fails the run where a test has tracked into the checkout instead of a folder of its own."""
    before = {name for name in STORES if (ROOT / name).exists()}
    yield
    left = {name for name in STORES if (ROOT / name).exists()} - before
    assert not left, f"tests left {', '.join(sorted(left))} in {ROOT}: track into tmp_path instead"
