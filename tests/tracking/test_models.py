"""Models in the store: logged without pickle, found by every name, the same in another process."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from recsys_ae.errors import ConfigError, RecsysError, StorageError, TrackingError
from recsys_ae.models.storage import load_model
from recsys_ae.tracking.mlflow_tracker import MlflowTracker
from recsys_ae.tracking.pyfunc import score_pairs, top_lists
from recsys_ae.tracking.registry import resolve_model
from recsys_ae.tracking.store import connected
from recsys_ae.tracking.versions import publish


def all_scores(folder: Path) -> np.ndarray:
    """(n_users, n_items): what the recommender itself says."""
    stored = load_model(folder)
    return stored.recommender.score(stored.histories.batch(np.arange(len(stored.histories))))


@pytest.fixture
def logged(store, tmp_path, model_folder) -> str:
    """The URI of a model in the store."""
    with MlflowTracker("demo", "with model") as tracker:
        tracker.params({"model.kind": "biased-mf"})
        uri = tracker.model(model_folder(tmp_path / "folder"))
    assert uri is not None
    return uri


def test_another_process_loads_the_model_by_its_address_and_gets_the_same_scores(logged, store, tmp_path):
    code = f"""
import mlflow, pandas as pd
mlflow.set_tracking_uri({store!r})
model = mlflow.pyfunc.load_model({logged!r})
pairs = pd.DataFrame([(u, i) for u in ("06", "00") for i in ("film 3", "film 11")], columns=["user", "item"])
model.predict(pairs).to_json("pairs.json", orient="values", double_precision=15)
lists = model.predict(pd.DataFrame({{"user": ["05", "02"]}}), params={{"n": 3}})
lists.to_json("lists.json", orient="records")
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)
    recommender = load_model(tmp_path / "folder").recommender
    scores = all_scores(tmp_path / "folder")
    pairs = json.loads((tmp_path / "pairs.json").read_text())
    places = [[recommender.users.positions([u])[0], recommender.items.positions([i])[0]] for u, i, _ in pairs]
    np.testing.assert_allclose(
        [score for _, _, score in pairs], scores[tuple(np.transpose(places))], rtol=1e-6
    )
    lists = json.loads((tmp_path / "lists.json").read_text())
    assert [(row["user"], row["rank"]) for row in lists] == [(u, r) for u in ("05", "02") for r in (1, 2, 3)]


def test_nothing_in_the_logged_model_can_run_code_on_loading_but_its_own_file(logged, store):
    folder = resolve_model(logged).parents[1]
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "served_model.py", "input_example.json", "requirements.txt", "model.json"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".joblib"))]
    pinned = (folder / "requirements.txt").read_text().split()
    assert all("==" in line for line in pinned)
    assert any(line.startswith("numpy==") for line in pinned)


def test_the_signature_says_what_goes_in_and_out(logged, store):
    mlflow.set_tracking_uri(store)
    try:
        signature = mlflow.models.get_model_info(logged).signature
    finally:
        mlflow.set_tracking_uri(None)
    assert signature.inputs.input_names() == ["user", "item"]
    assert signature.inputs.required_input_names() == ["user"]
    assert signature.outputs.input_names() == ["user", "rank", "item", "score"]
    assert {p.name: p.default for p in signature.params} == {"n": 10, "exclude_seen": True}


def test_lists_are_the_best_unseen_items_in_order(tmp_path, model_folder):
    folder = model_folder(tmp_path / "folder")
    stored, scores = load_model(folder), all_scores(folder)
    lists = top_lists(stored, pd.Series(["02", "00"]), n=4, exclude_seen=True)
    assert lists.columns.tolist() == ["user", "rank", "item", "score"]
    assert lists["user"].tolist() == ["02"] * 4 + ["00"] * 4
    for user, rows in lists.groupby("user"):
        position = stored.recommender.users.positions([user])[0]
        rated = stored.histories.matrix[[position]].indices  # a rating of 0 is seen, too
        unseen = np.delete(np.arange(12), rated)
        best = unseen[np.argsort(-scores[position, unseen])][:4]
        assert rows["item"].tolist() == stored.recommender.items.ids[best].tolist()
        np.testing.assert_allclose(rows["score"], scores[position, best], rtol=1e-6)


def test_short_catalogues_make_short_lists_and_no_users_an_empty_table(tmp_path, model_folder):
    stored = load_model(model_folder(tmp_path / "folder", n_items=3))
    assert len(top_lists(stored, pd.Series(["00"]), n=10, exclude_seen=True)) == 2
    assert len(top_lists(stored, pd.Series(["00"]), n=10, exclude_seen=False)) == 3
    nobody = top_lists(stored, pd.Series([], dtype=object), n=10, exclude_seen=True)
    assert nobody.columns.tolist() == ["user", "rank", "item", "score"]
    assert len(nobody) == 0


def test_pairs_keep_their_order_over_many_blocks_of_users(tmp_path, model_folder):
    folder = model_folder(tmp_path / "folder", n_users=2500, numbers=True)
    stored, scores = load_model(folder), all_scores(folder)
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 2500, 6000), rng.integers(0, 12, 6000)
    table = score_pairs(stored, pd.Series(users * 3), pd.Series(items + 100))
    np.testing.assert_allclose(table["score"], scores[users, items], rtol=1e-5, atol=1e-6)
    assert table["user"].tolist() == (users * 3).tolist()
    assert len(score_pairs(stored, pd.Series([], dtype=int), pd.Series([], dtype=int))) == 0


def test_models_with_numbers_as_ids_are_served_through_mlflow(store, tmp_path, model_folder):
    with MlflowTracker("demo", "numbers") as tracker:
        uri = tracker.model(model_folder(tmp_path / "folder", numbers=True))
    model = mlflow.pyfunc.load_model(str(resolve_model(uri).parents[1]))
    assert model.predict(pd.DataFrame({"user": [3, 6]}), params={"n": 2})["user"].tolist() == [3, 3, 6, 6]
    with pytest.raises(
        MlflowException, match="1 of 2 values of column user are not in the model, the first is 4"
    ):
        model.predict(pd.DataFrame({"user": [3, 4]}))
    with pytest.raises(MlflowException, match=r"column item .* the first is 7 in row 0"):
        model.predict(pd.DataFrame({"user": [3], "item": [7]}))


def test_every_name_of_a_model_leads_to_its_folder(logged, store, tmp_path):
    published, is_new = publish(logged, "films", "champion")
    version = published.uri
    assert (version, is_new) == ("models:/films/1", True)
    expected = all_scores(tmp_path / "folder")
    for name in (logged, version, "models:/films@champion", str(tmp_path / "folder")):
        np.testing.assert_array_equal(all_scores(resolve_model(name)), expected)
    assert publish(logged, "films") == (published, False)  # the same model is one version
    mlflow.set_tracking_uri(store)
    try:
        assert (
            len(mlflow.pyfunc.load_model("models:/films@champion").predict(pd.DataFrame({"user": ["00"]})))
            == 10
        )
    finally:
        mlflow.set_tracking_uri(None)


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("nowhere", StorageError, "nowhere: no such model folder; give a folder, runs:/RUN_ID/model"),
        (".", StorageError, "holds no model (model.json is missing)"),
        ("runs:/abc", ConfigError, "runs:/abc: malformed model URI; give a folder"),
        ("runs:/", ConfigError, "malformed model URI"),
        ("runs:abc/model", ConfigError, "malformed model URI"),
        ("models:/films", ConfigError, "malformed model URI"),
        ("models:/films/latest", ConfigError, "malformed model URI"),
        ("models:/films@", ConfigError, "malformed model URI"),
        ("s3://bucket/model", ConfigError, "s3://bucket/model: not a model; give a folder"),
        (f"models:/m-{'0af5' * 8}", TrackingError, "the tracking store sqlite:///"),
        (f"models:/m-{'0af5' * 8}", TrackingError, "has no such model"),
        (f"runs:/{'0af5' * 8}/model", TrackingError, "has no run '0af50af5"),
        ("models:/films/1", TrackingError, "has no model named 'films', but: none at all"),
        ("models:/films@champion", TrackingError, "has no model named 'films', but: none at all"),
    ],
)  # fmt: skip
def test_each_wrong_name_gets_its_sentence(store, text, error, sentence):
    with pytest.raises(error) as caught:
        resolve_model(text)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_versions_and_aliases_list_what_there_is(logged):
    publish(logged, "films", "champion")
    for text in ("models:/films/7", "models:/films@loser"):
        with pytest.raises(TrackingError, match="of model 'films' the versions 1 and the aliases champion"):
            resolve_model(text)
    with pytest.raises(TrackingError, match="no model named 'songs', but: films"):
        resolve_model("models:/songs/1")


def test_models_of_older_runs_are_found_by_the_address_that_they_have(logged, store, tmp_path):
    """They were all named model; those of today have names of their own, and answer to that one, too."""
    run_id = MlflowClient(store).get_logged_model(logged.removeprefix("models:/")).source_run_id
    expected = resolve_model(logged)
    assert resolve_model(f"runs:/{run_id}/model") == resolve_model(f"runs:/{run_id}/model-demo") == expected
    engine = sqlite3.connect(store.removeprefix("sqlite:///"))
    with engine:
        engine.execute("update logged_models set name = 'model'")
    engine.close()
    assert resolve_model(f"runs:/{run_id}/model") == expected
    with pytest.raises(TrackingError, match="has no model named 'other'"):
        resolve_model(f"runs:/{run_id}/other")


def test_a_run_without_a_model_says_so(store):
    with MlflowTracker("demo", "bare") as tracker:
        pass
    with pytest.raises(TrackingError, match=r"\(status FINISHED\) has no model named 'model'"):
        resolve_model(f"runs:/{tracker.run_id}/model")


def test_a_dead_server_has_no_models(dead_server):
    with pytest.raises(TrackingError, match="does not answer"):
        resolve_model("models:/films@champion", uri=dead_server)


def test_a_folder_that_is_no_model_leaves_no_finished_model_behind(store, tmp_path, caplog):
    (tmp_path / "empty").mkdir()
    with MlflowTracker("demo", "broken") as tracker:
        assert tracker.model(tmp_path / "empty") is None
    assert len(caplog.records) == 1
    with pytest.raises(RecsysError):
        resolve_model(f"runs:/{tracker.run_id}/model")


def test_logging_a_model_leaves_global_state_alone(store, tmp_path, monkeypatch, capfd, model_folder):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://nobody.invalid")
    with MlflowTracker("demo", "quiet", uri=store) as tracker:
        tracker.model(model_folder(tmp_path / "folder"))
    assert capfd.readouterr().out == ""
    assert mlflow.active_run() is None
    assert mlflow.get_tracking_uri() == "http://nobody.invalid"
    with connected(store) as client:
        assert isinstance(client, MlflowClient)
        (output,) = client.get_run(tracker.run_id).outputs.model_outputs
        assert client.get_logged_model(output.model_id).status.value == "READY"
