"""How commands end, what --help costs, and what stands on stdout."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from commands import call, rating_lines, succeed

TOP = ("train", "benchmark", "recommend", "evaluate", "compare", "publish", "promote", "upload", "ui")
COMMANDS = (*TOP, "data list", "data describe", "data fetch")
PROCESS = (sys.executable, "-c", "import sys; from recsys_ae.cli import main; sys.exit(main())")


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from recsys_ae.cli import main; main(['train', '--help']); "
        "print([m for m in ('torch', 'mlflow', 'numpy', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.endswith("[]\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_ends_with_an_example_of_it(command):
    text = " ".join(succeed(*command.split(), "--help").out.split())
    example = text.rpartition("Example: ")[2]
    assert example.startswith(f"recsys-ae {command}")


def test_no_command_shows_what_there_is():
    assert set(TOP) <= set(succeed().out.split())


def test_list_names_every_dataset_with_its_terms(monkeypatch, tmp_path):
    monkeypatch.setenv("RECSYS_AE_DATA", str(tmp_path))
    known = {row["name"]: row for row in succeed("data", "list", "--json").document["datasets"]}
    assert known["movietweetings-100k"]["present"]
    assert not known["ml-1m"]["present"]
    assert (known["ml-1m"]["users"], known["ml-1m"]["items"], known["ml-1m"]["ratings"]) == (
        6040,
        3706,
        1000209,
    )
    assert all(row["terms"] for row in known.values())
    assert "movietweetings-100k" in succeed("data", "list").out


def test_describe_counts_what_is_in_the_file(ratings):
    found = succeed("data", "describe", ratings, "--json").document
    assert found["ratings"] == len(rating_lines()) - 1
    assert sum(found["histogram"].values()) == found["ratings"]
    assert found["density"] == pytest.approx(found["ratings"] / found["users"] / found["items"])
    assert f"{found['ratings']:,}" in succeed("data", "describe", ratings).out


def test_real_dataset_is_described(data_folder):
    found = succeed("data", "describe", "ml-1m", "--json").document
    assert (found["users"], found["items"], found["ratings"]) == (6040, 3706, 1000209)


def test_whole_process_answers_with_json_alone(ratings, tmp_path):
    words = ["train", "--data", str(ratings), "--model", "mean", "--no-tracking", "--json"]
    done = subprocess.run([*PROCESS, *words], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "test/rmse" in json.loads(done.stdout)["report"]["metrics"]


@pytest.mark.parametrize(
    ("number", "code", "name"),
    [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM"), (signal.SIGHUP, 129, "SIGHUP")],
)
def test_signals_while_reading_end_with_their_code_and_a_sentence(tmp_path, number, code, name):
    """The ratings have line breaks within quotes, so that reading them takes seconds."""
    path = tmp_path / "ratings.csv"
    path.write_text("user,item,rating,text\n" + "".join(f'{i},{i},3,"a\nb"\n' for i in range(500_000)))
    process = subprocess.Popen(
        [*PROCESS, "data", "describe", "ratings.csv"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert _until(lambda: _has_open(process.pid, path))
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (code, "")
    assert err == f"stopped by {name}; nothing half-written was left behind\n"


def test_ui_refuses_a_store_that_is_not_there(here):
    outcome = call("ui")
    assert (outcome.code, outcome.out) == (2, "")


def test_ui_refuses_a_port_that_is_taken(store):
    with socket.create_server(("127.0.0.1", 0)) as other:
        outcome = call("ui", "--port", str(other.getsockname()[1]))
    assert (outcome.code, outcome.out) == (2, "")
    assert "address already in use; name another --port" in outcome.err


def test_ui_says_open_when_the_page_answers_and_leaves_no_server_behind(store, monkeypatch):
    """In place of MLflow a server that answers after a while, and tells the number of its process."""
    port = free_port()
    slow = (
        "import os, pathlib, time; from http.server import HTTPServer, SimpleHTTPRequestHandler;"
        "time.sleep(1); pathlib.Path('pid').write_text(str(os.getpid()));"
        f"HTTPServer(('127.0.0.1', {port}), SimpleHTTPRequestHandler).serve_forever()"
    )
    monkeypatch.setattr("recsys_ae.tracking.store.ui_command", lambda *given, **named: (
        [sys.executable, "-c", slow], {}))  # fmt: skip
    seen = []

    def flushed(text: str, **named: object) -> None:
        seen.append((text, _page(port) is not None))
        raise KeyboardInterrupt

    monkeypatch.setattr("recsys_ae.cli.store.print", flushed, raising=False)
    outcome = call("ui", "--port", str(port))
    assert outcome.code == 0, outcome.err
    assert seen == [(f"open http://127.0.0.1:{port} in a browser; Ctrl-C ends it", True)]
    with pytest.raises(ProcessLookupError):
        os.kill(int((store / "pid").read_text()), 0)


def test_ui_tells_of_a_page_that_does_not_start(store, monkeypatch):
    monkeypatch.setattr("recsys_ae.tracking.store.ui_command", lambda *given, **named: (
        [sys.executable, "-c", ""], {}))  # fmt: skip
    outcome = call("ui", "--port", str(free_port()))
    assert (outcome.code, outcome.out) == (2, "")
    assert "has ended by itself" in outcome.err


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (MemoryError(), ""),
        (MemoryError("Unable to allocate 44.0 GiB"), " (Unable to allocate 44.0 GiB)"),
        (
            RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes\nstack"
            ),
            " ([enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes)",
        ),
    ],
)
def test_memory_that_runs_out_is_a_sentence(here, ratings, monkeypatch, error, detail):
    from recsys_ae.experiments import run as runs

    def run(*given, **named):
        raise error

    monkeypatch.setattr(runs, "run", run)
    outcome = call("train", "--data", ratings, "--model", "biases", "--no-tracking")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        f"error: out of memory{detail}; take a smaller model, smaller batches or fewer ratings (filters), or "
        "a machine with more memory\n"
    )
    assert not any(here.iterdir())


@pytest.mark.slow
def test_ui_serves_the_page_and_leaves_no_server_behind(store):
    port = free_port()
    log = store / "ui.log"
    with log.open("w") as out:
        process = subprocess.Popen([*PROCESS, "ui", "--port", str(port)], cwd=store, stdout=out, stderr=out)
    try:
        assert _until(lambda: _page(port) is not None), log.read_text()[-500:]
        assert "mlflow" in str(_page(port)).lower()
    finally:
        process.terminate()
        process.wait(timeout=60)
    assert _until(lambda: _page(port) is None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _has_open(process: int, path: Path) -> bool:
    found = []
    for file in Path(f"/proc/{process}/fd").glob("*"):
        with suppress(OSError):  # closed meanwhile
            found.append(file.readlink())
    return path in found


def _page(port: int) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return None


def _until(condition: Callable[[], bool], seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.3)
    return False
