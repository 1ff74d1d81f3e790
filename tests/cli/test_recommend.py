"""recsys-ae recommend: whose lists, from which ratings, in which file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from commands import rating_lines, succeed

N_USERS = 40


@pytest.fixture
def model(trained) -> str:
    return trained["model"]


def seen(ratings: Path) -> set[tuple[str, int]]:
    table = pd.read_csv(ratings)
    return set(zip(table.user, table.item, strict=True))


def test_lists_of_all_users_leave_out_what_they_rated_in_training(model, here):
    answer = succeed("recommend", model, "-n", "5", "--out", "top.parquet", "--json").document
    lists = pd.read_parquet("top.parquet")
    assert list(lists.columns) == ["user", "rank", "item", "score"]
    assert (len(lists), lists.user.nunique()) == (answer["rows"], answer["users"]) == (5 * N_USERS, N_USERS)
    assert (lists.groupby("user")["rank"].apply(list).map(lambda ranks: ranks == [1, 2, 3, 4, 5])).all()
    assert lists.groupby("user").score.apply(lambda scores: scores.is_monotonic_decreasing).all()

    from recsys_ae.models.storage import load_model

    stored = load_model(Path(model))
    rows = stored.recommender.users.positions(lists.user.to_numpy())
    columns = stored.recommender.items.positions(lists.item.to_numpy())
    observed = stored.history.copy()
    observed.data[:] = 1
    assert not observed[rows, columns].any()


def test_include_seen_ranks_everything(model, here):
    succeed("recommend", model, "-n", "25", "--include-seen", "--out", "top.csv")
    assert (pd.read_csv("top.csv").groupby("user").size() == 25).all()


def test_block_size_changes_nothing_but_rounding(model, here):
    lists = {}
    for size in (1, 7, 1024):
        succeed("recommend", model, "--out", f"{size}.csv", "--batch-size", str(size))
        lists[size] = pd.read_csv(f"{size}.csv")
    for size in (1, 7):
        assert (lists[size][["user", "rank"]] == lists[1024][["user", "rank"]]).all(axis=None)
        assert lists[size].score.to_numpy() == pytest.approx(lists[1024].score.to_numpy(), rel=1e-5)


def test_users_come_from_a_file_or_the_command_in_their_order(model, here):
    Path("some.txt").write_text("\ufeffu007\r\nu003\n\nu007\n", encoding="utf-8")  # as editors may save it
    succeed("recommend", model, "--users", "some.txt", "--out", "file.csv")
    succeed("recommend", model, "--users", "u007,u003", "--out", "words.csv")
    assert Path("file.csv").read_bytes() == Path("words.csv").read_bytes()
    assert list(pd.read_csv("file.csv").user.unique()) == ["u007", "u003"]


def test_few_users_are_shown_when_no_file_is_named(model, here):
    text = succeed("recommend", model, "--users", "u001", "-n", "2").out
    assert text.split()[:4] == ["user", "rank", "item", "score"]
    rows = succeed("recommend", model, "--users", "u001", "-n", "2", "--json").document["rows"]
    assert [(row["user"], row["rank"]) for row in rows] == [("u001", 1), ("u001", 2)]
    assert list(here.iterdir()) == []


def test_newer_ratings_bring_new_users_and_count_unknown_items(model, ratings, here):
    new = ["new,100,5", "new,101,1", "new,999,3"]
    Path("newer.csv").write_text("\n".join([*rating_lines(), *new]) + "\n")
    outcome = succeed(
        "recommend", model, "--data", "newer.csv", "--users", "new,u001", "--out", "top.csv", "--json"
    )
    assert outcome.document["unknown_items"] == 1
    assert "1 items are unknown to the model; their 1 ratings are left out" in outcome.err
    lists = pd.read_csv("top.csv")
    assert set(lists.user) == {"new", "u001"}
    newer = seen(Path("newer.csv"))
    assert not newer & set(zip(lists.user, lists.item, strict=True))
