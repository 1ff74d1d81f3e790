"""What a run ran on: versions, commit, threads."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from threadpoolctl import threadpool_info

_PACKAGES = ("recsys-ae", "numpy", "scipy", "torch", "numba", "implicit", "mlflow", "pandas", "pyarrow")


@dataclass(frozen=True, slots=True)
class Commit:
    """The commit that a folder stands at; `dirty`: tracked files differ from it."""

    id: str
    dirty: bool


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can decide a result."""
    return {"python": platform.python_version(), **installed(_PACKAGES)}


def installed(packages: Sequence[str]) -> dict[str, str]:
    """Versions of these packages; those that are not installed are left out."""
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache  # of one process: a benchmark asks for every run
def commit_of(folder: Path) -> Commit | None:
    """None outside a repository, and where git does not answer."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    return Commit(commit, dirty=bool(_git(folder, "status", "--porcelain", "--untracked-files=no")))


@cache
def code_commit() -> str | None:
    """The commit of the code that runs, with "-dirty" where it was changed; None where it is installed."""
    here = Path(__file__)
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return None
    commit = commit_of(here.parent)
    return None if commit is None else commit.id + ("-dirty" if commit.dirty else "")


def threads_in_force() -> int:
    """How many threads numerical work may take now: those of torch where it is loaded, else the most that a
    library at hand would start."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return torch.get_num_threads()
    return max((pool["num_threads"] for pool in threadpool_info()), default=os.cpu_count() or 1)


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):  # no git on this machine, or a very slow disk
        return None
    return done.stdout.strip() if done.returncode == 0 else None
