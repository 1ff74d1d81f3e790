"""What the README says one may type, typed as it stands there, in a folder that is no clone."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Outcome, call, succeed, write_ratings

import recsys_ae as ra

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
# What makes long commands short; it follows the words of the README.
SHORTER = {
    "train": ["--set", "training.epochs=1", "--set", "hidden=[4]"],
    "tune": ["--trials", "2", "--set", "training.epochs=1", "--set", "data.source=my_ratings.csv"],
    "benchmark": ["--set", "models=[{name: biases, model: {kind: biases}}]", "--set", "reference=biases"],
}
NEEDED = {"data describe ml-1m": "ml-1m", "data fetch ml-100k": "ml-100k"}  # what is not in the package


def section(title: str) -> str:
    return README.partition(f"## {title}\n")[2].partition("\n## ")[0]


def blocks(title: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", section(title), flags=re.DOTALL)


LINES = [line.partition(" #")[0].strip() for line in blocks("From the command line", "")[0].splitlines()]


@pytest.fixture(scope="module")
def outside(tmp_path_factory, fresh_database) -> Path:
    """A folder as `recsys-ae init` makes it, with ratings of one's own, a store with a run, and a run that is
    not in it. Of the users are 12 and 40, and the model has a code of each."""
    folder = tmp_path_factory.mktemp("outside")
    assert not any((parent / "pyproject.toml").exists() for parent in folder.parents)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        shutil.copy(fresh_database, "mlflow.db")
        succeed("init")
        lines = write_ratings(Path("letters.csv"), n_users=60).read_text().replace("\nu0", "\n")
        Path("my_ratings.csv").write_text(re.sub(r"\n0+(?=\d)", "\n", lines))
        kind = ["--model", "u-autorec", "--set", "model.bottleneck={kind: gaussian, code: 3}"]
        words = [
            "train",
            "--data",
            "my_ratings.csv",
            *kind,
            "--set",
            "hidden=[4]",
            "--set",
            "training.epochs=2",
        ]
        succeed(*words, "--out", "runs/tracked")
        succeed(*words, "--out", "runs/untracked", "--no-tracking")
    return folder


@pytest.fixture
def here(outside, monkeypatch) -> Path:
    monkeypatch.chdir(outside)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return outside


def typed(line: str) -> Outcome:
    """Run a line of the README, with the names of what there is in place of those that stand for any."""
    there = {"MODEL": "runs/tracked/model", "EXPERIMENT": "my_ratings", "RUN_FOLDER": "runs/untracked"}
    words = [there.get(word, word) for word in shlex.split(line)]
    assert words[0] == "recsys-ae"
    return call(*words[1:], *SHORTER.get(words[1], ()))


def test_the_readme_has_a_line_for_every_command():
    commands = re.findall(r"^  (\w+) ", succeed("--help").out.partition("Commands:\n")[2], flags=re.MULTILINE)
    assert {shlex.split(line)[1] for line in LINES} == set(commands)


@pytest.mark.parametrize("line", [line for line in LINES if not line.endswith(" ui")])
def test_lines_of_the_readme_run_outside_the_clone(here, line, request):
    """Without what stands in brackets, and with it, where that is quick."""
    needed = next((name for words, name in NEEDED.items() if words in line), None)
    if needed and not (request.getfixturevalue("data_folder") / needed).is_dir():
        pytest.skip(f"needs {needed} in RECSYS_AE_DATA")
    before = set(here.rglob("*.*"))
    plain, _, option = line.partition("[")
    if "check lists" in plain:
        assert typed(next(each for each in LINES if each.endswith("--out lists"))).code == 0
    outcome = typed(plain)
    assert outcome.code == 0, outcome.err
    match shlex.split(plain)[1:]:
        case ["recommend", *_, out]:
            assert (here / out / "_manifest.json" if out == "lists" else here / "recs.parquet").is_file()
        case ["train" | "benchmark" | "tune", *_]:
            name = "page.html" if "benchmark" in plain else "model/model.json"
            assert any(path.match(f"runs/*/{name}") for path in set(here.rglob("*.*")) - before)
        case ["compare", *_]:
            assert "test/rmse" in outcome.out
        case ["sample" | "walk", *_]:
            assert re.search(r"^(sample|step) +rank +item +rating", outcome.out)
    if option == "--json]" and "train" not in plain:
        assert typed(f"{plain} --json").document
    elif option == "--seed 1]":
        refused = typed(f"{plain} --seed 1")
        assert (refused.code, "that the model was trained on" in refused.err) == (2, True)


@pytest.mark.slow
def test_the_page_of_runs_is_served(here):
    """The line that Ctrl-C ends, and MLflow's server with it, which takes seconds to begin."""
    line = next(line for line in LINES if line.endswith(" ui"))
    words = [sys.executable, "-m", "recsys_ae", *shlex.split(line)[1:]]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        address = r"http://127\.0\.0\.1:5000/#/experiments/\d+/runs\?workflowType=machine_learning"
        assert re.fullmatch(rf"open {address} in a browser; Ctrl-C ends it\n", server.stdout.readline())
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("number", "shorter"),
    [(0, ["--set", "seeds=[0]", "--no-tracking"]), (1, ["--trials", "3", "--no-tracking"])],
)
def test_files_of_the_readme_are_run_by_the_lines_before_them(here, number, shorter):
    text = blocks("From the command line", "yaml")[number]
    said = section("From the command line").partition(text)[0]
    line = re.findall(r"`(recsys-ae (?:benchmark|tune) \w+\.yaml)`", said)[-1]
    words = shlex.split(line)
    (here / words[2]).write_text(text)
    outcome = call(*words[1:], *shorter)
    assert outcome.code == 0, outcome.err


def test_blocks_of_python_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = blocks("From Python", "python")
    assert len([line for line in first.splitlines() if line and not line.startswith("import")]) <= 10
    names: dict = {}
    exec(compile(first, "README.md", "exec"), names)
    assert names["report"].metrics["rmse"] < names["ratings"].values.std()
    assert list(names["lists"].columns) == ["user", "rank", "item", "score"]
    assert names["lists"].groupby("user").size().tolist() == [10, 10]
    assert "0111161" not in set(names["lists"]["item"])
    assert (len(names["new"]), len(names["stars"]), len(names["alike"])) == (10, 2, 5)
    assert ((names["stars"] >= 0) & (names["stars"] <= 10)).all()
    assert set(names["because"]["item"]) <= set(names["ratings"].items.ids)
    assert repr(ra.load_model("my-model")) == repr(names["model"])
    line = re.search(r"`(recsys-ae recommend my-model [^`]*)`", section("From Python"))
    assert line is not None
    lists = succeed(*shlex.split(line[1])[1:], "--json").document["rows"]
    for user in (1, 2):
        shown = [row["item"] for row in lists if row["user"] == user and row["item"] != "0111161"]
        assert len(shown) >= 9
        assert shown == names["lists"].query("user == @user")["item"].tolist()[: len(shown)]
    names["ratings"] = ra.load(write_ratings(tmp_path / "mine.csv"))  # the second block is of any
    names["split"] = ra.split(names["ratings"])
    names["report"] = ra.evaluate(ra.fit("ease", names["split"]), names["split"])
    exec(compile(second, "README.md", "exec"), names)
    assert names["table"].model.tolist() == ["AutoRec"]
    assert list(names["found"].table.index) == ["i-autorec", "biased-mf", "biases"]
    assert (names["found"].folder / "page.html").is_file()
    said = section("From Python").partition("A search is ")[2]
    search, fitted = re.findall(r"`([^`]*)`", said)[:2]
    exec(compile(f"{search}\nbest_model = {fitted}", "README.md", "exec"), names)
    assert len(names["best"].validation.trials) == 10
    assert names["best_model"].validation == names["best"].validation.score
