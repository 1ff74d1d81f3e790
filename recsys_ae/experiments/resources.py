"""What a run costs and what it ran on: seconds, memory, versions."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

_PACKAGES = ("recsys-ae", "numpy", "scipy", "torch", "numba", "implicit", "mlflow", "pandas", "pyarrow")
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
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _reset_peak() -> None:
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can decide a result."""
    found = {"python": sys.version.split()[0]}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def git_commit() -> str | None:
    """The commit of the code that runs, with "-dirty" where it was changed; None outside a repository."""
    folder = Path(__file__).parent
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None or _git(folder, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    return commit + ("-dirty" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
