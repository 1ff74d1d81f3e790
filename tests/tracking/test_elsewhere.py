"""Models loaded where this package is not installed, by what they have with them."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys_ae.models.codec import is_network
from recsys_ae.models.storage import load_model
from recsys_ae.tracking import package
from recsys_ae.tracking.package import ARCHIVE, requirements
from recsys_ae.tracking.pyfunc import pack, top_lists

# What a stranger's program does. It can import nothing that has the package, as `sys.path` says.
STRANGER = """
import importlib.util, json, sys
outside = json.loads(sys.argv[2])
sys.path[:] = [place for place in sys.path if place not in outside]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder).lower()]
assert importlib.util.find_spec("recsys_ae") is None
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
lists = model.predict(pd.DataFrame({"user": ["05", "02"]}), params={"n": 3})
pairs = model.predict(pd.DataFrame({"user": ["06", "00"], "item": ["film 3", "film 11"]}))
import recsys_ae
known = {"lists": lists.to_dict("list"), "pairs": pairs.to_dict("list"), "code": recsys_ae.__file__,
         "torch": "torch" in sys.modules}
print(json.dumps(known, default=float))
"""


@pytest.fixture
def packed(model_folder, tmp_path) -> Path:
    """An MLflow model of `folder`."""
    pack(model_folder(tmp_path / "folder"), tmp_path / "packed")
    return tmp_path / "packed"


def loaded_elsewhere(python: Path, packed: Path, tmp_path: Path) -> dict:
    """What a program without the package gets from a model."""
    places = [place for place in sys.path if (Path(place) / "recsys_ae").is_dir()]
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    words = [str(python), "-c", STRANGER, str(packed), json.dumps(places)]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def check_answers(found: dict, packed: Path) -> None:
    """They are those of the folder, and of the code that the model has with it."""
    stored = load_model(packed.parent / "folder")
    expected = top_lists(stored, pd.Series(["05", "02"]), n=3, exclude_seen=True)
    assert pd.DataFrame(found["lists"])["item"].tolist() == expected["item"].tolist()
    np.testing.assert_allclose(found["lists"]["score"], expected["score"], rtol=1e-6)
    assert len(found["pairs"]["score"]) == 2
    assert found["code"] == str(packed / "code" / ARCHIVE / "recsys_ae" / "__init__.py")
    assert not found["torch"]


def test_a_model_loads_without_this_package(packed, tmp_path):
    check_answers(loaded_elsewhere(Path(sys.executable), packed, tmp_path), packed)


@pytest.mark.slow
def test_a_model_loads_in_an_environment_of_its_own_requirements(packed, tmp_path):
    """Packages come from where pip looks, which PIP_NO_INDEX and PIP_FIND_LINKS make a folder of wheels."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "-r", packed / "requirements.txt"]
    subprocess.run([str(word) for word in install], check=True, cwd=tmp_path)
    check_answers(loaded_elsewhere(python, packed, tmp_path), packed)
    assert len(served(python, packed, tmp_path, {"columns": ["user"], "data": [["05"]]}, n=2)) == 2


def served(python: Path, packed: Path, folder: Path, table: dict, **params: int) -> list:
    """What `mlflow models serve` answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    bin_first = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    words = [
        python,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        packed,
        "--env-manager",
        "local",
        "--port",
        port,
    ]
    with (folder / "serve.log").open("w") as log:
        server = subprocess.Popen([str(word) for word in words], cwd=folder, stdout=log, stderr=log,
                                  env=environment | {"PATH": bin_first}, start_new_session=True)  # fmt: skip
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps({"dataframe_split": table, "params": params}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and server.poll() is None:
            with suppress(ConnectionError, urllib.error.URLError):
                return json.load(urllib.request.urlopen(request, timeout=60))["predictions"]
            time.sleep(0.5)
        raise AssertionError((folder / "serve.log").read_text()[-2000:])
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def test_only_networks_need_torch(packed):
    assert "torch" not in (packed / "requirements.txt").read_text()
    kinds = ("bias", "factor", "linear", "network", "likes-network", "rbm")
    assert [kind for kind in kinds if is_network(kind)] == ["network", "likes-network", "rbm"]


def test_what_is_required_is_what_an_index_has(monkeypatch):
    assert all("+" not in line and "dev" not in line for line in requirements(torch=True))
    assert not [line for line in requirements(torch=False) if line.startswith("torch")]
    assert "torch" in {line.partition("==")[0] for line in requirements(torch=True)}
    _check_pin(monkeypatch, "2.13.0+cpu", None, "==2.13.0")
    _check_pin(monkeypatch, "2.14.0.dev20260101+cu130", None, "")
    _check_pin(monkeypatch, "2.4.6", '{"url": "file:///srv/numpy"}', "")


def _check_pin(monkeypatch, version: str, origin: str | None, pin: str) -> None:
    class Installed:
        def __init__(self, name: str) -> None:
            self.version = version

        def read_text(self, name: str) -> str | None:
            return origin

    with monkeypatch.context() as patch:
        patch.setattr(package.metadata, "distribution", Installed)
        assert package._pin("torch") == pin


def test_all_that_loading_imports_is_required(tmp_path):
    """Read from the code: every package that a module imports which loading and scoring lead to."""
    root = Path(package.__file__).parents[2]
    todo = ["recsys_ae.tracking.pyfunc", "recsys_ae.models.network", "recsys_ae.models.rbm"]
    seen, third = set(), set()
    while todo:
        name = todo.pop()
        stem = root / name.replace(".", "/")
        files = (stem.with_suffix(".py"), stem / "__init__.py")
        path = next((file for file in files if file.exists()), None)
        if path is None or name in seen:
            continue
        seen.add(name)
        for imported in _imports(ast.parse(path.read_text())):
            (todo.append if imported.startswith("recsys_ae") else third.add)(imported)
    known = {"yaml": "pyyaml", "pydantic_core": "pydantic"}
    tops = {name.partition(".")[0] for name in third} - sys.stdlib_module_names
    required = {line.partition("==")[0] for line in requirements(torch=True)}
    assert {known.get(name, name) for name in tops} <= required


def _imports(node: ast.AST):
    """Modules that are imported when a module is, and names in them, which may be modules too."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.FunctionDef():
                continue
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (module, *(f"{module}.{name.name}" for name in names))
            case _:
                yield from _imports(child)


def test_the_same_code_makes_the_same_file_and_nothing_but_code(tmp_path):
    (tmp_path / "again").mkdir()
    first, second = package.write_code(tmp_path), package.write_code(tmp_path / "again")
    assert first.read_bytes() == second.read_bytes()
    names = zipfile.ZipFile(first).namelist()
    assert "recsys_ae/tracking/pyfunc.py" in names
    assert all(name.startswith("recsys_ae/") and name.endswith(".py") for name in names)


def test_pairs_have_one_number_for_each_row_as_spark_wants_it(packed):
    """With result_type="float" it takes the first column of that type, and as many rows as it gave."""
    import mlflow

    model = mlflow.pyfunc.load_model(str(packed))
    pairs = pd.DataFrame({"user": ["06", "00", "06"], "item": ["film 3", "film 11", "film 0"]})
    answer = model.predict(pairs).select_dtypes(np.float32)
    assert answer.shape == (3, 1)
    assert model.metadata.get_input_schema().input_names() == list(pairs)
