"""`recsys-ae init`: the configs travel with the package, however it was installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from commands import call, succeed

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "configs", "recsys_ae")


def files_in(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_configs_are_written_and_said_and_stay_where_they_are_the_same(here):
    told = succeed("init").out
    assert files_in(here / "configs") == files_in(ROOT / "configs")
    assert "next:   recsys-ae train configs/experiments/movietweetings-i-autorec.yaml" in told
    assert "cd " not in told
    (here / "configs/search/movietweetings-biased-mf.yaml").unlink()
    (here / "configs/mine.yaml").write_text("name: mine\n")
    again = succeed("init", "--json").document
    assert again["written"] == ["search/movietweetings-biased-mf.yaml"]
    assert len(again["present"]) == len(files_in(ROOT / "configs")) - 1
    assert files_in(here / "configs") == files_in(ROOT / "configs") | {"mine.yaml": b"name: mine\n"}


def test_another_folder_is_made_and_the_way_there_is_said(here):
    told = succeed("init", "a/my study").out
    assert files_in(here / "a/my study/configs") == files_in(ROOT / "configs")
    assert "next:   cd 'a/my study'\n" in told


@pytest.mark.parametrize("makes", ["text", "folder"])
def test_what_was_edited_stays_and_is_named_and_the_rest_is_written(here, makes):
    name = "benchmarks/ml-100k.yaml"
    theirs = here / "configs" / name
    if makes == "text":
        theirs.parent.mkdir(parents=True)
        theirs.write_text("name: ml-100k\n")
    else:
        theirs.mkdir(parents=True)
    expected = files_in(ROOT / "configs") | files_in(here / "configs")
    if makes == "folder":
        del expected[name]
    told = succeed("init").out
    assert f"edited, and left as they are: {name}\n" in told
    assert files_in(here / "configs") == expected
    again = succeed("init", "--json").document
    assert (again["written"], again["edited"]) == ([], [name])
    assert len(again["present"]) == len(files_in(ROOT / "configs")) - 1


def test_a_file_in_place_of_the_folder_is_refused_in_a_sentence(here):
    (here / "configs").write_text("")
    refused = call("init")
    assert refused.code == 2
    assert len(refused.err.splitlines()) == 1


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A copy of what is built, without what builds have left."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("clone")
    for part in map(ROOT.joinpath, PARTS):
        ignored = shutil.ignore_patterns("__pycache__")
        copy = shutil.copytree if part.is_dir() else shutil.copy
        copy(part, folder / part.name, **({"ignore": ignored} if part.is_dir() else {}))
    return folder


def built(clone: Path, how: str, place: Path) -> Path:
    """A folder like site-packages with what pip unpacks there: `how` is wheel or editable."""
    code = f"from setuptools.build_meta import build_{how} as build; build({str(place)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=clone, check=True, capture_output=True)
    with zipfile.ZipFile(next(place.glob("*.whl"))) as archive:
        archive.extractall(place / "site")
    return place / "site"


@pytest.mark.parametrize("how", ["wheel", "editable"])
def test_wheels_and_editable_installs_have_the_configs(clone, tmp_path, how):
    site = built(clone, how, tmp_path)
    code = (
        f"import sys, site; sys.path[:0] = [{str(site)!r}]; site.addsitedir({str(site)!r});"
        f"sys.path.append({sysconfig.get_path('purelib')!r}); import recsys_ae; print(recsys_ae.__file__);"
        "from recsys_ae.cli import main; sys.exit(main(['init']))"
    )
    away = tmp_path / "away"
    away.mkdir()
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [sys.executable, "-S", "-c", code]  # without the installs of this environment
    done = subprocess.run(words, cwd=away, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    place = clone if how == "editable" else site
    assert done.stdout.splitlines()[0] == str(place / "recsys_ae/__init__.py")
    assert files_in(away / "configs") == files_in(ROOT / "configs")
    assert not (clone / "recsys_ae/configs").exists()  # one copy


def test_version_help_and_module():
    import recsys_ae

    assert succeed("--version").out == f"recsys-ae {recsys_ae.__version__}\n"
    assert succeed("train", "-h").out == succeed("train", "--help").out
    words = [sys.executable, "-m", "recsys_ae", "--version"]
    assert (
        subprocess.run(words, capture_output=True, text=True, check=True).stdout == succeed("--version").out
    )
