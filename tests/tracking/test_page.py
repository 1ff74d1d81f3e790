"""What people see of runs on MLflow's page, in a browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from browser import browser, photograph, show
from commands import SMALL, succeed, write_ratings
from mlflow import MlflowClient
from mlflow.entities import Run
from selenium.webdriver.remote.webdriver import WebDriver

pytestmark = pytest.mark.slow

WIDTH = 1920
SERVER = [sys.executable, "-c", "import sys; from recsys_ae.cli import main; sys.exit(main())", "ui"]
SEARCH = """
name: search
data: {source: films.csv}
model: {kind: u-autorec, hidden: [4], training: {epochs: 2}}
space: {l2: {low: 1, high: 100, log: true}, activation: {values: [sigmoid, elu]}}
trials: 3
"""


@pytest.fixture
def page(store, tmp_path) -> Iterator[str]:
    """The address that `recsys-ae ui` says, of a store with a training and a search."""
    write_ratings(tmp_path / "films.csv")
    (tmp_path / "search.yaml").write_text(SEARCH)
    succeed("train", "--data", "films.csv", "--model", "u-autorec", "--quiet", *SMALL)
    succeed("tune", "search.yaml", "--quiet")
    shutil.rmtree(tmp_path / "runs")  # the page shows the store, not the folder
    with (tmp_path / "ui.log").open("w") as log:
        words = [*SERVER, "--port", str(free_port())]
        server = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
    try:
        assert server.stdout is not None
        address = re.search(r"http\S+", server.stdout.readline())[0]
        wait_for(address)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.3)
    pytest.fail("the page did not start")


def look(window: WebDriver, address: str, picture: Path, *wanted: str) -> str:
    """All text of a page, and a picture of it, once it shows what is wanted."""
    show(window, "about:blank", width=WIDTH)  # else a change after the # is no new page
    text, deadline = "", time.monotonic() + 60
    show(window, address, width=WIDTH)
    while time.monotonic() < deadline:
        text = window.execute_script("return document.body ? document.body.innerText : ''")
        if all(re.search(each, text) for each in wanted):
            break
        time.sleep(0.3)
    time.sleep(1)  # what is drawn comes after what is said
    photograph(window, picture)
    for each in wanted:
        assert re.search(each, text), (each, text)
    return text


def test_the_page_shows_runs_models_and_searches(page, store, tmp_path):
    client = MlflowClient(store)
    runs: dict[str, Run] = {run.info.run_name: run for run in client.search_runs(["1"])}
    trained, trials = runs["films-u-autorec"], [runs[f"trial-{number}"] for number in (1, 2, 3)]
    (output,) = trained.outputs.model_outputs
    root, mode = f"{page.partition('#')[0]}#", page.partition("?")[2]
    experiment = f"{root}/experiments/1"
    ids = quote(str([trial.info.run_id for trial in trials]).replace("'", '"'))
    with browser() as window:
        look(window, page, tmp_path / "runs.png", "films-u-autorec", "search", "Model training", "Group by")

        text = look(window, f"{page}&compareRunsMode=CHART", tmp_path / "charts.png", r"test\s*\(\d+\)")
        assert "count" not in text
        assert "before_refit" not in text

        text = look(window, f"{experiment}/models/{output.model_id}?{mode}", tmp_path / "model.png",
                    r"Metrics\s*\([1-9]\d*\)", "test/rmse", "u-autorec-films")  # fmt: skip
        assert re.search(r"Datasets used\s+films \(#", text)
        assert "u-autorec on films" in text

        text = look(window, f"{experiment}/runs/{trained.info.run_id}?{mode}", tmp_path / "run.png",
                    "u-autorec on films, seed 0", r"metric\s+validation\s+test")  # fmt: skip
        assert "Training" in text

        look(window, f"{root}/compare-runs?runs={ids}&experiments=[%221%22]&{mode}", tmp_path / "search.png",
             "Parallel Coordinates Plot", "model.l2", "model.activation")  # fmt: skip
        axes = window.execute_script(
            "return [...document.querySelectorAll('.axis-title')].map(each => each.textContent)"
        )
        assert {"model.l2", "model.activation"} < set(axes)
        assert [axis for axis in axes if axis.endswith("/rmse")]
