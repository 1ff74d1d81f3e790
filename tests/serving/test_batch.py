"""Lists in a folder of shards: what is in it, and that it ends up the same however it was interrupted."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import slow_top_n
from strategies import grid, id_maps, ratings_of, small_ratings
from toys import Toy, toy

from recsys_ae.data.histories import Histories
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import CapabilityError, ConfigError, DataError, StorageError
from recsys_ae.files import claimed
from recsys_ae.seals import read_sealed, write_sealed
from recsys_ae.serving.audience import Audience, audience_of
from recsys_ae.serving.batch import make_lists
from recsys_ae.serving.fallback import WithFallback
from recsys_ae.serving.job import Job, job_of
from recsys_ae.serving.lists import recommend
from recsys_ae.serving.manifest import MANIFEST, Manifest, check_lists, read_manifest
from recsys_ae.serving.plan import PLAN
from recsys_ae.serving.rules import Rules
from recsys_ae.serving.shards import DamagedShard, ShardFiles
from recsys_ae.serving.writer import write_top_n

MODEL = {"asked": "movies", "uri": "movies", "kind": "toy", "fingerprint": "f" * 32}
SIZES = {"n": 4, "shard_users": 5}


def histories_of(ratings: Ratings) -> Histories:
    return Histories(ratings.users, np.arange(ratings.n_users), ratings.matrix)


def job(
    ratings: Ratings,
    recommender: Toy | None = None,
    *,
    users=None,
    block_users: int = 2,
    model=MODEL,
    **options,
) -> Job:
    """A job of few users in a block, so that there are several."""
    read, options = histories_of(ratings), {**SIZES, **options}
    audience = audience_of(read, users, fallback=options.get("fallback", "popular"))
    found = job_of(
        recommender or toy(ratings), audience, model=model, histories=read, training=read, **options
    )
    settings = {**found.settings, "block_users": block_users}
    return replace(found, plan=replace(found.plan, settings=settings))


def contents(folder: Path) -> dict[str, bytes]:
    """All files, hidden ones too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def frame(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder)


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    """Of 13 users: three shards of five, five and three."""
    return grid(n_users=13)


@pytest.fixture(scope="module")
def whole(ratings, tmp_path_factory) -> Path:
    """The folder of one run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "lists"
    make_lists(folder, job(ratings), threads=1)
    return folder


# What is in the folder.


@settings(max_examples=40)
@given(ratings=small_ratings(), n=st.integers(1, 20), seen=st.booleans(), data=st.data())
def test_lists_are_those_of_an_oracle(tmp_path_factory, ratings, n, seen, data):
    """Negative ratings and stored zeros, users without any, catalogues shorter than the lists, any ids."""
    folder = tmp_path_factory.mktemp("lists") / "lists"
    recommender, size = toy(ratings), data.draw(st.integers(1, 4))
    made = make_lists(folder, job(ratings, recommender, n=n, exclude_seen=seen, shard_users=size), threads=2)
    lengths = np.diff(ratings.matrix.indptr)
    scores = recommender.table[:-1] + lengths[:, None].astype(np.float32)
    popularity = np.bincount(ratings.columns, minlength=ratings.n_items).astype(np.float32)
    scores[lengths == 0] = popularity
    items, values = slow_top_n(scores, n, ratings.matrix if seen else None)
    expected = [
        (ratings.users.ids[user], rank, ratings.items.ids[item], value)
        for user in range(ratings.n_users)
        for rank, (item, value) in enumerate(zip(items[user], values[user], strict=True), start=1)
        if item >= 0
    ]
    found = frame(folder)
    assert list(found.itertuples(index=False, name=None)) == expected
    totals, per_user = made.manifest.totals, [sum(item >= 0 for item in row) for row in items]
    assert totals == {
        "users": ratings.n_users,
        "rows": len(expected),
        "empty_lists": sum(k == 0 for k in per_user),
        "short_lists": sum(0 < k < n for k in per_user),
        "fallback_users": int((lengths == 0).sum()),
        "left_out_users": 0,
        "unknown_items": 0,
        "dropped_ratings": 0,
    }
    assert made.manifest.rows == sum(shard["rows"] for shard in made.manifest.shards)


def test_shards_have_the_users_that_the_manifest_says(whole, ratings):
    manifest = check_lists(whole)
    assert [shard["file"] for shard in manifest.shards] == [f"part-0000{k}.parquet" for k in range(3)]
    assert [shard["users"] for shard in manifest.shards] == [5, 5, 3]
    for shard, path in zip(manifest.shards, manifest.files, strict=True):
        users = pq.read_table(path)["user"].to_pylist()
        assert shard["first_and_last_user"] == [users[0], users[-1]]
        assert shard["rows"] == len(users)
    document = json.loads((whole / MANIFEST).read_text())
    assert document["model"] == MODEL
    assert document["settings"]["n"] == 4
    assert document["histories"]["users"] == 13


@pytest.mark.parametrize("ids", [np.arange(13), np.array([f"u{k:02}" for k in range(13)], dtype=object)])
def test_columns_have_the_types_of_the_ids_for_every_reader(ids, tmp_path):
    ratings = replace(grid(n_users=13), users=IdMap(ids))
    make_lists(tmp_path / "lists", job(ratings))
    id_type = pa.int64() if ids.dtype == np.int64 else pa.string()
    schema = pa.schema({"user": id_type, "rank": pa.int32(), "item": pa.int64(), "score": pa.float32()})
    table = ds.dataset(tmp_path / "lists").to_table()
    assert table.schema.remove_metadata() == schema
    assert pq.read_table(tmp_path / "lists").equals(table)
    assert list(dict.fromkeys(frame(tmp_path / "lists")["user"])) == ids.tolist()


def test_rows_are_those_of_a_single_file(whole, ratings, tmp_path):
    read = histories_of(ratings)
    write_top_n(
        tmp_path / "one.parquet", recommend(toy(ratings), read, n=4), users=read.users, items=ratings.items
    )
    pd.testing.assert_frame_equal(frame(whole), pd.read_parquet(tmp_path / "one.parquet"))


@pytest.mark.parametrize("users", [[], [107]])
def test_nobody_and_one_user(users, ratings, tmp_path):
    made = make_lists(tmp_path / "lists", job(ratings, users=users))
    found = frame(tmp_path / "lists")
    assert (made.manifest.users, len(made.manifest.shards), len(found)) == (len(users), 1, 4 * len(users))
    assert list(found.columns) == ["user", "rank", "item", "score"]
    assert make_lists(tmp_path / "lists", job(ratings, users=users)).n_made == 0


def test_users_come_in_the_order_in_which_they_are_asked_for(ratings, tmp_path):
    make_lists(tmp_path / "lists", job(ratings, users=[112, "100", 107, 100, "107"]))
    assert list(dict.fromkeys(frame(tmp_path / "lists").user)) == [112, 100, 107]


def test_the_manifest_is_short_to_look_at(whole):
    assert repr(read_manifest(whole)) == f"Manifest({whole}: 48 rows, top 4 of 13 users)"


# The same bytes, whatever happens.


@pytest.mark.parametrize("threads", [2, 7])
def test_threads_change_no_byte(threads, whole, ratings, tmp_path):
    make_lists(tmp_path / "lists", job(ratings), threads=threads)
    assert contents(tmp_path / "lists") == contents(whole)


def test_what_is_told_of_progress_begins_with_what_is_there(whole, ratings, tmp_path):
    folder, told = tmp_path / "lists", []
    shutil.copytree(whole, folder)
    unfinished(folder)
    (folder / "part-00001.parquet").unlink()
    (folder / "part-00002.parquet").unlink()
    make_lists(folder, job(ratings), on_listed=lambda done, total: told.append((done, total)))
    assert told == [(done, 13) for done in (5, 7, 9, 10, 10, 12, 13)]


class Stopped(Exception):
    """The moment at which a job ends."""


def test_a_job_stopped_after_any_block_goes_on_to_the_same_bytes(whole, ratings, tmp_path):
    """A part that is whole is made only once: the next start begins where it was."""
    for stop in range(1, 30):
        folder, told = tmp_path / str(stop), []

        def count(done: int, total: int, told=told, stop=stop) -> None:
            told.append(done)
            if len(told) == stop:
                raise Stopped

        try:
            make_lists(folder, job(ratings), on_listed=count)
        except Stopped:
            assert not (folder / MANIFEST).exists()
        else:
            break
        n_kept = len(list(folder.glob("part-*")))
        assert make_lists(folder, job(ratings), threads=2).n_made == 3 - n_kept
        assert contents(folder) == contents(whole)
    assert stop > 8


@settings(max_examples=40)
@given(data=st.data())
def test_parts_that_are_missing_cut_or_damaged_are_made_again(tmp_path_factory, whole, ratings, data):
    """Before the manifest is there, and after."""
    folder = tmp_path_factory.mktemp("damaged") / "lists"
    shutil.copytree(whole, folder)
    if data.draw(st.booleans()):
        unfinished(folder)
    for path in sorted(folder.glob("part-*")):
        bytes_ = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(bytes_) - 1))
        match data.draw(st.sampled_from(["whole", "missing", "cut", "flipped"])):
            case "missing":
                path.unlink()
            case "cut":
                path.write_bytes(bytes_[:place])
            case "flipped":
                bytes_[place] ^= 1 << data.draw(st.integers(0, 7))
                path.write_bytes(bytes_)
    try:
        make_lists(folder, job(ratings))
    except StorageError as error:
        if "holds no lists of the plan of this folder" not in str(error):
            raise  # else the flipped bit was one of what says whose the part is
    else:
        assert contents(folder) == contents(whole)


def unfinished(folder: Path) -> None:
    """As if the job had been killed before its last step: the plan is there, and no manifest."""
    document = read_sealed(folder / MANIFEST, advice="")
    plan = {
        name: document[name] for name in ("format", "model", "histories", "users", "settings", "versions")
    }
    write_sealed(folder / PLAN, plan)
    (folder / MANIFEST).unlink()


def test_no_byte_of_a_part_can_change_unseen(whole, ratings, tmp_path):
    path, now = tmp_path / "part-00001.parquet", job(ratings)
    good = (whole / path.name).read_bytes()
    files = ShardFiles(tmp_path, now.plan.fingerprint(), ratings.users, ratings.items, 4)
    shard = now.shards()[1]
    assert files.contents(shard) is None
    for place in range(len(good)):
        flipped = good[place] ^ (1 << place % 8)
        path.write_bytes(good[:place] + bytes([flipped]) + good[place + 1 :])
        with pytest.raises((DamagedShard, StorageError)):
            files.contents(shard)
    path.write_bytes(good)
    assert files.contents(shard) is not None


def test_a_damaged_part_is_spoken_of(whole, ratings, tmp_path, caplog):
    folder = tmp_path / "lists"
    shutil.copytree(whole, folder)
    unfinished(folder)
    part = folder / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:-9])
    make_lists(folder, job(ratings))
    assert "part-00001.parquet: damaged (" in caplog.text
    assert "); it is made again" in caplog.text


def test_a_finished_folder_is_mended_with_a_warning(whole, ratings, tmp_path, caplog):
    folder = tmp_path / "lists"
    shutil.copytree(whole, folder)
    part = folder / "part-00002.parquet"
    part.write_bytes(part.read_bytes()[:-3])
    with pytest.raises(StorageError, match=r"part-00002.parquet: damaged, as its checksum does not hold"):
        check_lists(folder)
    assert make_lists(folder, job(ratings)).n_made == 1
    assert contents(folder) == contents(whole)
    assert "part-00002.parquet: damaged, as its checksum does not hold; it is made again" in caplog.text
    assert make_lists(folder, job(ratings)).n_made == 0


def test_a_part_under_the_name_of_another_is_made_again(whole, ratings, tmp_path, caplog):
    folder = tmp_path / "lists"
    shutil.copytree(whole, folder)
    unfinished(folder)
    shutil.copy(folder / "part-00000.parquet", folder / "part-00001.parquet")
    assert make_lists(folder, job(ratings)).n_made == 1
    assert contents(folder) == contents(whole)
    assert "damaged (it is another part, under this name)" in caplog.text


def test_what_a_killed_job_leaves_hidden_goes(whole, ratings, tmp_path):
    folder = tmp_path / "lists"
    shutil.copytree(whole, folder)
    (folder / ".plan.json").write_text("{}")
    (folder / "..plan.json.0123abcd.tmp").write_text("half")
    assert make_lists(folder, job(ratings)).n_made == 0
    assert contents(folder) == contents(whole)


# What is refused.


OTHERS = {
    "n is 4 there and 3 here": {"n": 3},
    "exclude_seen is True there and False here": {"exclude_seen": False},
    "shard_users is 5 there and 6 here": {"shard_users": 6},
    "fallback is popular there and none here": {"fallback": "none"},
    "the number of users is 13 there and 2 here; the users are others": {"users": [100, 101]},
    "the users are others": {"users": [101, 100, *range(102, 113)]},
    "the model is another": {"model": {**MODEL, "fingerprint": "e" * 32}},
    "rules.min_ratings is not given there and 5 here": {"rules": Rules(asked={"min_ratings": 5})},
    "block_users is 2 there and 3 here": {"block_users": 3},
}


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("said", OTHERS)
def test_a_folder_of_other_lists_is_refused(said, finished, whole, ratings, tmp_path):
    folder = tmp_path / "lists"
    shutil.copytree(whole, folder)
    if not finished:
        unfinished(folder)
    before = contents(folder)
    what = "other lists" if finished else "the beginning of other lists"
    with pytest.raises(StorageError) as raised:
        make_lists(folder, job(ratings, **OTHERS[said]))
    sentence = str(raised.value)
    assert sentence.startswith(f"{folder}: holds {what}: {said}")
    assert sentence.endswith("; choose another folder, or remove this one")
    assert contents(folder) == before


def test_other_ratings_are_refused_and_another_name_of_the_model_is_not(whole, ratings, tmp_path):
    folder = tmp_path / "lists"
    shutil.copytree(whole, folder)
    kept = np.arange(ratings.n_observed) > 0
    with pytest.raises(StorageError, match=r"the number of ratings is \d+ there and \d+ here"):
        make_lists(folder, job(ratings.keep(kept)))
    made = make_lists(folder, job(ratings, model={**MODEL, "asked": "films", "uri": "films"}))
    assert (made.n_made, made.manifest.plan.model["asked"]) == (0, "movies")


def test_other_versions_are_refused_as_long_as_something_is_to_do(whole, ratings, tmp_path, monkeypatch):
    folder = tmp_path / "lists"
    shutil.copytree(whole, folder)
    now = job(ratings)
    newer = replace(now, plan=replace(now.plan, versions={**now.plan.versions, "numpy": "9.9"}))
    assert make_lists(folder, newer).n_made == 0
    (folder / "part-00000.parquet").unlink()
    with pytest.raises(
        StorageError,
        match=r"is damaged, and cannot be mended: the version of numpy is .* there and 9\.9 here",
    ):
        make_lists(folder, newer)
    unfinished(folder)
    with pytest.raises(StorageError, match=r"beginning of other lists: the version of numpy is"):
        make_lists(folder, newer)


@pytest.mark.parametrize("name", ["notes.txt", "part-00000.parquet", "part-00007.parquet", "2026"])
def test_anything_else_in_the_folder_is_refused(name, ratings, tmp_path):
    """Whoever reads the folder would read it, too."""
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / name).write_text("of somebody")
    with pytest.raises(StorageError, match=f"{name}: is none of the lists of this folder, and would be read"):
        make_lists(folder, job(ratings))
    assert contents(folder) == {name: b"of somebody"}


@pytest.mark.parametrize("finished", [True, False])
def test_what_was_put_there_later_is_refused_too(finished, whole, ratings, tmp_path):
    folder = tmp_path / "lists"
    shutil.copytree(whole, folder)
    if not finished:
        unfinished(folder)
    (folder / "part-00003.parquet").write_bytes(b"of another day")
    with pytest.raises(StorageError, match=r"part-00003\.parquet: is none of the lists of this folder"):
        make_lists(folder, job(ratings))


def test_a_part_of_somebody_else_is_refused(whole, ratings, tmp_path):
    folder = tmp_path / "lists"
    shutil.copytree(whole, folder)
    unfinished(folder)
    pq.write_table(pa.table({"user": [1]}), folder / "part-00001.parquet")
    before = contents(folder)
    with pytest.raises(StorageError, match=r"part-00001.parquet: holds no lists of the plan of this folder"):
        make_lists(folder, job(ratings))
    assert contents(folder) == before


@pytest.mark.parametrize("name", [MANIFEST, PLAN])
def test_newer_and_damaged_documents_are_refused(name, whole, ratings, tmp_path):
    folder = tmp_path / "lists"
    shutil.copytree(whole, folder)
    if name == PLAN:
        unfinished(folder)
    path, text = folder / name, (folder / name).read_text()
    write_sealed(path, {**read_sealed(path, advice=""), "format": 2})
    with pytest.raises(
        StorageError, match=r"has format 2, and this program reads up to 1; upgrade recsys-ae"
    ):
        make_lists(folder, job(ratings))
    for damaged in (text[: len(text) // 2], text.replace("toy", "boy"), "[]", "{}", "null", ""):
        path.write_text(damaged)
        with pytest.raises(
            StorageError, match=rf"{name}: .*; remove the folder and make the lists again, or choose"
        ):
            make_lists(folder, job(ratings))
        assert path.read_text() == damaged


def test_what_checks_a_folder_says_what_is_wrong_with_it(whole, tmp_path):
    with pytest.raises(StorageError, match="no such folder of lists"):
        check_lists(tmp_path / "none")
    with pytest.raises(
        StorageError, match=r"holds no _manifest.json, so the lists are not whole; make them again"
    ):
        check_lists(tmp_path)
    folder = tmp_path / "lists"
    shutil.copytree(whole, folder)
    assert isinstance(check_lists(folder), Manifest)
    (folder / "more.parquet").write_bytes(b"")
    with pytest.raises(StorageError, match=r"more.parquet: is none of the lists of this folder"):
        check_lists(folder)
    (folder / "more.parquet").rename(folder / ".more")
    (folder / "part-00001.parquet").unlink()
    with pytest.raises(
        StorageError, match=r"part-00001.parquet: cannot be read \(No such file or directory\)"
    ):
        check_lists(folder)


def test_a_folder_belongs_to_one_job_at_a_time(ratings, tmp_path):
    with (
        claimed(tmp_path / "lists"),
        pytest.raises(StorageError, match="another process makes its lists there; wait for its end"),
    ):
        make_lists(tmp_path / "lists", job(ratings))


def test_places_that_cannot_be_a_folder_are_refused(ratings, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="is a file; choose another folder for the lists"):
        make_lists(tmp_path / "file", job(ratings))
    with pytest.raises(ConfigError, match="is no folder that can be written to"):
        make_lists(tmp_path / "file" / "lists", job(ratings))


@pytest.mark.parametrize("name", ["n", "shard_users"])
def test_numbers_below_one_are_refused(name, ratings):
    with pytest.raises(ConfigError, match=rf"{name} is 0, but must be at least 1"):
        job(ratings, **{name: 0})


def test_models_that_cannot_are_refused_before_anything_is_written(ratings, tmp_path):
    with pytest.raises(CapabilityError, match="does not rank"):
        job(ratings, toy(ratings, ranks=False))
    read = replace(histories_of(ratings), positions=np.where(np.arange(13) == 4, -1, np.arange(13)))
    options = {"model": MODEL, "histories": read, "training": read, "n": 3}
    with pytest.raises(CapabilityError, match="1 of 13 users were not seen in training"):
        job_of(toy(ratings, folds_in=False), Audience(read, np.arange(13)), **options)
    job_of(toy(ratings, folds_in=False), Audience(read, np.arange(4)), **options)


# Users without history.


@pytest.fixture
def few() -> Ratings:
    """Item 2 is the most popular, then 3; user 9 has one rating, of 0."""
    return ratings_of(
        np.array([5, 5, 5, 7, 7, 9]), np.array([1, 2, 3, 2, 3, 2]), [1.0, -2.0, 3.0, 0.0, 5.0, 0.0]
    )


def test_users_without_history_get_the_most_popular_items(few, tmp_path, caplog):
    made = make_lists(tmp_path / "lists", job(few, users=[8, 5, "6", 9], n=2))
    lists = frame(tmp_path / "lists")
    for stranger in (6, 8):
        rows = lists[lists.user == stranger]
        assert list(zip(rows["rank"], rows["item"], rows["score"], strict=True)) == [(1, 2, 3.0), (2, 3, 2.0)]
    assert list(dict.fromkeys(lists.user)) == [8, 6, 9]  # user 5 has rated everything
    assert (lists[lists.user == 9].item != 2).all()  # a rating of 0 is a rating
    totals = made.manifest.totals
    assert (totals["users"], totals["fallback_users"], totals["empty_lists"]) == (4, 2, 1)
    assert (
        "2 of 4 users have no ratings that the model knows, such as 8; they get the most popular"
        in caplog.text
    )


def test_users_without_history_are_left_out_and_counted_where_nothing_is_to_be_given(few, tmp_path, caplog):
    made = make_lists(tmp_path / "lists", job(few, users=[8, 7, "6", "7"], n=2, fallback="none"))
    assert set(frame(tmp_path / "lists").user) == {7}
    totals = made.manifest.totals
    assert (totals["users"], totals["left_out_users"], totals["fallback_users"]) == (1, 2, 0)
    assert "2 of 3 users have no ratings that the model knows, such as '8'; no list for them" in caplog.text


def test_users_whose_ratings_are_all_unknown_are_without_history(few):
    read = histories_of(few).with_users(["8"])  # as ratings of items that the model does not know bring them
    everybody = {fallback: audience_of(read, None, fallback=fallback) for fallback in ("popular", "none")}
    assert everybody["popular"].without_history().tolist() == [False, False, True, False]
    assert (everybody["none"].ids().tolist(), everybody["none"].n_left_out) == ([5, 7, 9], 1)


def test_a_stranger_must_be_able_to_stand_beside_the_others(few):
    with pytest.raises(
        DataError, match="'user_id' cannot be a user, as the ids of users with ratings are whole"
    ):
        job(few, users=[5, "user_id"])


def test_a_model_that_cannot_fold_in_is_not_asked_about_strangers(few, tmp_path):
    class Sealed(Toy):
        def score(self, batch):
            assert (batch.positions >= 0).all()
            return super().score(batch)

    known = toy(few, folds_in=False)
    sealed = Sealed(known.users, known.items, known.table, folds_in=False)
    made = make_lists(tmp_path / "lists", job(few, sealed, users=[8, 7, 5, 9, 3]))
    assert made.manifest.totals["fallback_users"] == 2


@given(ids=id_maps(5), data=st.data())
def test_strangers_move_nobody(ids, data):
    """Ids of any kind and order: each user's history and position stay what they were."""
    rng = np.random.default_rng(0)
    kept = sorted(data.draw(st.sets(st.integers(0, 4))))
    cells = np.flatnonzero(rng.random((5, 4)) < 0.5)
    matrix = grid(5, 4).matrix
    users = IdMap(ids.ids[kept])
    read = Histories(
        users, rng.permutation(5)[kept], matrix[np.array(kept, dtype=int)], n_unknown_items=len(cells)
    )
    wider = read.with_users([id for id in ids.ids.tolist() if id not in set(users.ids.tolist())])
    assert sorted(map(str, wider.users.ids)) == sorted(map(str, ids.ids))
    rows = wider.users.positions(users.ids)
    np.testing.assert_array_equal(wider.positions[rows], read.positions)
    before, after = read.batch(np.arange(len(read))).history, wider.batch(rows).history
    np.testing.assert_array_equal(after.toarray(), before.toarray())
    np.testing.assert_array_equal(np.diff(after.indptr), np.diff(before.indptr))
    strangers = np.setdiff1d(np.arange(len(wider)), rows)
    assert (wider.positions[strangers] == -1).all()
    assert not wider.lengths()[strangers].any()


@pytest.mark.parametrize("strangers", [["3"], ["x", "1"], ["03", "30"]])
def test_strangers_move_nobody_where_texts_that_are_numbers_come_by_size(strangers):
    users = IdMap(np.array(["2", "10", "é"], dtype=object))
    read = Histories(users, np.arange(3), grid(3, 4).matrix)
    wider = read.with_users(strangers)
    rows = wider.users.positions(users.ids)
    after = wider.batch(rows)
    np.testing.assert_array_equal(after.positions, np.arange(3))
    np.testing.assert_array_equal(after.history.toarray(), read.matrix.toarray())


def test_the_fallback_answers_only_for_those_without_history(few):
    read = histories_of(few).with_users(["6"])
    model = WithFallback.of(toy(few), histories_of(few))
    scores = model.score(read.batch(np.arange(4)))
    np.testing.assert_array_equal(scores[1], [1, 3, 2])
    others = np.array([0, 2, 3])
    np.testing.assert_array_equal(scores[others], toy(few).score(read.batch(others)))
    np.testing.assert_array_equal(
        model.score_pairs(read.batch(np.arange(4)), np.array([1, 0]), np.array([1, 2])), [3, scores[0, 2]]
    )
