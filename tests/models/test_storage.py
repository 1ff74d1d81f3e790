from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_array
from strategies import ratings_of

from recsys_ae.data.histories import Histories, UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.errors import DataError, StorageError
from recsys_ae.models.biases import Biases, BiasRecommender
from recsys_ae.models.factors import FactorRecommender
from recsys_ae.models.folding import RidgeFoldIn
from recsys_ae.models.linear import LinearRecommender
from recsys_ae.models.storage import load_model, save_model
from recsys_ae.recommender import Recommender

USERS = IdMap(np.array(["007", "7", "x y", "é"], dtype=object))
ITEMS = IdMap(np.array([-3, 0, 2**40], dtype=np.int64))
HISTORY = csr_array(
    (np.array([0.0, 5.0, -1.0], dtype=np.float32), np.array([1, 2, 0]), np.array([0, 2, 2, 3, 3])),
    shape=(4, 3),
)
HISTORIES = Histories(USERS, np.array([0, 1, -1, 3]), HISTORY, np.array([30, 10, 20]))
INFO = {"config": {"kind": "biased-mf", "l2": 0.1}, "name": "één", "seeds": [0, 1], "best": None}


def factor_model() -> FactorRecommender:
    rng = np.random.default_rng(0)
    return FactorRecommender(
        USERS,
        ITEMS,
        user_factors=rng.normal(size=(2, 4)).astype(np.float32).T,  # a transposed view, not contiguous
        item_factors=rng.normal(size=(3, 2)).astype(np.float32),
        user_biases=rng.normal(size=4).astype(np.float32),
        item_biases=rng.normal(size=3).astype(np.float32),
        mean=1 / 3,
        limits=(-1.0, 5.0),
        output="scaled",
        fold_in=RidgeFoldIn(0.1, 0.7, 0.5),
    )


def models() -> list[Recommender]:
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(3, 3)).astype(np.float32)
    biases = BiasRecommender(
        USERS, ITEMS, Biases(0.1, weights[0].repeat(2)[:4], weights[1], user_damping=3.0)
    )
    linear = LinearRecommender(USERS, ITEMS, weights, positive=0.0)
    return [factor_model(), biases, linear, replace(linear, item_weights=csr_array(weights * (weights > 0)))]


def batch() -> UserBatch:
    return UserBatch(np.array([0, 1, 2, -1]), HISTORY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "model"
    save_model(path, factor_model(), histories=HISTORIES, info=INFO)
    return path


def test_who_may_read_a_model_is_who_may_read_any_new_file(tmp_path):
    save_model(tmp_path / "model", factor_model(), histories=HISTORIES, info=INFO)
    (tmp_path / "new").touch()
    allowed = (tmp_path / "new").stat().st_mode
    assert {path.name: path.stat().st_mode for path in (tmp_path / "model").iterdir()} == {
        path.name: allowed for path in (tmp_path / "model").iterdir()
    }


@pytest.mark.parametrize("model", models(), ids=["factor", "bias", "linear-dense", "linear-sparse"])
def test_scores_come_back_bit_for_bit(model, tmp_path):
    save_model(tmp_path / "model", model, histories=HISTORIES, info=INFO)
    stored = load_model(tmp_path / "model")
    assert type(stored.recommender) is type(model)
    np.testing.assert_array_equal(stored.recommender.score(batch()), model.score(batch()))
    for name in ("folds_in", "predicts_ratings", "ranks"):
        assert getattr(stored.recommender, name) == getattr(model, name)


def test_ids_histories_and_info_come_back(folder):
    stored = load_model(folder)
    assert stored.recommender.users.ids.tolist() == USERS.ids.tolist()
    assert stored.recommender.items.ids.tolist() == ITEMS.ids.tolist()
    assert stored.recommender.items.ids.dtype == np.int64
    assert stored.recommender.users.positions(["7", "007"]).tolist() == [1, 0]
    found = stored.histories
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(found.matrix, name), getattr(HISTORY, name))
    assert found.matrix.shape == (4, 3)
    assert found.users is stored.recommender.users
    assert (found.positions.tolist(), found.timestamps.tolist()) == ([0, 1, -1, 3], [30, 10, 20])
    assert stored.info == INFO


def test_the_folder_holds_these_files_and_no_pickle(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "arrays.safetensors",
        "history.safetensors",
        "items.parquet",
        "model.json",
        "users.parquet",
    ]
    assert [path.name for path in folder.parent.iterdir()] == ["model"]  # nothing temporary is left
    assert json.loads((folder / "model.json").read_text())["versions"]["numpy"] == np.__version__


def test_saving_again_replaces(folder):
    save_model(folder, models()[1], histories=HISTORIES, info={})
    assert load_model(folder).recommender.kind == "bias"
    assert load_model(folder).info == {}


def test_another_process_computes_the_same_scores_without_torch(folder):
    program = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from recsys_ae.models.storage import load_model; from recsys_ae.data.histories import UserBatch\n"
        "stored = load_model(Path(sys.argv[1]))\n"
        "scores = stored.recommender.score(UserBatch(np.array([0, 1, 2, -1]), stored.histories.matrix))\n"
        "assert 'torch' not in sys.modules\n"
        "sys.stdout.write(scores.tobytes().hex())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout == factor_model().score(batch()).tobytes().hex()


def test_a_file_in_the_way_of_the_folder_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be written"):
        save_model(tmp_path / "file" / "model", factor_model(), histories=HISTORIES, info={})


def edited(change: Callable[[dict], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        """Without checksums, as a folder of older programs."""
        document = json.loads((folder / "model.json").read_text())
        for key in ("files", "checksum"):
            document.pop(key, None)
        change(document)
        (folder / "model.json").write_text(json.dumps(document))

    return edit


def without_array(folder: Path) -> None:
    arrays = load_file(folder / "arrays.safetensors")
    del arrays["item_factors"]
    save_file(arrays, folder / "arrays.safetensors")


def other_shape(folder: Path) -> None:
    arrays = load_file(folder / "arrays.safetensors")
    save_file({**arrays, "item_factors": arrays["item_factors"][:2].copy()}, folder / "arrays.safetensors")


def of_format_1(folder: Path) -> None:
    """As folders were before they kept positions and timestamps."""
    document = json.loads((folder / "model.json").read_text())
    parts = load_file(folder / "history.safetensors")
    for name in ("positions", "timestamps"):
        del parts[name], document["history"][name]
    (folder / "model.json").write_text(json.dumps(document | {"format": 1}))
    save_file(parts, folder / "history.safetensors")


def test_histories_without_timestamps_stay_so(tmp_path):
    save_model(tmp_path / "model", factor_model(), histories=replace(HISTORIES, timestamps=None), info={})
    assert load_model(tmp_path / "model").histories.timestamps is None


def test_histories_of_other_users_or_items_are_refused(tmp_path):
    others = IdMap(np.array(["a", "b", "c", "d"], dtype=object))
    with pytest.raises(DataError, match="of other users than the model's"):
        save_model(tmp_path / "m", factor_model(), histories=replace(HISTORIES, users=others), info={})
    narrow = csr_array((4, 2), dtype=np.float32)
    with pytest.raises(DataError, match=r"shape \(4, 2\)"):
        save_model(tmp_path / "m", factor_model(), histories=Histories(USERS, np.arange(4), narrow), info={})
    assert not (tmp_path / "m").exists()


def test_newer_ratings_leave_users_held_out_unseen(folder, caplog):
    """User "x y" has a place in the user map, but no factors: the training held that user out."""
    newer = ratings_of(["é", "x y", "x y", "new"], [0, -3, 77, 2**40], [1.0, 2.0, 3.0, 4.0])
    known = load_model(folder).reading(newer)
    positions = dict(zip(known.users.ids, known.positions.tolist(), strict=True))
    assert positions == {"é": 3, "x y": -1, "new": -1}
    assert (known.n_unknown_items, known.n_dropped) == (1, 1)
    assert "left out: 1 item unknown to the model, with 1 rating" in caplog.text
    expected = {"é": {0: 1.0}, "x y": {-3: 2.0}, "new": {2**40: 4.0}}
    for row, user in enumerate(known.users.ids):
        span = slice(known.matrix.indptr[row], known.matrix.indptr[row + 1])
        items = ITEMS.ids[known.matrix.indices[span]].tolist()
        assert dict(zip(items, known.matrix.data[span].tolist(), strict=True)) == expected[user]


def cut_short(folder: Path) -> None:
    parts = load_file(folder / "history.safetensors")
    shorter = parts["positions"][:2].copy()
    save_file(parts | {"positions": shorter}, folder / "history.safetensors")
    edited(lambda d: d["history"]["positions"].update(shape=[2]))(folder)


def without_positions(folder: Path) -> None:
    parts = load_file(folder / "history.safetensors")
    del parts["positions"]
    save_file(parts, folder / "history.safetensors")


def fewer_ids(folder: Path) -> None:
    pq.write_table(pa.table({"id": ["a"]}), folder / "users.parquet")


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:40])


BROKEN = {
    "no model.json": (lambda f: (f / "model.json").unlink(), "holds no model.json"),
    "half a model.json": (cut("model.json"), "model.json: cannot be read"),
    "binary model.json": (lambda f: (f / "model.json").write_bytes(b"\xff\xfe"), "cannot be read"),
    "json of another kind": (lambda f: (f / "model.json").write_text("[1]"), "has no format version"),
    "newer": (edited(lambda d: d.update(format=99)), "format 99, and this program reads up to 3; upgrade"),
    "unknown kind": (edited(lambda d: d.update(kind="oracle")), "unknown kind 'oracle': load it with"),
    "no kind": (edited(lambda d: d.pop("kind")), "does not describe a model.*'kind'"),
    "no mean": (edited(lambda d: d["meta"].pop("mean")), "does not describe a model.*'mean'"),
    "no arrays": (lambda f: (f / "arrays.safetensors").unlink(), "arrays.safetensors: cannot be read"),
    "half the arrays": (cut("arrays.safetensors"), "arrays.safetensors: cannot be read"),
    "half the history": (cut("history.safetensors"), "history.safetensors: cannot be read"),
    "history cut short": (cut_short, "history.safetensors: does not hold histories"),
    "positions missing": (without_positions, "history.safetensors: holds no array 'positions'"),
    "array missing": (without_array, "holds no array 'item_factors'"),
    "array of another shape": (other_shape, r"'item_factors' has shape \[2, 2\].*says \[3, 2\]"),
    "no ids": (lambda f: (f / "items.parquet").unlink(), "items.parquet: cannot be read"),
    "half the ids": (cut("items.parquet"), "items.parquet: cannot be read"),
    "too few ids": (fewer_ids, "users.parquet: holds 1 ids, but model.json says 4"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_folder_is_a_sentence(case, folder):
    damage, sentence = BROKEN[case]
    edited(lambda document: None)(folder)
    damage(folder)
    with pytest.raises(StorageError, match=sentence) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_a_sentence(tmp_path):
    with pytest.raises(StorageError, match="nowhere: no such model folder"):
        load_model(tmp_path / "nowhere")


def flipped(path: Path, place: int) -> None:
    """With bit number `place`, counted from the end where it is negative, turned over."""
    data = bytearray(path.read_bytes())
    data[place // 8] ^= 1 << place % 8
    path.write_bytes(data)


@pytest.mark.parametrize(
    "name", ["model.json", "arrays.safetensors", "history.safetensors", "users.parquet", "items.parquet"]
)
def test_a_flipped_bit_is_found_and_its_file_named(name, folder):
    whole = (folder / name).read_bytes()
    for place in range(0, 8 * len(whole), 7):
        flipped(folder / name, place)
        with pytest.raises(StorageError, match=rf"{name}: "):
            load_model(folder)
        (folder / name).write_bytes(whole)
    load_model(folder)


def history_with(**arrays: np.ndarray) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        parts = load_file(folder / "history.safetensors")
        save_file(parts | arrays, folder / "history.safetensors")

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        history_with(indices=np.array([1, 2, 2**40])),
        history_with(indices=np.array([1, 2, -7])),
        history_with(indptr=np.array([0, 2, 2**40, 3, 3])),
        history_with(indptr=np.array([0, 2, 1, 3, 3])),
        history_with(indptr=np.array([1, 2, 2, 3, 3])),
        history_with(positions=np.array([0, 1, -1, 4])),
        history_with(positions=np.array([0, -2, -1, 3])),
    ],
)
def test_a_history_that_leads_out_of_its_arrays_is_refused(damage, folder):
    """Compiled code would follow it. Folders of older programs have no checksums to find it by."""
    edited(lambda document: None)(folder)
    damage(folder)
    with pytest.raises(StorageError, match=r"history\.safetensors: does not hold histories"):
        load_model(folder)


def test_item_weights_that_lead_out_of_their_arrays_are_refused(tmp_path):
    folder = tmp_path / "model"
    save_model(folder, models()[3], histories=HISTORIES, info={})
    edited(lambda document: None)(folder)
    arrays = load_file(folder / "arrays.safetensors")
    arrays["item_weights/indices"] = arrays["item_weights/indices"] + 3
    save_file(arrays, folder / "arrays.safetensors")
    with pytest.raises(StorageError, match="does not describe a model"):
        load_model(folder)


def test_factors_of_fewer_items_than_the_model_has_are_refused(folder):
    """The solver of unseen users would read beyond their end."""
    arrays = load_file(folder / "arrays.safetensors")
    save_file({**arrays, "item_factors": arrays["item_factors"][:2].copy()}, folder / "arrays.safetensors")
    edited(lambda document: document["arrays"]["item_factors"].update(shape=[2, 2]))(folder)
    with pytest.raises(StorageError, match="factors and biases of shapes"):
        load_model(folder)


def test_a_folder_whose_writer_was_killed_between_two_renames_is_loaded(folder):
    folder.rename(folder.with_name(".model.0a1b2c3d.old"))
    assert load_model(folder).info == INFO
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
