"""Which process a run belongs to, and whether it still lives."""

from __future__ import annotations

import platform
from collections.abc import Mapping

import psutil

_HOST, _PID, _STARTED = "recsys_ae.host", "recsys_ae.pid", "recsys_ae.process_started"
_SLACK = 5.0  # seconds; systems correct their clocks, and with them when a process is said to have started


def process_tags() -> dict[str, str]:
    """This process: its host, its number and when it started, as numbers are used again."""
    process = psutil.Process()
    return {_HOST: platform.node(), _PID: str(process.pid), _STARTED: f"{process.create_time():.3f}"}


def has_died(status: str, tags: Mapping[str, str]) -> bool:
    """Whether a run is still open although the process that opened it, on this host, is gone. Of runs of
    other hosts, and of those without these tags, nobody can tell: the answer is no."""
    if status != "RUNNING" or tags.get(_HOST) != platform.node():
        return False
    try:
        process = psutil.Process(int(tags[_PID]))
        return abs(process.create_time() - float(tags[_STARTED])) > _SLACK or (
            process.status() == psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return True
    except (KeyError, ValueError, psutil.Error):
        return False
