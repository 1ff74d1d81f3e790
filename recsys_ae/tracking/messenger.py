"""A thread that talks to a store, and how long others wait for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from recsys_ae.tracking.wire import Wire

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

SECONDS = 8.0  # that a command waits in all for a store
DECENT = 1_000_000  # bytes a second; a training waits for nothing slower
SLOWEST = 10_000  # bytes a second, for who asks the store for something and has nothing else to do
_STRETCH = 2.0  # seconds over which a rate is looked at, and that a line may be ahead of it
_OVERHEAD = 2_000  # bytes of a call, beside what it tells
_SLICE = 0.05  # seconds between two looks
_LONGEST = 1.0  # seconds that one slice may cost, however long the machine slept


class OutOfPatience(Exception):
    """A store was waited for as long as agreed."""


class Patience:
    """The seconds that are left to wait for a store, over any number of calls.

    A line that moves `rate` bytes a second is waited for: a stretch of at most 2 s in which it kept to that
    costs nothing, and 2 s after what it moved beforehand. All other time costs what it takes.
    """

    def __init__(self, seconds: float = SECONDS, *, rate: float = DECENT) -> None:
        self.seconds = self.left = seconds
        self._rate = rate
        self._ahead = 0.0  # seconds that the line is ahead of its rate, below 0: behind it
        self._stretch = 0.0  # seconds since it fell behind

    def spend(self, seconds: float, n_bytes: int) -> None:
        """So long was waited, and so many bytes moved."""
        self._ahead += n_bytes / self._rate - seconds
        self._stretch += seconds
        self.left -= seconds
        if self._ahead >= 0:
            self.left += self._stretch
            self._ahead, self._stretch = min(self._ahead, _STRETCH), 0.0
        elif self._stretch >= _STRETCH:
            self._ahead = self._stretch = 0.0

    def renew(self) -> None:
        self.left = self.seconds


class Messenger(threading.Thread):
    """Makes calls one after another, in the order in which they were handed over.

    A call that hangs cannot be interrupted: such a messenger is dismissed. It makes no further call, its
    connections are cut, and it is no reason for the process to go on. `limit`: bytes that an answer may have,
    with `downloads` all of them together, which go to the disk; then bytes that arrive are a sign of work,
    too, not only those that the store takes in. `beat`: is called every so many seconds between two calls.
    """

    def __init__(
        self,
        *,
        limit: int | None = None,
        downloads: bool = False,
        beat: Callable[[], None] | None = None,
        every: float | None = None,
    ) -> None:
        super().__init__(name="recsys-ae-tracking", daemon=True)
        self._beat, self._every = beat, every
        self._next_beat = None if every is None else time.monotonic() + every
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any], int] | None] = SimpleQueue()
        self._wire = Wire(limit, keeps=downloads)
        self._downloads = downloads
        self._n_own = 0
        self._handed = self._done = 0  # bytes; each is counted by one thread alone
        self.start()

    @property
    def waiting(self) -> int:
        """Bytes that calls hold which are not done."""
        return self._handed - self._done

    @property
    def too_much(self) -> str | None:
        """What the store answered more than it may; None where it did not."""
        return self._wire.too_much

    @property
    def is_dismissed(self) -> bool:
        return self._wire.cut

    def hand_over(self, call: Callable[[], Answer], size: int = 0) -> Future[Answer]:
        """Queue a call that holds about `size` bytes; the future gets its answer, or what it raised."""
        future: Future[Answer] = Future()
        self._handed += size + _OVERHEAD
        self._calls.put((call, future, size + _OVERHEAD))
        return future

    def ask(self, call: Callable[[], Answer], patience: Patience) -> Answer:
        """The answer of a call, after all that was handed over before.

        Time costs patience, except while the messenger computes or works for itself (`own_work`), and while
        bytes move.
        Raises OutOfPatience where none is left, and dismisses itself.
        """
        future = self.hand_over(call)
        at, moved = self._time_of_others(), self._moved()
        while not future.done():
            wait([future], timeout=_SLICE)
            now, moved_now = self._time_of_others(), self._moved()
            if self._n_own == 0:
                patience.spend(min(max(0.0, now - at), _LONGEST), moved_now - moved)
            at, moved = now, moved_now
            if patience.left <= 0 and not future.done():
                self.dismiss()
                raise OutOfPatience
        return future.result()

    def dismiss(self) -> None:
        """Make no more calls, and forget them; that at hand ends when it next sends or reads."""
        self._wire.cut = True
        handed, self._calls = self._calls, SimpleQueue()
        handed.put(None)  # in case that it waits there
        self.end()

    def end(self) -> None:
        """Stop once everything that was handed over is done."""
        self._calls.put(None)

    def run(self) -> None:
        self._wire.open()
        while (handed := self._next()) is not None and not self._wire.cut:
            call, future, size = handed
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
            self._done += size

    def _next(self) -> tuple[Callable[[], Any], Future[Any], int] | None:
        """The next call, once there is one; None at the end."""
        while self._next_beat is not None and not self._wire.cut:
            with suppress(Empty):
                return self._calls.get(timeout=max(0.0, self._next_beat - time.monotonic()))
            self._next_beat = time.monotonic() + (self._every or 0.0)
            try:
                if self._beat is not None:
                    self._beat()
            except Exception as error:  # what is missed by it is no loss
                log.debug("a beat was missed: %s", error)
        return self._calls.get()

    @contextmanager
    def working(self) -> Iterator[None]:
        self._n_own += 1
        try:
            yield
        finally:
            self._n_own -= 1

    def _time_of_others(self) -> float:
        """A clock that stands while the thread computes, or would if it had a processor: on a busy machine
        that is most of what a database, or a server nearby, takes."""
        own = 0.0
        with suppress(OSError, ValueError, IndexError):  # not Linux, or the thread has ended
            times = Path(f"/proc/self/task/{self.native_id}/schedstat").read_text().split()
            own = (int(times[0]) + int(times[1])) / 1e9
        return time.monotonic() - own

    def _moved(self) -> int:
        return self._wire.sent + (self._wire.received if self._downloads else 0)


@contextmanager
def own_work() -> Iterator[None]:
    """Within the block a messenger waits for no server: it imports, packs, or writes to this machine."""
    thread = threading.current_thread()
    if not isinstance(thread, Messenger):
        yield
        return
    with thread.working():
        yield
