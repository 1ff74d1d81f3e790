"""recsys-ae recommend: whose lists, from which ratings, in which file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import SMALL, call, rating_lines, succeed
from oracles import slow_top_n
from scipy.sparse import csr_array

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.histories import UserBatch
from recsys_ae.experiments.prepare import prepare
from recsys_ae.models.storage import load_model
from recsys_ae.recommender import Recommender
from recsys_ae.splitting.configs import UsersSplitConfig
from recsys_ae.splitting.make import validation_split
from recsys_ae.splitting.split import Split
from recsys_ae.tracking.pyfunc import score_pairs, top_lists
from recsys_ae.types import BoolVector

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

    stored = load_model(Path(model))
    rows = stored.recommender.users.positions(lists.user.to_numpy())
    columns = stored.recommender.items.positions(lists.item.to_numpy())
    observed = stored.histories.matrix.copy()
    observed.data[:] = 1
    assert not observed[rows, columns].any()


def test_lists_of_three_users_are_shown_where_nobody_is_named(model, here):
    users = load_model(Path(model)).histories.users.ids
    three = [str(users[0]), str(users[N_USERS // 2]), str(users[N_USERS - 1])]
    rows = succeed("recommend", model, "-n", "2", "--json").document["rows"]
    assert list(dict.fromkeys(row["user"] for row in rows)) == three
    for words in ((), ("--history", "2")):
        shown = succeed("recommend", model, "-n", "2", *words).out
        assert all(user in shown for user in three)
        assert f"3 of {N_USERS} users: --users names others, --out writes all" in shown
    assert "names others" not in succeed("recommend", model, "--users", three[0]).out
    assert call("recommend", model, "--users", "all").code == 2  # all of them, and no file


def test_what_is_shown_beside_lists_goes_to_no_file(model, here):
    outcome = call("recommend", model, "--history", "3", "--out", "top.csv")
    assert (outcome.code, outcome.out) == (2, "")
    assert "leave out --history or --out" in outcome.err
    assert not Path("top.csv").exists()


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
    assert "left out: 1 item unknown to the model, with 1 rating" in outcome.err
    lists = pd.read_csv("top.csv")
    assert set(lists.user) == {"new", "u001"}
    newer = seen(Path("newer.csv"))
    assert not newer & set(zip(lists.user, lists.item, strict=True))


HELD_OUT = ("--set", "split={kind: users, test_share: 0.4}", "--set", "validation.share=0.3", "--no-tracking")


def users_split(ratings: Path) -> tuple[Split, BoolVector]:
    """The split that a training with HELD_OUT makes, and which users it has trained on: those held out for
    validation are unseen, too."""
    split = prepare(DataConfig(source=str(ratings)), UsersSplitConfig(test_share=0.4), 0)
    seen = np.diff(validation_split(split, share=0.3).train.matrix.indptr) > 0
    assert (~seen).sum() > len(split.evaluated_users) + 5
    return split, seen


def best(model: Recommender, history: csr_array, seen: BoolVector) -> list[list[int]]:
    """The three best items that each user has not rated, users who were not trained on folded in."""
    batch = UserBatch(np.where(seen, np.arange(N_USERS), -1), history)
    items, _ = slow_top_n(model.score(batch), 3, history)
    return model.items.ids[np.array(items)].tolist()


def items_of(lists: pd.DataFrame) -> list[list[int]]:
    return lists.groupby("user", sort=True).item.apply(list).to_list()


@pytest.mark.parametrize("kind", ["biased-mf", "i-autorec", "u-autorec"])
def test_users_held_out_are_read_from_their_fold_in_ratings(kind, ratings, here):
    words = SMALL if kind.endswith("autorec") else ()
    succeed("train", "--data", ratings, "--model", kind, *HELD_OUT, *words, "--out", "run")
    succeed("recommend", "run/model", "--out", "lists.csv", "-n", "3")
    split, seen = users_split(ratings)
    stored, history = load_model(Path("run/model")), split.train.joined(split.fold_in).matrix
    expected = best(stored.recommender, history, seen)
    assert items_of(pd.read_csv("lists.csv")) == expected
    users, items = stored.recommender.users.ids, stored.recommender.items.ids
    assert items_of(top_lists(stored, pd.Series(users), n=3, exclude_seen=True)) == expected

    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, N_USERS, 200), rng.integers(0, len(items), 200)
    pairs = score_pairs(stored, pd.Series(users[rows]), pd.Series(items[columns]))
    scores = stored.recommender.score(UserBatch(np.where(seen, np.arange(N_USERS), -1), history))
    np.testing.assert_allclose(pairs.score, scores[rows, columns].clip(1, 5), rtol=1e-4)


def test_newer_ratings_give_users_held_out_lists_of_their_own(ratings, here):
    """Such a user is in the model's user map, and yet unseen."""
    succeed("train", "--data", ratings, "--model", "biased-mf", *HELD_OUT, "--out", "run")
    succeed("recommend", "run/model", "--data", ratings, "--out", "newer.csv", "-n", "3")
    split, seen = users_split(ratings)
    history = split.train.joined(split.fold_in).joined(split.holdout).matrix
    expected = best(load_model(Path("run/model")).recommender, history, seen)
    assert items_of(pd.read_csv("newer.csv")) == expected


def test_newer_ratings_are_read_as_the_training_was_told_to(ratings, here):
    """Columns, separators and decimals of the training, unless the command says otherwise."""
    rows = [line.split(",") for line in rating_lines()[1:]]
    lines = ["who;what;mark", *(f"{user};{item};{rating},0" for user, item, rating in rows)]
    Path("odd.csv").write_text("\n".join(lines) + "\n")
    named = [
        f"data.columns.{role}={name}"
        for role, name in (("user", "who"), ("item", "what"), ("rating", "mark"))
    ]
    reading = [word for text in (*named, "data.scale=[1, 5]") for word in ("--set", text)]
    told = succeed(
        "train", "--data", "odd.csv", "--model", "biases", "--no-tracking", "--out", "run", *reading
    )
    assert "read: odd.csv (semicolon): " in told.err
    assert "ratings from 'mark', user from 'who', item from 'what'" in told.err
    Path("new.csv").write_text("who;what;mark\nnew;100;5,0\nnew;101;1,5\n")
    words = ("recommend", "run/model", "--users", "new", "--out", "top.csv", "--data")
    assert "2 ratings from 'mark'" in succeed(*words, "new.csv").err
    first = Path("top.csv").read_bytes()
    Path("renamed.csv").write_text("reader;what;mark\nnew;100;5,0\nnew;101;1,5\n")
    assert "no column 'who' for the user" in call(*words, "renamed.csv").err
    for key in ("data.columns.user=reader", "columns.user=reader"):
        succeed(*words, "renamed.csv", "--set", key)
        assert Path("top.csv").read_bytes() == first
    Path("off.csv").write_text("who;what;mark\nnew;100;5,0\nnew;101;6,0\n")
    refused = call(*words, "off.csv")
    assert refused.code == 2
    assert "off.csv, line 3: the rating is 6, outside the scale 1 to 5" in refused.err
    Path("events.csv").write_text("who;what\nnew;100\n")
    assert "no column 'mark' for the rating" in call(*words, "events.csv").err


def test_newer_ratings_of_another_range_or_kind_than_the_training_are_refused(model, here):
    Path("newer.csv").write_text("user,item,rating\nnew,100,50\nnew,101,3\nnew,102,0\n")
    newer = ("recommend", model, "--users", "new", "--json", "--data")
    refused = call(*newer, "newer.csv")
    assert (refused.code, refused.out) == (2, "")
    assert (
        "2 of 3 ratings lie outside the range of the training, 1 to 5; see that they are on the same scale, "
        "or train with the scale declared (data.scale)" in refused.err
    )
    Path("newer.csv").write_text("user,item,rating\nnew,100,5\nnew,101,3\nnew,102,1\n")
    expected = succeed(*newer, "newer.csv").document["rows"]
    Path("plays.csv").write_text("user,item,plays\nnew,100,5\nnew,101,3\nnew,102,1\n")
    refused = call(*newer, "plays.csv")
    assert refused.code == 2
    assert "'plays' may hold ratings or counts; say which with --set data.columns.rating=plays" in refused.err
    named = ("--set", "data.columns.rating=plays", "--set", "data.feedback=ratings")
    assert succeed(*newer, "plays.csv", *named).document["rows"] == expected
    Path("events.csv").write_text("user,item\nnew,100\n")
    refused = call("recommend", model, "--data", "events.csv", "--users", "new")
    assert refused.code == 2
    assert "events.csv: holds events, and the model was trained on ratings; name the column" in refused.err
    refused = call("recommend", model, "--data", "events.csv", "--users", "new", "--set", "feedback=ratings")
    assert "there is no column of ratings among 'user', 'item'" in refused.err


def test_a_model_of_events_or_counts_refuses_newer_ratings(here):
    rows = [line.split(",") for line in rating_lines()[1:]]
    Path("events.csv").write_text("\n".join(["user,item", *(f"{u},{i}" for u, i, _ in rows)]) + "\n")
    Path("new.csv").write_text("user,item\nnew,100\n")
    Path("rated.csv").write_text("user,item,rating\nnew,100,2\n")
    succeed("train", "--data", "events.csv", "--model", "popularity", "--no-tracking", "--out", "run")
    words = ("recommend", "run/model", "--users", "new", "--json", "--data")
    expected = succeed(*words, "new.csv").document["rows"]
    refused = call(*words, "rated.csv")
    assert refused.code == 2
    assert "rated.csv: holds ratings, and the model was trained on events; name the column" in refused.err
    assert succeed(*words, "rated.csv", "--set", "data.feedback=events").document["rows"] == expected


def test_settings_of_reading_need_something_to_read(model, here):
    refused = call("recommend", model, "--users", "u003", "--set", "data.columns.user=reader")
    assert refused.code == 2
    assert "--set says how to read newer ratings; name them with --data, or leave it out" in refused.err


def test_unknown_users_of_a_file_are_counted_and_those_named_by_hand_refused(model, here):
    Path("some.txt").write_text("u003\nnobody\nu007\nnobody\nno one\n")
    outcome = succeed("recommend", model, "--users", "some.txt", "--out", "top.csv", "--json")
    assert outcome.document["users"] == 2
    assert "2 of 4 users in some.txt are unknown, such as 'nobody'; no list for them" in outcome.err
    assert list(pd.read_csv("top.csv").user.unique()) == ["u003", "u007"]
    assert call("recommend", model, "--users", "u003,nobody", "--out", "top.csv").code == 2
    mistyped = call("recommend", model, "--users", "sometxt", "--out", "top.csv")
    assert mistyped.code == 2
    assert "--users sometxt: is neither a user with ratings nor a file" in mistyped.err
    Path("none.txt").write_text("nobody\n")
    assert call("recommend", model, "--users", "none.txt", "--out", "top.csv").code == 2


def test_users_who_have_rated_everything_are_counted(model, here):
    items = sorted({line.split(",")[1] for line in rating_lines()[1:]})
    lines = ["user,item,rating", *(f"all,{item},3" for item in items), "few,100,4"]
    Path("newer.csv").write_text("\n".join(lines) + "\n")
    outcome = succeed("recommend", model, "--data", "newer.csv", "--out", "top.csv", "--json")
    assert (outcome.document["users"], outcome.document["empty_lists"]) == (2, 1)
    assert set(pd.read_csv("top.csv").user) == {"few"}
    text = succeed("recommend", model, "--data", "newer.csv", "--out", "top.csv").out
    assert "1 of them have rated everything: no list" in text
    shown = succeed("recommend", model, "--data", "newer.csv", "--users", "all,few").out
    assert "1 of them have rated everything: no list" in shown
