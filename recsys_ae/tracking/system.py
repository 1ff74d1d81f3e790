"""What is known of the surroundings of a run: versions, commit, machine."""

from __future__ import annotations

import getpass
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("recsys-ae", "torch", "numpy", "scipy", "numba", "implicit", "pandas", "pyarrow", "mlflow")


def system_tags() -> dict[str, str]:
    """Package versions, platform, command and, where the working folder is in a git repository, the commit.

    "mlflow.source.git.dirty" says whether tracked files differ from the commit.
    """
    tags = {f"version.{name}": number for name, number in versions(PACKAGES).items()}
    tags |= {"version.python": platform.python_version(), "platform": platform.platform(),
             "mlflow.user": _user(), "mlflow.source.type": "LOCAL",
             "mlflow.source.name": Path(sys.argv[0] or "python").name}  # fmt: skip
    return tags | _git_tags(Path.cwd())


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions; packages that are not installed are left out."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in the machine's list, as in some containers
        return "unknown"


@cache  # of one process: a benchmark asks for every nested run
def _git_tags(folder: Path) -> dict[str, str]:
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": str(bool(changes)).lower()}


def _git(folder: Path, *arguments: str) -> str:
    try:
        answer = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):  # no git on this machine, or a very slow disk
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
