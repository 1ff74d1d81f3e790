"""Each system call that changes a file fails, finds the disk full or is the last, in turn, and in long jobs
does one of the three: nothing whole is ever lost."""

from __future__ import annotations

import traceback

import pytest
from torture.jobs import JOBS, Tortured

MODES = ("full", "broken", "killed")
LONG = ("benchmark", "tune", "upload")
SHORT = {
    "train": 149,
    "resume": 73,
    "recommend": 3,
    "lists": 23,
    "benchmark": 199,
    "tune": 301,
    "upload": 301,
}  # one call of so many


@pytest.mark.parametrize("name", JOBS)
def test_some_calls_go_wrong(name, commands, tmp_path, capsys):
    job = Tortured.of(name, commands, tmp_path)
    places = range(1 + SHORT[name] // 2, job.n_calls + 1, SHORT[name])
    torture(job, [(MODES[number % 3], at) for number, at in enumerate(places)], capsys)


@pytest.mark.torture
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", JOBS)
def test_every_call_goes_wrong(name, mode, commands, tmp_path, capsys):
    """Of the long jobs a third of the calls in each way, so that each call goes wrong in one."""
    job = Tortured.of(name, commands, tmp_path)
    step, first = (3, MODES.index(mode)) if name in LONG else (1, 0)
    torture(job, [(mode, at) for at in range(1 + first, job.n_calls + 1, step)], capsys)


def torture(job: Tortured, cases: list[tuple[str, int]], capsys) -> None:
    """Each case is a mode and the number of a call."""
    failed = []
    for mode, at in cases:
        try:
            job.disturb(mode, at)
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[-1].line
            failed.append(f"{mode} at call {at} of {job.n_calls}: {line}: {type(error).__name__}: {error}")
    with capsys.disabled():
        modes = "/".join(sorted({mode for mode, _ in cases}))
        told = ", ".join(f"{n} {kind}" for kind, n in sorted(job.counts.items()))
        print(f"\n{' '.join(job.job.words[:1])}, {modes}: {len(cases)} of {job.n_calls} calls: {told}")
    assert not failed, "\n\n".join([f"{len(failed)} cases", *failed[:5]])
