"""Which way is up."""

from __future__ import annotations

_LOW = ("rmse", "mae", "error", "loss", "gini", "popularity_bias", "seconds", "memory")


def lower_is_better(metric: str) -> bool:
    """Whether small values of a metric ("rmse", "test/rmse_warm", "fit_seconds") are good ones."""
    return any(word in metric for word in _LOW)
