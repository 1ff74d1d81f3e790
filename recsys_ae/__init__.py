"""Autoencoder recommenders on observed ratings: load, split, fit, evaluate, recommend."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# Threads that spin while they wait for each other make short steps several times slower wherever another
# program wants a core too. OpenMP reads this once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from recsys_ae.api import evaluate, fit, load, load_model, recommend, sample, split, tune, walk
    from recsys_ae.comparing import Benchmark, benchmark, compare
    from recsys_ae.data.ratings import Ratings
    from recsys_ae.errors import RecsysError
    from recsys_ae.evaluation.report import Report
    from recsys_ae.experiments.tune import Tuned
    from recsys_ae.listing import recommend_all
    from recsys_ae.model import Model
    from recsys_ae.splitting.split import Split

    __version__: str

__all__ = [
    "Benchmark",
    "Model",
    "Ratings",
    "RecsysError",
    "Report",
    "Split",
    "Tuned",
    "__version__",
    "benchmark",
    "compare",
    "evaluate",
    "fit",
    "load",
    "load_model",
    "recommend",
    "recommend_all",
    "sample",
    "split",
    "tune",
    "walk",
]


def __getattr__(name: str) -> Any:
    """The public names, imported when first used: the package itself loads nothing heavy (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        from importlib.metadata import version

        return version("recsys-ae")
    from recsys_ae import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return __all__
