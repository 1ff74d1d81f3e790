"""Ctrl-C that lets the work at hand come to a clean end."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Interrupt:
    """Whether the user asked to stop."""

    requested: bool = False


@contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Within the block the first Ctrl-C only sets `requested`; the second raises KeyboardInterrupt at once.
    Outside the main thread, where signals cannot be caught, Ctrl-C works as ever."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def heard(number: int, frame: FrameType | None) -> None:
        if interrupt.requested:
            raise KeyboardInterrupt
        interrupt.requested = True
        log.warning("stopping after this epoch; press Ctrl-C again to stop at once")

    before = signal.signal(signal.SIGINT, heard)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
