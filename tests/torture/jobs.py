"""What is tortured: small jobs, the state that each starts from, and what must hold after each fault."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from commands import write_ratings
from torture.faults import Commands, Ending

from recsys_ae.files import recover
from recsys_ae.models.storage import load_model
from recsys_ae.results.folder import read_run
from recsys_ae.results.result import read_document
from recsys_ae.serving.manifest import MANIFEST, check_lists

_RUN = ("--data", "ratings.csv", "--model", "biased-mf", "--set", "factors=2", "--set", "iterations=3",
        "--no-tracking", "--quiet", "--out")  # fmt: skip
TRAIN = ("train", *_RUN, "out")
AGAIN = ("train", *_RUN, "again")
RESUME = (*TRAIN, "--resume")
RECOMMEND = ("recommend", "out/model", "--out", "lists.parquet")
LISTS = ("recommend", "out/model", "-n", "3", "--out", "lists", "--shard-users", "4", "--threads", "2")
BENCHMARK = ("benchmark", "two.yaml", "--no-tracking", "--quiet", "--out", "out")
TUNE = ("tune", "search.yaml", "--no-tracking", "--quiet", "--out", "out")
UPLOAD = ("upload", "out", "--tracking-uri", "sqlite:///mlflow.db")


def _lists(folder: Path) -> bytes:
    return (folder / "lists.parquet").read_bytes()


def _shards(folder: Path) -> dict[str, bytes] | None:
    """What readers of the folder see; None where it is not whole."""
    place = folder / "lists"
    if not (place / MANIFEST).exists():
        return None
    check_lists(place)
    return {path.name: path.read_bytes() for path in place.iterdir() if not path.name.startswith(".")}


def write_benchmark(folder: Path) -> None:
    (folder / "two.yaml").write_text(
        "name: two\ndata: {source: ratings.csv}\nreference: biases\nseeds: [0]\nmodels:\n"
        "- {name: biases, model: {kind: biases}}\n"
        "- {name: biased-mf, model: {kind: biased-mf, factors: 2, iterations: 3}}\n"
    )


def write_search(folder: Path) -> None:
    (folder / "search.yaml").write_text(
        "name: search\ndata: {source: ratings.csv}\ntrials: 3\n"
        "model: {kind: biased-mf, factors: 2, iterations: 3}\nspace: {l2: {low: 1, high: 100, log: true}}\n"
    )


def essence(folder: Path) -> Any:
    """All of a run but what the clock and the tracker say. Raises RecsysError where it is not whole."""
    config, result = read_run(folder)
    load_model(folder / "model")
    files = read_document(folder)["files"]
    curve = pd.read_csv(folder / "epochs.csv").drop(columns="seconds").to_csv()
    kept = {name: files[name] for name in files if name.endswith((".safetensors", ".parquet"))}
    return (
        config,
        result.report.summary,
        result.fit,
        result.validation and result.validation.score,
        curve,
        kept,
    )


@dataclass(frozen=True, slots=True)
class Job:
    """A command, the folder that it begins in, and what its results are.

    `found`: the results, in any comparable form, None where there are none; it raises where they are there in
    part. `before`: whether the results that were there first may be found after a fault.
    """

    words: Sequence[str]
    prepare: Callable[[Commands, Path], object]
    found: Callable[[Path], Any]
    before: bool = False


def _run_at(name: str) -> Callable[[Path], Any]:
    def found(folder: Path) -> Any:
        place = folder / name
        recover(place)
        if not place.exists() or not any(place.iterdir()):
            return None
        return essence(place)

    return found


def _ratings(commands: Commands, folder: Path) -> None:
    write_ratings(folder / "ratings.csv", n_users=20, n_items=12)


def _to_compare(commands: Commands, folder: Path) -> None:
    _ratings(commands, folder)
    write_benchmark(folder)


def _to_search(commands: Commands, folder: Path) -> None:
    _ratings(commands, folder)
    write_search(folder)


def _interrupted(commands: Commands, folder: Path) -> None:
    _ratings(commands, folder)
    assert commands.run(folder, TRAIN, stop_at=2).code == 0
    assert read_run(folder / "out")[1].fit.resumable


def _trained(commands: Commands, folder: Path) -> None:
    _ratings(commands, folder)
    assert commands.run(folder, TRAIN).code == 0


def _with_lists(commands: Commands, folder: Path) -> None:
    _trained(commands, folder)
    (folder / "lists.parquet").write_text("yesterday's")


def _with_store(commands: Commands, folder: Path) -> None:
    """A store that has seen another run before, so that it is not made anew in every case."""
    _trained(commands, folder)
    assert commands.run(folder, ("train", *_RUN, "other")).code == 0
    assert commands.run(folder, ("upload", "other", *UPLOAD[2:])).code == 0
    shutil.rmtree(folder / "other")


def _compared(folder: Path) -> Any:
    """What a benchmark found of all its models; None where it did not end, or says that one failed. Each run
    folder that is there is whole."""
    place = folder / "out"
    for run in place.glob("*/seed-0"):
        read_run(run)
        load_model(run / "model")
    if not (place / "result.json").exists():
        return None
    models = read_document(place)["models"]
    return None if any(model["error"] for model in models) else [model["metrics"] for model in models]


def _searched(folder: Path) -> Any:
    """What a search found; None where it did not end, and goes on with its trials, or anew."""
    recover(folder / "out")
    if not (folder / "out" / "result.json").exists():
        return None
    trials = json.loads((folder / "out" / "trials.json").read_text())["trials"]
    return essence(folder / "out"), [(trial["settings"], trial["score"]) for trial in trials]


def _uploaded(folder: Path) -> Any:
    return essence(folder / "out")[1:]


JOBS = {
    "train": Job(TRAIN, _ratings, _run_at("out")),
    "resume": Job(RESUME, _interrupted, _run_at("out"), before=True),
    "recommend": Job(RECOMMEND, _with_lists, _lists, before=True),
    "lists": Job(LISTS, _trained, _shards),
    "benchmark": Job(BENCHMARK, _to_compare, _compared),
    "tune": Job(TUNE, _to_search, _searched),
    "upload": Job(UPLOAD, _with_store, _uploaded, before=True),
}


@dataclass(slots=True)
class Tortured:
    """A job whose every call may be made to fail. `counts`: how many of its disturbed runs ended in which
    way."""

    job: Job
    commands: Commands
    folder: Path
    counts: dict[str, int]
    n_calls: int = 0
    first: Any = None
    whole: Any = None

    @classmethod
    def of(cls, name: str, commands: Commands, folder: Path) -> Tortured:
        """With the undisturbed run, to which all others are compared."""
        job = JOBS[name]
        template = folder / "template"
        template.mkdir()
        job.prepare(commands, template)
        found = cls(job, commands, folder, {})
        found.first = job.found(template) if job.before else None
        calm = found.copy("calm")
        ending = commands.run(calm, job.words)
        assert ending.code == 0, ending.err
        found.n_calls, found.whole = ending.calls, job.found(calm)
        assert found.whole is not None
        return found

    def disturb(self, mode: str, at: int) -> None:
        """One case: the call number `at` goes wrong, and then the next start must succeed."""
        where = self.copy("case")
        temporary = self.folder / "temporary"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        ending = self.commands.run(where, self.job.words, mode=mode, at=at, temporary=temporary)
        self._check_ending(ending, mode)
        found = self.job.found(where)
        assert found == self.whole or found == self.first, f"results in part: {sorted(where.rglob('*'))}"
        if ending.code == 0:
            assert found == self.whole, ending.err
        self._check_rescue(ending, temporary)
        self.check_next_start(where)
        kind = "killed" if ending.code < 0 else f"exit {ending.code}"
        state = "whole" if found == self.whole else "as before"
        self.counts[f"{kind}, results {state}"] = self.counts.get(f"{kind}, results {state}", 0) + 1

    def _check_ending(self, ending: Ending, mode: str) -> None:
        allowed = {"killed": (-9, 0)}.get(mode, (0, 1, 2))
        assert ending.code in allowed, (ending.code, ending.err)
        assert "Traceback" not in ending.err, ending.err
        if ending.code == 2:
            errors = [line for line in ending.err.splitlines() if line.startswith("error: ")]
            assert errors == ending.err.splitlines()[-1:], ending.err

    def _check_rescue(self, ending: Ending, temporary: Path) -> None:
        """What went to the folder for temporary files is whole, and is spoken of."""
        for place in temporary.glob("recsys-ae-*/*"):
            assert str(place) in ending.err, (place, ending.err)
            if self.job.words in (TRAIN, RESUME):
                assert essence(place) == self.whole

    def check_next_start(self, where: Path) -> None:
        """It succeeds, or finds the results there already, and nothing is left of what went wrong before."""
        again = self.commands.run(where, self.job.words)
        if again.code == 0 or "is tracked already" in again.err:
            assert self.job.found(where) == self.whole
        else:
            assert again.code == 2, again.err
            assert "exists already" in again.err, again.err
            elsewhere = AGAIN if self.job.words[0] == "train" else (*self.job.words[:-1], "again")
            assert self.commands.run(where, elsewhere).code == 0
        left = {path.name for path in where.iterdir()} - {"again"}
        expected = {path.name for path in (self.folder / "calm").iterdir()}
        assert left == expected, f"left behind: {left - expected}"
        hidden = [path.relative_to(where) for path in where.rglob(".*") if path.name not in (".checkpoints",)]
        assert not hidden, f"left behind: {hidden}"

    def copy(self, name: str) -> Path:
        """A fresh folder that the job can begin in."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        shutil.copytree(self.folder / "template", self.folder / name)
        return self.folder / name
