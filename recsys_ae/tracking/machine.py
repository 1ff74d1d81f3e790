"""How busy the machine is while a run goes on, under the names by which MLflow shows it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import psutil

_ON, _EVERY = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"
_SECONDS = 10.0  # as MLflow; runs that are over before have nothing to tell


def interval() -> float | None:
    """Seconds between two samples; None where the environment says that there shall be none. The variables
    are those of MLflow."""
    if os.environ.get(_ON, "true").lower() in ("false", "0"):
        return None
    seconds = 0.0
    with suppress(ValueError):
        seconds = float(os.environ.get(_EVERY, ""))
    return seconds if seconds >= 1 else _SECONDS


class Machine:
    """Processors and memory in use, of a GPU too where MLflow can ask it. Only looks: nothing is sent, unlike
    by MLflow's own monitor, whose thread waits for the store."""

    def __init__(self) -> None:
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

        self._monitors: list[Any] = [CPUMonitor()]
        with suppress(Exception):  # no GPU, or not the package that asks it
            self._monitors.append(GPUMonitor())
        self._process = psutil.Process()
        psutil.cpu_percent()  # is of the time since it was last asked

    def sample(self) -> dict[str, float]:
        """Name -> value now; the memory of this process beside that of the whole machine."""
        found = {"process_memory_megabytes": round(self._process.memory_info().rss / 1e6, 1)}
        for monitor in self._monitors:
            monitor.clear_metrics()
            monitor.collect_metrics()
            found |= monitor.aggregate_metrics()
        return {f"system/{name}": float(value) for name, value in found.items()}
