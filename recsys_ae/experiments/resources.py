"""What a run costs: seconds and memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(slots=True)
class Usage:
    """Wall time in seconds and the highest resident memory of the process in MB (10^6 bytes); both are
    final once the block that measures them has ended."""

    seconds: float = 0.0
    peak_memory_mb: float = 0.0


@contextmanager
def measured() -> Iterator[Usage]:
    """Measure a block. The peak starts anew at the block's start where the system lets it (Linux); elsewhere
    it is the highest since the process began. Inner blocks reset the peak of outer ones, so measure memory
    in one place."""
    _reset_peak()
    with timed() as usage:
        yield usage
    usage.peak_memory_mb = peak_memory_mb()


@contextmanager
def timed() -> Iterator[Usage]:
    """Measure the wall time of a block only."""
    usage, start = Usage(), time.perf_counter()
    try:
        yield usage
    finally:
        usage.seconds = time.perf_counter() - start


def peak_memory_mb() -> float:
    """Highest resident memory in MB since the last reset, or since the process began."""
    try:
        lines = _STATUS.read_text().splitlines()
        return next(float(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return _peak_since_the_beginning()


def _peak_since_the_beginning() -> float:
    """In MB, on systems that are not Linux."""
    try:
        import resource
    except ImportError:  # Windows
        memory = psutil.Process().memory_info()
        return getattr(memory, "peak_wset", memory.rss) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _reset_peak() -> None:
    try:
        _CLEAR.write_text("5")
    except OSError:
        return
