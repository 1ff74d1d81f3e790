"""A process that feeds an input to the product thousands of times, within bounds, and says how it went.

`python worker.py TARGET CASES SEED FOLDER` prints one JSON line: how many cases were accepted and refused. It
fails, with the smallest example that it finds, where a case does not end as it must; a case that hangs or
crashes the process is left in FOLDER.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
ROOM_BYTES = 2 << 30  # address space of a case, beyond what the process has
SECONDS = 20  # of a case
TARGETS: dict[str, str] = {
    "text": "texts", "compressed": "texts",
    "jsonl": "tables", "ids": "tables", "parquet": "tables", "pages": "tables", "arrow": "tables",
    "npz": "tables",
    "yaml": "words", "set": "words", "uri": "words", "model": "folders",
}  # fmt: skip
Run = Callable[[Any, Path], bool]  # one case in a folder of its own: whether it was accepted


def fuzz(target: str, cases: int, seed: int, folder: Path) -> Counter[str]:
    """How many cases were accepted and refused, by a worker process. Raises AssertionError with what it said
    where it failed."""
    command = [sys.executable, __file__, target, str(cases), str(seed), str(folder)]
    paths = [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment |= {"MLFLOW_TRACKING_URI": "", "RECSYS_AE_DATA": str(folder / "data")}
    limit = 120 + cases * SECONDS
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment, cwd=folder)
    assert done.returncode == 0, f"{target}, seed {seed}, exit code {done.returncode}:\n{done.stderr[-6000:]}"
    return Counter(json.loads(done.stdout.splitlines()[-1]))


def called(*words: str) -> bool:
    """Whether the command line accepts these words. Fails unless it ends with exit code 0, or with 2 and one
    line, and says printable text alone."""
    from commands import call

    outcome = call(*words)
    assert outcome.code in (0, 2), f"exit code {outcome.code}: {outcome.err}"
    if outcome.code:
        *_, said, end = outcome.err.split("\n")
        assert said.startswith("error: "), outcome.err
        assert end == "", outcome.err
    for said in (outcome.out, outcome.err):
        text = said.replace("\n", "")
        assert text.isprintable(), f"control characters: {text!r}"
    assert max(map(len, outcome.err.split("\n"))) < 2_100, "a sentence is short"
    return outcome.code == 0


@contextmanager
def bounded() -> Iterator[None]:
    """A case that takes longer ends the process, with a traceback of where it was."""
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (room, room))


def main(target: str, cases: int, number: int, folder: Path) -> None:
    from hypothesis import HealthCheck, Phase, given, seed, settings

    module = import_module(f"fuzzing.{TARGETS[target]}")
    strategy, run = module.CASES[target]
    counts: Counter[str] = Counter()
    place = folder / target
    place.mkdir(exist_ok=True)
    if prepare := getattr(module, "prepare", None):
        prepare(place)
    limit_memory()

    @seed(number)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(case: Any) -> None:
        with bounded():
            accepted = run(case, place)
        counts["accepted" if accepted else "refused"] += 1

    each()
    sys.stdout.write(json.dumps(counts) + "\n")


if __name__ == "__main__":
    faulthandler.enable()
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
