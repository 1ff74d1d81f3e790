"""Systems that are not Linux: what of Python only POSIX has is neither imported nor called there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import write_ratings

from recsys_ae import files
from recsys_ae.experiments import resources
from recsys_ae.files import claimed, recover, replaced, replaced_folder, sole_holder

ID = "0a1b2c3d"
# Other packages were built for this system and may use it.
ELSEWHERE = """\
import importlib, os, pkgutil, signal, sys
for name in ("implicit", "matplotlib.pyplot", "mlflow", "numba", "optuna", "pandas", "pooch", "psutil",
             "pyarrow.dataset", "scipy.sparse", "sqlalchemy", "torch", "typer"):
    importlib.import_module(name)
for name in ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty"):
    sys.modules[name] = None
for module, names in (
    (signal, "SIGHUP SIGKILL SIGUSR1 SIGALRM SIGPIPE SIGQUIT SIGCHLD pthread_sigmask alarm"),
    (os, "fork forkpty O_DIRECTORY O_NONBLOCK O_NOFOLLOW O_CLOEXEC geteuid getuid getegid getgid setsid "
         "killpg getpgid chown fchmod fchown mkfifo nice sync fdatasync"),
):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
"""
IMPORT_ALL = """
import recsys_ae
found = [module.name for module in pkgutil.walk_packages(recsys_ae.__path__, "recsys_ae.")]
assert len(found) > 150, found
for name in found:
    importlib.import_module(name)
"""
USE = """
import json, pathlib, threading, time, _thread
from recsys_ae.cli import main

WORDS = ["train", "--data", "ratings.csv", "--model", "u-autorec", "--set", "hidden=[4]", "--no-tracking",
         "--set", "training.patience=null", "--quiet", "--set"]

def stopped(out, *more):
    # What is said of a training that Ctrl-C ended.
    for wait in (0.5, 2, 8, 20):  # on a busy machine it may not have begun by then
        threading.Timer(wait, _thread.interrupt_main).start()
        code = main([*WORDS, "training.epochs=1000000", "--out", out, *more])
        if code != 130:
            assert code == 0, code
            return json.loads(pathlib.Path(out, "result.json").read_text())["fit"]
    raise AssertionError("never stopped while it trained")

assert main([*WORDS, "training.epochs=2", "--out", "first"]) == 0  # libraries are loaded now
first, second = stopped("a"), stopped("b", "--resume")
assert first["interrupted"] and first["resumable"]
assert second["epochs_run"] > first["epochs_run"] > 0, (first, second)
assert main(["train", "--data", "ratings.csv", "--model", "biased-mf", "--no-tracking", "--out", "mf"]) == 0
assert main(["recommend", "mf/model", "--out", "lists.csv"]) == 0
assert main(["evaluate", "mf/model"]) == 0
assert main(["data", "describe", "ratings.csv"]) == 0
assert len(pathlib.Path("lists.csv").read_text().splitlines()) > 300
left = [path.name for path in pathlib.Path().rglob(".*") if path.name.endswith((".tmp", ".old"))]
assert not left, left
"""


def test_everything_imports_trains_resumes_and_recommends(tmp_path):
    write_ratings(tmp_path / "ratings.csv")
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE + IMPORT_ALL + USE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "starts anew" not in done.stderr


@pytest.fixture
def lockless(monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)


def test_without_locks_files_appear_whole_and_what_was_whole_comes_back(tmp_path, lockless):
    for text in ("old", "new"):
        with replaced(tmp_path / "file") as temporary:
            temporary.write_text(text)
        with replaced_folder(tmp_path / "folder") as temporary:
            (temporary / "file").write_text(text)
    assert (tmp_path / "file").read_text() == (tmp_path / "folder/file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    (tmp_path / "folder").rename(tmp_path / f".folder.{ID}.old")
    (tmp_path / f".file.{ID}.tmp").write_text("of somebody who may be alive")
    for name in ("folder", "file"):
        recover(tmp_path / name)
    assert (tmp_path / "folder/file").read_text() == "new"
    assert (tmp_path / f".file.{ID}.tmp").exists()


def test_without_locks_everybody_is_alone(tmp_path, lockless):
    with claimed(tmp_path / "mine", fresh=True), sole_holder(tmp_path / "lock") as alone:
        assert alone
        assert (tmp_path / "mine").is_dir()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError), claimed(tmp_path / "there", fresh=True):
        pass


def test_windows_brings_files_to_the_disk_by_handles_that_write_and_opens_no_folder(tmp_path, monkeypatch):
    opened: list[tuple[str, int]] = []
    real = os.open

    def listening(path, flags, *mode):
        opened.append((Path(path).name, flags))
        return real(path, flags, *mode)

    monkeypatch.setattr(files, "fcntl", None)
    monkeypatch.setattr(files, "_IS_WINDOWS", True)
    with replaced_folder(tmp_path / "folder") as temporary:
        (temporary / "file").write_text("x")
        monkeypatch.setattr(os, "open", listening)
    assert opened == [("file", os.O_RDWR)]


def test_memory_is_measured_without_the_module_of_posix(monkeypatch):
    by_posix = resources._peak_since_the_beginning()
    monkeypatch.setitem(sys.modules, "resource", None)
    assert 0.05 < resources._peak_since_the_beginning() / by_posix < 1.5
