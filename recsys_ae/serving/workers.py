"""Work on many pieces at once, by threads: scores are made by code that lets the other threads run."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from threadpoolctl import threadpool_limits

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Piece], Result], pieces: Iterable[Piece], *, workers: int
) -> Iterator[Result]:
    """What the function makes of each piece, in the order of the pieces: `map` by so many threads.

    Pieces are taken as they are needed. At most `workers` are worked on, and as many results wait to be
    taken, however many pieces there are. An error comes where its piece's result would have come; pieces
    that were not begun by then are not.
    """
    remaining = iter(pieces)
    with ThreadPoolExecutor(workers, thread_name_prefix="lists") as threads:
        ahead: deque[Future[Result]] = deque()
        try:
            ahead.extend(threads.submit(function, piece) for piece in islice(remaining, 2 * workers))
            while ahead:
                result = ahead.popleft().result()
                ahead.extend(threads.submit(function, piece) for piece in islice(remaining, 1))
                yield result
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Numerical libraries take one thread for whoever calls them while the block lasts. A product that one
    thread makes has the same bits on one as on a hundred cores."""
    torch = sys.modules.get("torch")  # whose products have limits of their own
    before = None if torch is None else torch.get_num_threads()
    with threadpool_limits(1):
        if torch is not None:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(before)
