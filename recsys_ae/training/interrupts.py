"""Signals that let the work at hand come to a clean end: Ctrl-C, and the SIGTERM and, where there is one,
SIGHUP of others."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

log = logging.getLogger(__name__)
_FROM_OTHERS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, wherever Ctrl-C would have ended the work."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)


@dataclass(slots=True)
class Interrupt:
    """Whether a signal asked to stop. `number`: of the first."""

    number: int | None = None
    _before: dict[int, Any] = field(default_factory=dict)

    @property
    def requested(self) -> bool:
        return self.number is not None

    @property
    def is_of_others(self) -> bool:
        """Whether it was another signal than Ctrl-C, whose user waits for results."""
        return self.number in _FROM_OTHERS

    def end_where_others_asked(self) -> None:
        """Do what the signal would have done at once, unless it was Ctrl-C."""
        if self.is_of_others:
            self.do_at_once()

    def do_at_once(self) -> None:
        """Do what the signal would have done, if there was one."""
        if self.number is not None:
            self._before[self.number](self.number, None)


@contextmanager
def terminated() -> Iterator[Interrupt]:
    """Within the block SIGTERM and SIGHUP raise Terminated, so that whatever is open is closed. A signal that
    is ignored, as by nohup, stays so."""
    interrupt = Interrupt()

    def heard(number: int, frame: FrameType | None) -> None:
        interrupt.number = number
        raise Terminated(number)

    with ExitStack() as undo:
        for number in _FROM_OTHERS:
            if _is_main_thread() and signal.getsignal(number) is signal.SIG_DFL:
                undo.callback(signal.signal, number, signal.signal(number, heard))
        yield interrupt


@contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Within the block the first signal only sets `requested`; the second does at once what the first would
    have done without it. Of the signals those count that raise something: Ctrl-C, and within `terminated`
    the others. Outside the main thread, where signals cannot be caught, they work as ever."""
    interrupt = Interrupt()

    def heard(number: int, frame: FrameType | None) -> None:
        if interrupt.requested:
            interrupt._before[number](number, frame)
            return
        interrupt.number = number
        again = "press Ctrl-C" if number == signal.SIGINT else f"send {signal.Signals(number).name}"
        log.warning("stopping after this epoch; %s again to stop at once", again)

    with ExitStack() as undo:
        for number in (signal.SIGINT, *_FROM_OTHERS):
            if _is_main_thread() and callable(signal.getsignal(number)):
                interrupt._before[number] = signal.signal(number, heard)
                undo.callback(signal.signal, number, interrupt._before[number])
        try:
            yield interrupt
        except Exception:  # which nobody may take for the end of the work alone
            interrupt.do_at_once()
            raise


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
