"""Values and sentences as a terminal may see them."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path

import pytest
from commands import call, rating_lines
from hypothesis import given
from hypothesis import strategies as st

from recsys_ae.errors import LONGEST_SENTENCE, QUOTED, brief, counted, cut, out_of_memory, printable, reason


@given(st.text(max_size=200))
def test_short_values_are_shown_whole_and_long_ones_cut(text):
    shown = brief(text)
    if len(text) <= QUOTED:
        assert shown == repr(text)
    else:
        assert shown == repr(text[: QUOTED - 1] + "…")


def test_values_that_grow_are_never_written_out():
    bomb: list = ["x"] * 10
    for _ in range(12):
        bomb = [bomb] * 10
    assert len(brief(bomb)) <= QUOTED
    assert brief([1, "a"]) == "[1, 'a']"
    assert len(brief({"k" * 500: "v" * 500})) <= QUOTED


@given(st.text(max_size=60))
def test_sentences_hold_nothing_that_a_terminal_obeys(text):
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode().decode() == shown
    if all(word.isprintable() for word in text.split()):
        assert shown == " ".join(text.split())


def test_sentences_have_a_length():
    assert printable("x" * 5_000) == "x" * (QUOTED - 1) + "…"
    assert len(printable("word " * 5_000)) == LONGEST_SENTENCE
    assert cut("abc", 2) == "a…"


def test_a_reason_is_the_first_line_of_what_was_said_in_short():
    assert reason(ValueError(" no such thing:\n  at line 3\n")) == "no such thing"
    assert len(reason(ValueError("x" * 5_000))) == 120
    assert reason(FileNotFoundError(2, "No such file or directory", "/srv/x")) == "No such file or directory"
    assert reason(ValueError()) == "ValueError"


def test_memory_that_ran_out_is_told_in_short():
    said = out_of_memory(RuntimeError("CUDA out of memory. " + "Tried to allocate. " * 100 + "\nstack"))
    assert len(said) < 400
    assert "stack" not in said
    assert out_of_memory(RuntimeError("no such file")) is None


NOBODY = "there is no user of that name; write the whole path"
HOMELESS = "no user whose home folder a '~' could mean"
WORDS: list[tuple[str, str]] = [
    ("data describe ~nosuchuser/x.csv", NOBODY),
    ("data describe good.csv --set source=~nosuchuser/x", NOBODY),
    ("train --model biases --data good.csv --set split.kind=predefined --set split.train=~nosuchuser/a "
     "--set split.test=b", NOBODY),
    ("recommend ~nosuchuser/model --users 1", HOMELESS),
    ("train --data good.csv --model biases --no-tracking --out ~nosuchuser/run", HOMELESS),
    ("benchmark two.yaml --no-tracking --out ~nosuchuser/run", HOMELESS),
    ("recommend model --out ~nosuchuser/lists.csv", HOMELESS),
    ("data fetch ml-100k --folder ~nosuchuser/data", HOMELESS),
    ("data describe " + "x" * 300, "is no name of a file (File name too long)"),
    ("recommend " + "x" * 300 + " --users 1", "File name too long"),
    ("train --data good.csv --model biases --no-tracking --out " + "x" * 300, "File name too long"),
    ("train " + "x" * 300 + ".yaml", "File name too long"),
    ("upload " + "x" * 300, "File name too long"),
    ("data describe \udcff.csv", "'\\udcff.csv' is no text in UTF-8"),
    ("data describe \x1b[31mred.csv", "\\x1b[31mred.csv: no file matches"),
    ("train --data good.csv --model \x1b]0;x\x07", "'model.kind' is '\\x1b]0;x\\x07'"),
    ("train pipe.yaml", "pipe.yaml: is no regular file; give a YAML file"),
    ("data describe good.csv --set columns.user=12", "must be a text, and is 12; write it in quotes"),
    ("data describe good.csv --set columns.user=''", "no column that is usually called user"),
    ("data describe empty-names.csv", "for the user; its columns are ''"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"), WORDS, ids=[words[:40].encode("unicode_escape").decode() for words, _ in WORDS]
)
def test_names_that_no_file_can_have_are_refused_in_a_short_sentence(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text("user,item,rating\n1,2,3\n")
    (tmp_path / "empty-names.csv").write_text(",,\n1,2,3\n")
    os.mkfifo(tmp_path / "pipe.yaml")
    outcome = call(*words.split(" "))
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
    assert outcome.err.endswith("\n")
    assert outcome.err.rstrip("\n").isprintable()
    assert len(outcome.err) < 500


STORE = ("--tracking-uri", "sqlite:///mlflow.db")
LONG = "z" * 900


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((LONG,), f"has no experiment '{'z' * 79}…'; it has: "),
        (("mine", "--metric", LONG), f"no run of experiment 'mine' has the metric '{'z' * 79}…'; choose one"),
        (
            ("mine", "--reference", LONG),
            f"--reference '{'z' * 79}…': no such run in experiment 'mine'; it ha",
        ),
    ],
)
def test_values_that_compare_quotes_are_short(words, said, fresh_database, tmp_path, monkeypatch):
    import mlflow

    monkeypatch.chdir(tmp_path)
    shutil.copy(fresh_database, "mlflow.db")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    client.create_experiment("y" * 200)
    run = client.create_run(client.create_experiment("mine"), run_name="x" * 200).info.run_id
    client.log_metric(run, "test/rmse", 0.5)
    outcome = call("compare", *words, *STORE)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
    assert max(len(word) for word in outcome.err.split() if not word.startswith("sqlite:")) <= 90


def test_names_in_what_was_read_do_not_reach_the_terminal_either(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("user,item,rating,\x1b[31mred\n1,2,3,4\n")
    outcome = call("data", "describe", "a.csv")
    assert outcome.code == 0
    assert "ignored: '\\x1b[31mred'\n" in outcome.err
    assert logging.getLogger().handlers


def test_ids_do_not_reach_the_terminal_either(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = "".join(f"{user},\x1b]0;{item}\x07,{user % 2 + 3}\n" for user in range(20) for item in range(5))
    (tmp_path / "good.csv").write_text("user,item,rating\n" + lines)
    options = ["--no-tracking", "--out", "run", "--set", "split.kind=all", "--set", "validation=null"]
    assert call("train", "--data", "good.csv", "--model", "biases", *options).code == 0
    found = call("recommend", "run/model", "--users", "7", "--include-seen")
    assert found.code == 0
    assert "\\x1b]0;3\\x07" in found.out
    assert found.out.replace("\n", "").isprintable()


EVIL = "\x1b]0;pwn\x07\x1b[2J\u202e"


@pytest.fixture
def attacked(fresh_database, tmp_path, monkeypatch):
    """A working folder in which all names would be obeyed by a terminal: of ratings, a run and its folder, an
    experiment and others' runs in it."""
    import mlflow

    monkeypatch.chdir(tmp_path)
    shutil.copy(fresh_database, "mlflow.db")
    Path(f"{EVIL}.csv").write_text("\n".join(rating_lines()))
    words = ("--data", f"{EVIL}.csv", "--model", "biases", "--experiment", EVIL, *STORE)
    outcome = call("train", *words, "--out", f"run{EVIL}")
    assert outcome.code == 0, outcome.err
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name(EVIL).experiment_id
    for metrics in ({}, {"test/rmse": 0.01}, {"test/rmse": 9.0}):
        run = client.create_run(experiment, run_name=f"other{EVIL}\nrun").info.run_id
        for name, value in metrics.items():
            client.log_metric(run, name, value)
        client.set_terminated(run)
    return outcome


MODEL = f"run{EVIL}/model"
SHOWN = {
    "compare": ("compare", EVIL, *STORE),
    "compare with one": ("compare", EVIL, *STORE, "--reference", f"other{EVIL}\nrun"),
    "compare in JSON": ("compare", EVIL, *STORE, "--json"),
    "recommend": ("recommend", MODEL, "--out", f"lists{EVIL}.csv"),
    "recommend to a folder": ("recommend", MODEL, "--out", f"lists{EVIL}"),
    "show lists": ("recommend", MODEL, "--users", "u001"),
    "evaluate": ("evaluate", MODEL),
    "describe": ("data", "describe", f"{EVIL}.csv"),
    "train": ("train", "--data", f"{EVIL}.csv", "--model", "mean", "--no-tracking", "--out", f"two{EVIL}"),
    "upload": ("upload", f"run{EVIL}", "--tracking-uri", "sqlite:///other.db"),
    "benchmark": ("benchmark", f"{EVIL}.yaml", "--no-tracking", "--out", f"three{EVIL}"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_no_command_says_what_a_terminal_obeys(name, attacked, fresh_database):
    shutil.copy(fresh_database, "other.db")
    Path(f"{EVIL}.yaml").write_text(
        f"name: two\ndata: {{source: {json.dumps(EVIL + '.csv')}}}\nreference: biases\nseeds: [0]\nmodels:\n"
        "- {name: biases, model: {kind: biases}}\n- {name: mean, model: {kind: mean}}\n"
    )
    outcome = call(*SHOWN[name])
    assert outcome.code == 0, outcome.err
    for said in (attacked.out, attacked.err, outcome.out, outcome.err):
        assert said.replace("\n", "").isprintable()
    assert "\nrun" not in outcome.out
    if name not in ("evaluate", "show lists"):
        assert "\\u202e" in outcome.out


def test_a_user_list_longer_than_any_name_is_a_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = "".join(f"{user},{item},3\n" for user in range(300) for item in range(user % 5, 5))
    (tmp_path / "good.csv").write_text("user,item,rating\n" + lines)
    assert call("train", "--data", "good.csv", "--model", "biases", "--no-tracking", "--out", "run").code == 0
    users = ",".join(map(str, range(300)))
    found = call("recommend", "run/model", "--users", users, "-n", str(10**23), "--json")
    assert found.code == 0
    assert found.document["users"] == 300


@pytest.mark.parametrize(
    "address", ["https://me:hush@host/x?key=hush", "s3://me:hush@host/*.csv", "a://h/x#hush"]
)
@pytest.mark.parametrize(
    "words",
    [
        ["data", "describe", "{}"],
        ["data", "describe", "{}", "--set", "nonsense=1"],
        ["data", "describe", "good.csv", "--set", "source={}"],
        ["train", "{}"],
        ["train", "--data", "{}", "--model", "biases", "--no-tracking"],
        ["train", "--data", "good.csv", "--model", "biases", "--no-tracking", "--set", "data.source={}"],
    ],
    ids=" ".join,
)
def test_sentences_on_addresses_say_no_password(words, address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = call(*(word.format(address) for word in words))
    assert outcome.code == 2
    assert "hush" not in outcome.err + outcome.out


def test_one_of_a_kind_is_said_as_one():
    assert [counted(n, "row") for n in (0, 1, 2, 2000)] == ["0 rows", "1 row", "2 rows", "2,000 rows"]
