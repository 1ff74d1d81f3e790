"""Commands run in forks of a warm process, with one system call going wrong.

`python faults.py LIBRARY` is that process: it has imported all that the commands need, reads a JSON request
from each line of stdin, runs the command in a fork, and answers with a line. The library, made of faults.c
and loaded before all others (LD_PRELOAD), counts the calls that change files below the command's folder.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).parent
MODES = ("count", "full", "broken", "killed")  # in the order of faults.c
KILLED = -9


def compiled(folder: Path) -> Path | None:
    """The library, compiled; None where there is no C compiler."""
    library = folder / "faults.so"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    words = ("-shared", "-fPIC", "-O1", "-o", str(library), str(HERE / "faults.c"), "-ldl")
    for name in (compiler, "cc", "gcc"):
        try:
            subprocess.run([name, *words], check=True, capture_output=True)
            return library
        except (OSError, subprocess.CalledProcessError):
            continue
    return None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended. `code`: -9 for one that was killed; `calls`: counted, in mode "count" alone."""

    code: int
    calls: int
    out: str
    err: str


class Commands:
    """The warm process. `warm`: command lines that it runs once, in `folder`, so that all is loaded."""

    def __init__(self, library: Path, folder: Path, warm: Sequence[Sequence[str]]) -> None:
        environment = {
            **os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OMP_NUM_THREADS": "1", "NUMBA_THREADING_LAYER": "workqueue",  # which may be forked
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(library), json.dumps(warm)],
            cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._said = folder / "said"

    def __enter__(self) -> Commands:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def run(
        self, folder: Path, words: Sequence[str], *, mode: str = "count", at: int = 0,
        temporary: Path | None = None, stop_at: int = 0, kill_after: float = 0.0,
    ) -> Ending:  # fmt: skip
        """Run `recsys-ae` with these words in the folder. `at`: the call that goes wrong, from 1;
        `temporary`: the system's folder for temporary files; `stop_at`: the epoch after which Ctrl-C is
        pressed; `kill_after`: seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "folder": str(folder.resolve()), "words": list(words), "mode": MODES.index(mode), "at": at,
            "said": str(self._said), "temporary": str(temporary or folder), "stop_at": stop_at,
            "kill_after": kill_after,
        }  # fmt: skip
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        out, err = (Path(f"{self._said}.{name}").read_text() for name in ("out", "err"))
        return Ending(answer["code"], answer["calls"], out, err)


def _serve(library: ctypes.CDLL, warm: Sequence[Sequence[str]]) -> None:
    from recsys_ae.training import checkpoints

    checkpoints._SECONDS_BETWEEN = 0.0  # a state after each epoch
    with redirect_stdout(sys.stderr):
        for words in warm:
            _command(words)
    for line in sys.stdin:
        request = json.loads(line)
        reader, writer_end = os.pipe()
        child = os.fork()
        if child == 0:
            _obey(request, library, writer_end)
        os.close(writer_end)
        if request["kill_after"]:
            time.sleep(request["kill_after"])
            os.kill(child, signal.SIGKILL)  # one that has ended is not yet waited for
        _, status = os.waitpid(child, 0)
        with os.fdopen(reader) as counted:
            calls = int(counted.read() or 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status), "calls": calls}), flush=True)


def _command(words: Sequence[str]) -> int:
    from recsys_ae.cli import main

    return main(words)


def _obey(request: dict, library: ctypes.CDLL, counted: int) -> None:
    """In the fork: run the command, say the number of calls, and end."""
    import tempfile

    code = 99
    try:
        os.chdir(request["folder"])
        tempfile.tempdir = os.environ["HOME"] = request["temporary"]
        with ExitStack() as stack:
            said = [
                stack.enter_context(Path(f"{request['said']}.{name}").open("w", buffering=1))
                for name in ("out", "err")
            ]
            stack.enter_context(redirect_stdout(said[0]))
            stack.enter_context(redirect_stderr(said[1]))
            if request["stop_at"]:
                _press_ctrl_c(request["stop_at"])
            library.faults_arm(request["folder"].encode(), request["mode"], request["at"])
            code = _command(request["words"])
            os.write(counted, str(library.faults_count()).encode())
    finally:
        os._exit(code)


def _press_ctrl_c(after: int) -> None:
    from recsys_ae.reporting import progress

    before: Callable = progress.Progress.update

    def update(
        self: object, task: object, *given: object, completed: int | None = None, **named: object
    ) -> None:
        if completed == after:
            signal.raise_signal(signal.SIGINT)
        before(self, task, *given, completed=completed, **named)

    progress.Progress.update = update  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    _serve(ctypes.CDLL(sys.argv[1]), json.loads(sys.argv[2]))
