"""What a run ran on is told as it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from recsys_ae.provenance import code_commit, commit_of, installed, versions

OFFLINE = ("-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false")


def test_versions_are_those_of_the_environment():
    assert {"python", "numpy", "torch", "recsys-ae"} <= set(versions())
    assert installed(("numpy", "no-such-package")) == {"numpy": version("numpy")}


def test_commit_of_the_code_is_known_in_a_checkout():
    commit = code_commit()
    assert commit is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", commit)


def test_commit_of_a_folder_says_whether_it_was_changed(tmp_path):
    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *OFFLINE, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    assert commit_of(tmp_path) is None
    commit_of.cache_clear()
    try:
        git("init", "-q")
    except FileNotFoundError:
        pytest.skip("no git here")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    found = commit_of(tmp_path)
    assert (found.id, found.dirty) == (git("rev-parse", "HEAD"), False)
    commit_of.cache_clear()
    (tmp_path / "file").write_text("2")
    assert commit_of(tmp_path).dirty


@pytest.mark.parametrize("first", ["numpy", "torch"])
def test_threads_are_those_that_the_libraries_were_given(first):
    code = f"import {first}; from recsys_ae.provenance import threads_in_force; print(threads_in_force())"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert told.stdout.strip() == "1", told.stderr
