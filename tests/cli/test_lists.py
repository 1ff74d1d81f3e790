"""recsys-ae recommend to a folder of shards, recsys-ae check: what is said, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import call, rating_lines, succeed, write_ratings

N_USERS = 40


@pytest.fixture
def model(trained) -> str:
    return trained["model"]


def contents(folder: str | Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_a_folder_holds_what_a_file_holds(model, here):
    said = succeed("recommend", model, "-n", 3, "--out", "lists", "--shard-users", 15, "--threads", 2)
    assert said.out == "lists: 120 rows, the top 3 of 40 users, in 3 parts\n"
    succeed("recommend", model, "-n", 3, "--out", "lists.parquet")
    found, expected = pd.read_parquet("lists"), pd.read_parquet("lists.parquet")
    assert (found[["user", "rank", "item"]] == expected[["user", "rank", "item"]]).all(axis=None)
    assert found.score.to_numpy() == pytest.approx(expected.score.to_numpy(), rel=1e-5)
    assert succeed("check", "lists").out == "lists: 120 rows, the top 3 of 40 users, in 3 parts: whole\n"
    again = succeed("recommend", model, "-n", 3, "--out", "lists", "--shard-users", 15)
    assert (
        again.out
        == "lists: 120 rows, the top 3 of 40 users, in 3 parts: nothing to do, they were there, whole\n"
    )


def test_json_says_the_same(model, here):
    answer = succeed("recommend", model, "-n", 25, "--out", "lists", "--json").document
    assert (answer["out"], answer["n"], answer["parts"], answer["parts_made"]) == ("lists", 25, 1, 1)
    assert (answer["users"], answer["short_lists"], answer["empty_lists"]) == (N_USERS, N_USERS, 0)
    assert answer["model"]["asked"] == answer["model"]["uri"] == model
    assert answer["model"]["kind"] == "u-autorec"
    checked = succeed("check", "lists", "--json").document
    assert checked == {name: answer[name] for name in answer if name != "parts_made"}
    text = succeed("recommend", model, "-n", 25, "--out", "other").out.splitlines()
    assert text[1:] == ["40 lists have fewer than 25 items"]


def test_parts_that_are_there_are_kept_and_damage_is_mended(model, here):
    words = ("recommend", model, "-n", 3, "--out", "lists", "--shard-users", 15)
    succeed(*words)
    whole = contents("lists")
    part = Path("lists/part-00001.parquet")
    part.write_bytes(whole[part.name][:100])
    refused = call("check", "lists")
    assert refused.code == 2
    assert (
        "part-00001.parquet: damaged, as its checksum does not hold; make the lists again into the same"
        in refused.err
    )
    mended = succeed(*words)
    assert "part-00001.parquet: damaged, as its checksum does not hold; it is made again" in mended.err
    assert mended.out == "lists: 120 rows, the top 3 of 40 users, in 3 parts; 2 of 3 parts were there\n"
    assert contents("lists") == whole


def test_other_settings_are_refused(model, here):
    succeed("recommend", model, "-n", 3, "--out", "lists")
    before = contents("lists")
    refused = call("recommend", model, "-n", 4, "--include-seen", "--out", "lists")
    assert refused.code == 2
    assert refused.err == (
        "error: lists: holds other lists: n is 3 there and 4 here; exclude_seen is True there and False "
        "here; choose another folder, or remove this one\n"
    )
    assert contents("lists") == before


def test_users_of_a_file_without_ratings_get_the_popular_items(model, ratings, here):
    Path("some.txt").write_text("u003\nnobody\nu007\nno one\n")
    words = ("recommend", model, "-n", 3, "--users", "some.txt", "--json", "--out")
    outcome = succeed(*words, "lists")
    assert (outcome.document["users"], outcome.document["fallback_users"]) == (4, 2)
    assert (
        "2 of 4 users have no ratings that the model knows, such as 'nobody'; they get the most"
        in outcome.err
    )
    lists = pd.read_parquet("lists")
    assert list(dict.fromkeys(lists.user)) == ["u003", "nobody", "u007", "no one"]
    counts = pd.read_csv(ratings).item.value_counts()
    popular = lists[lists.user == "nobody"]
    assert len(popular) == 3
    assert (popular.score <= counts[popular.item].to_numpy()).all()  # of the training part
    none = succeed(*words, "none", "--fallback", "none").document
    assert (none["users"], none["left_out_users"]) == (2, 2)
    assert set(pd.read_parquet("none").user) == {"u003", "u007"}


def test_users_named_by_hand_must_be_there(model, here):
    refused = call("recommend", model, "--users", "u003,nobody", "--out", "lists")
    assert (refused.code, list(here.iterdir())) == (2, [])
    assert "1 of 2 users are unknown: 'nobody'" in refused.err


def test_newer_ratings_bring_new_users_and_their_counts_are_told(model, here):
    new = ["new,100,5", "new,101,1", "new,999,3", "odd,998,2"]
    Path("newer.csv").write_text("\n".join([*rating_lines(), *new]) + "\n")
    outcome = succeed("recommend", model, "-n", 3, "--data", "newer.csv", "--out", "lists", "--json")
    found = outcome.document
    assert (found["users"], found["unknown_items"], found["dropped_ratings"], found["fallback_users"]) == (
        42,
        2,
        2,
        1,
    )
    lists = pd.read_parquet("lists")
    assert set(lists[lists.user == "new"].item) & {100, 101} == set()
    assert len(lists[lists.user == "odd"]) == 3
    refused = call("recommend", model, "-n", 3, "--out", "lists")
    assert "the number of users is 42 there and 40 here" in refused.err


def test_numbers_as_ids_stay_numbers(here):
    lines = [line.replace("u0", "").replace("user", "user") for line in rating_lines()]
    lines = [lines[0], *(f"{int(line.split(',')[0])},{line.split(',', 1)[1]}" for line in lines[1:])]
    Path("numbers.csv").write_text("\n".join(lines) + "\n")
    succeed("train", "--data", "numbers.csv", "--model", "popularity", "--no-tracking", "--out", "run")
    Path("ids.txt").write_text("7\n4711\n")
    succeed("recommend", "run/model", "-n", 2, "--users", "ids.txt", "--out", "lists")
    lists = pd.read_parquet("lists")
    assert lists.user.dtype == np.int64
    assert lists.user.tolist() == [7, 7, 4711, 4711]
    Path("ids.txt").write_text("user_id\n7\n")
    refused = call("recommend", "run/model", "--users", "ids.txt", "--out", "other")
    assert refused.code == 2
    assert (
        "--users ids.txt: 'user_id' cannot be a user, as the ids of users with ratings are whole"
        in refused.err
    )
    assert not Path("other").exists()


def test_options_say_where_they_belong(model, here):
    for words, sentence in (
        (("--out", "lists", "--batch-size", 10), "--batch-size is not for a folder"),
        (("--out", "top.csv", "--fallback", "none"), "--fallback is for lists in a folder; name one"),
        (("--users", "u003", "--shard-users", 5), "--shard-users is for lists in a folder"),
        (("--out", "top.parquet", "--limit-memory", "1GB"), "--limit-memory is for lists in a folder"),
        (("--out", "lists", "--limit-memory", "some"), "--limit-memory 'some': is no size"),
        (("--out", "lists", "--limit-memory", "9MB"), "of memory are too little: the model, its histories"),
        (("--out", "lists.json"), "lists are written as .parquet or .csv, or to a folder, not as '.json'"),
        (("--out", "lists", "--fallback", "some"), "--fallback"),
    ):
        refused = call("recommend", model, *words)
        assert refused.code == 2
        assert sentence in refused.err
    assert list(here.iterdir()) == []


def test_a_limit_on_memory_changes_no_list(model, here):
    succeed("recommend", model, "-n", 3, "--out", "lists")
    succeed("recommend", model, "-n", 3, "--out", "limited", "--limit-memory", "100GB")
    assert contents("lists") == contents("limited")


def test_the_version_behind_an_alias_is_written_down(ratings, store):
    for folder in ("other", "run"):
        succeed("train", "--data", ratings, "--model", "popularity", "--out", folder)
        succeed("publish", folder, "--name", "books", "--alias", "champion")
    succeed("recommend", "models:/books@champion", "-n", 2, "--out", "lists")
    said = json.loads(Path("lists/_manifest.json").read_text())["model"]
    assert (said["asked"], said["uri"]) == ("models:/books@champion", "models:/books/2")
    assert succeed("recommend", "run/model", "-n", 2, "--out", "lists").out.endswith(
        "they were there, whole\n"
    )


@pytest.mark.slow
def test_killed_at_twenty_moments_it_ends_with_the_same_bytes(here):
    """SIGKILL for a process of its own, with several threads; `torture/test_kills.py` kills forks."""
    write_ratings(here / "many.csv", n_users=400, n_items=60)
    succeed("train", "--data", "many.csv", "--model", "biased-mf", "--no-tracking", "--out", "run")
    code = "import sys; from recsys_ae.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["recommend", "run/model", "-n", "3", "--shard-users", "2", "--threads", "2", "--out"]
    succeed(*words, "whole")
    draws, moments = np.random.default_rng(3), []
    while len(moments) < 20:
        folder = Path(f"lists-{len(moments)}")
        job = subprocess.Popen([sys.executable, "-c", code, *words, folder], stderr=subprocess.DEVNULL)
        while not folder.exists():  # until there is something to lose
            time.sleep(0.001)
        time.sleep(draws.uniform(0, 2))
        job.kill()
        if job.wait() == 0 or (folder / "_manifest.json").exists():
            shutil.rmtree(folder)  # it was too fast
            continue
        moments.append(len(list(folder.glob("part-*"))))
        succeed(*words, folder)
    assert len(set(moments)) > 5
    for number in range(20):
        assert contents(f"lists-{number}") == contents("whole")
