"""Each system call that changes a file fails, or is the last, in turn: nothing whole is ever lost."""

from __future__ import annotations

import traceback

import pytest
from torture.jobs import JOBS, Tortured

SHORT = {"train": 61, "resume": 67, "recommend": 9, "benchmark": 211, "upload": 173}  # one call of so many


@pytest.mark.parametrize("mode", ["full", "broken", "killed"])
@pytest.mark.parametrize("name", JOBS)
def test_some_calls_go_wrong(name, mode, commands, tmp_path, capsys):
    torture(name, mode, SHORT[name], commands, tmp_path, capsys)


@pytest.mark.torture
@pytest.mark.parametrize("mode", ["full", "broken", "killed"])
@pytest.mark.parametrize("name", JOBS)
def test_every_call_goes_wrong(name, mode, commands, tmp_path, capsys):
    torture(name, mode, 1, commands, tmp_path, capsys)


def torture(name, mode, step, commands, folder, capsys) -> None:
    job = Tortured.of(name, commands, folder)
    failed = []
    for at in range(1 + step // 2, job.n_calls + 1, step):
        try:
            job.disturb(mode, at)
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[-1].line
            failed.append(f"{mode} at call {at} of {job.n_calls}: {line}: {type(error).__name__}: {error}")
    with capsys.disabled():
        told = ", ".join(f"{n} {kind}" for kind, n in sorted(job.counts.items()))
        print(f"\n{name}, {mode}: {sum(job.counts.values())} of {job.n_calls} calls: {told}")
    assert not failed, "\n\n".join([f"{len(failed)} cases", *failed[:5]])
