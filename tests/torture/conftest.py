"""The warm process in which commands meet their faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from commands import write_ratings
from torture.faults import Commands, compiled
from torture.jobs import BENCHMARK, LISTS, RECOMMEND, TRAIN, TUNE, UPLOAD, write_benchmark, write_search


@pytest.fixture(scope="session")
def commands(tmp_path_factory) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("warm")
    library = compiled(folder)
    if library is None:
        pytest.skip("needs a C compiler, such as gcc")
    write_ratings(folder / "ratings.csv", n_users=20, n_items=12)
    write_benchmark(folder)
    write_search(folder)
    warm = [TRAIN, RECOMMEND, LISTS, UPLOAD, (*BENCHMARK[:-1], "compared"), (*TUNE[:-1], "searched")]
    with Commands(library, folder, warm) as running:
        yield running
