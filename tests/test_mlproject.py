"""MLproject: what `mlflow run` starts, in the environment that is there."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from commands import succeed, write_ratings
from mlflow.projects.utils import load_project

ROOT = Path(__file__).resolve().parents[1]
ENTRIES = ("train", "benchmark", "recommend")


@pytest.fixture(scope="module")
def project():
    return load_project(str(ROOT))


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_point_is_a_command_with_its_options(project, name, tmp_path):
    entry = project.get_entry_point(name)
    given = {"model": "somewhere"} if name == "recommend" else {}
    words = shlex.split(entry.compute_command(given, str(tmp_path)))
    assert words[:4] == ["python", "-m", "recsys_ae", name]
    said = succeed(name, "--help").out
    assert all(word in said for word in words if word.startswith("-") and word != "-m")
    for word in words:
        assert not word.endswith(".yaml") or (ROOT / word).is_file()


@pytest.mark.slow
def test_mlflow_runs_them_one_after_the_other(fresh_database, tmp_path):
    shutil.copy(fresh_database, tmp_path / "mlflow.db")
    data = write_ratings(tmp_path / "films.csv", n_users=60)
    (tmp_path / "train.yaml").write_text(f"name: one\ndata: {{source: {data}}}\nmodel: {{kind: ease}}\n")
    models = "[{name: ease, model: {kind: ease}}, {name: popularity, model: {kind: popularity}}]"
    (tmp_path / "both.yaml").write_text(
        f"name: both\ndata: {{source: {data}}}\nmodels: {models}\nreference: popularity\n"
    )
    found = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
    }

    def run(entry: str, **parameters: object) -> None:
        words = [word for key, value in parameters.items() for word in ("-P", f"{key}={value}")]
        command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", entry, "--env-manager", "local"]
        done = subprocess.run(
            [*command, *words],
            cwd=tmp_path,
            env=os.environ | found,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    run("train", config=tmp_path / "train.yaml", out=tmp_path / "one", set="l2=2")
    assert "l2: 2.0" in (tmp_path / "one" / "config.yaml").read_text()
    run("benchmark", config=tmp_path / "both.yaml", out=tmp_path / "both")
    assert (tmp_path / "both" / "page.html").is_file()
    run("recommend", model=tmp_path / "one" / "model", users="u001", n=3, out=tmp_path / "lists.parquet")
    assert pd.read_parquet(tmp_path / "lists.parquet")["rank"].tolist() == [1, 2, 3]
