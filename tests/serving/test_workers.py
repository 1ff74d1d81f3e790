"""Threads that work on many pieces at once: order, bounds, errors."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from recsys_ae.serving.workers import in_order, one_thread_each


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 3, 50])
def test_results_come_in_the_order_of_the_pieces(workers, n):
    rng = np.random.default_rng(0)
    waits = rng.uniform(0, 0.003, n)

    def squared(number: int) -> int:
        time.sleep(waits[number])
        return number * number

    assert list(in_order(squared, range(n), workers=workers)) == [number**2 for number in range(n)]


def test_several_pieces_are_worked_on_at_once():
    """Each waits for the other: one after the other would never end."""
    both = threading.Barrier(2, timeout=20)
    assert len(list(in_order(lambda piece: both.wait(), range(4), workers=2))) == 4


@pytest.mark.parametrize("workers", [1, 3])
def test_pieces_are_taken_as_results_are(workers):
    """So that memory does not grow with their number."""
    taken = 0

    def pieces():
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    for done, _ in enumerate(in_order(lambda piece: piece, pieces(), workers=workers), start=1):
        assert taken <= done + 2 * workers
    assert taken == 1000


def test_an_error_comes_in_its_place_and_ends_the_work():
    begun = []

    def broken(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ValueError("three")
        return number

    results = in_order(broken, range(1000), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert len(begun) < 20


def test_whoever_stops_taking_ends_the_work():
    results = in_order(lambda piece: piece, iter(range(1000)), workers=2)
    assert next(results) == 0
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lists")]


def test_libraries_take_one_thread_within_the_block_and_as_many_as_before_after_it():
    import torch

    def threads() -> list[int]:
        return [torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())]

    torch.set_num_threads(2)
    try:
        before = threads()
        with one_thread_each():
            assert set(threads()) == {1}
        assert threads() == before
    finally:
        torch.set_num_threads(1)
