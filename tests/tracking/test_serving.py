"""What a client of a served model may send, and what it gets back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import invocations

from recsys_ae.errors import ConfigError, DataError, RecsysError
from recsys_ae.tracking import pyfunc
from recsys_ae.tracking.pyfunc import FolderModel, pack
from recsys_ae.tracking.request import MOST_ROWS, MOST_USERS, read_request

IDS = st.one_of(st.booleans(), st.none(), st.floats(), st.integers(), st.text(), st.lists(st.integers()))


@pytest.fixture(scope="module")
def served(tmp_path_factory, model_folder):
    """Models as a server has them, with ids as numbers (0, 3, ...) or as texts, by what the ids are."""
    folder = tmp_path_factory.mktemp("served")
    for kind, numbers in (("numbers", True), ("texts", False)):
        pack(model_folder(folder / kind / "model", numbers=numbers), folder / kind / "packed")
    return {kind: mlflow.pyfunc.load_model(str(folder / kind / "packed")) for kind in ("numbers", "texts")}


def answered(model: Any, request: dict[str, Any] | str | bytes) -> tuple[int, dict[str, Any]]:
    """Status and body that MLflow's server answers a request with. A text is sent as it is."""
    body = json.dumps(request) if isinstance(request, dict) else request
    try:
        answer = invocations(body, "application/json", model, model.metadata.get_input_schema())
    except MlflowException as error:
        return error.get_http_status_code(), json.loads(error.serialize_as_json())
    return answer.status, json.loads(answer.response)


def lists_for(*users: Any, **params: Any) -> dict[str, Any]:
    return {"dataframe_split": {"columns": ["user"], "data": [[user] for user in users]}, "params": params}


def test_lists_are_cut_to_the_catalogue(served):
    code, found = answered(served["numbers"], lists_for(3, n=10**12))
    assert code == 200
    assert [row["rank"] for row in found["predictions"]] == list(range(1, 12))  # one of twelve is seen


def test_numbers_of_any_length_are_cut_or_refused(served):
    table = pd.DataFrame({"user": [3]})
    assert read_request(table, {"n": 10**400}, n_items=11).n == 11
    with pytest.raises(ConfigError, match="give a whole number of 1 or more"):
        read_request(table, {"n": -(10**400)}, n_items=11)
    code, found = answered(served["numbers"], lists_for(3, n=10**400))
    assert code in (200, 400), found


def test_tables_as_csv_are_taken_where_ids_are_texts(served):
    """Of integers MLflow would take them only with a type of its own, by which true is 1 and 1.5 too."""

    def told(kind: str, text: str) -> Any:
        model = served[kind]
        return invocations(text, "text/csv", model, model.metadata.get_input_schema())

    answer = told("texts", "user\n02\n")
    assert answer.status == 200
    assert {row["user"] for row in json.loads(answer.response)["predictions"]} == {"02"}
    with pytest.raises(MlflowException) as caught:
        told("numbers", "user\n3\n")
    assert caught.value.get_http_status_code() == 400


@pytest.mark.parametrize("kind", ["numbers", "texts"])
@pytest.mark.parametrize("user", [True, 1.5, None, [3], {"a": 3}, "nobody", "", -1])
def test_what_is_no_id_is_refused_in_a_sentence(kind, user, served):
    code, found = answered(served[kind], lists_for(user))
    assert code == 400
    assert "stack_trace" not in found
    assert "which is no id" in found["message"] or "are not in the model" in found["message"]
    assert "recsys_ae" not in found["message"]


@pytest.mark.parametrize("kind", ["numbers", "texts"])
@pytest.mark.parametrize("body", ["", "{", "3", "[]", b"\xff", '{"x": 1}', '{"instances": [1]}',
                                  '{"inputs": {}}',
                                  '{"dataframe_split": 3}', '{"dataframe_records": [{"x": 1}]}',
                                  '{"dataframe_split": {"columns": ["user"], "data": [[1, 2]]}}',
                                  '{"dataframe_records": [{"user": 3}], "params": [1]}'])  # fmt: skip
def test_json_that_is_no_request_is_answered_without_a_trace(kind, body, served):
    code, found = answered(served[kind], body)
    assert code == 400
    assert "stack_trace" not in found
    assert "Traceback" not in json.dumps(found)


@pytest.mark.parametrize("params", [{"n": 0}, {"n": -3}, {"n": 1.5}, {"n": True}, {"n": "x"}, {"n": [1]},
                                    {"exclude_seen": "no"}])  # fmt: skip
def test_absurd_params_are_refused(params, served):
    code, found = answered(served["numbers"], lists_for(3, **params))
    assert code == 400
    assert "stack_trace" not in found


def test_pairs_are_checked_as_users_are(served):
    pairs = {"dataframe_split": {"columns": ["user", "item"], "data": [[3, 101], [3, 101.5]]}}
    code, found = answered(served["numbers"], pairs)
    assert code == 400
    assert "column item has 101.5 in row 1, which is no id" in found["message"]


def test_as_many_lists_as_promised_are_made_and_more_are_refused(served):
    model = served["numbers"].unwrap_python_model()
    users = np.random.default_rng(0).integers(0, 7, MOST_USERS) * 3
    table = model.predict(None, pd.DataFrame({"user": users}))
    assert len(table) == MOST_USERS * 10 == MOST_ROWS
    with pytest.raises(MlflowException, match=f"lists of {MOST_USERS + 1} users in one request; ask"):
        model.predict(None, pd.DataFrame({"user": [*users, 3]}))
    with pytest.raises(MlflowException, match="100000 lists of 11 items in one request"):
        model.predict(None, pd.DataFrame({"user": users}), {"n": 11})
    pairs = pd.DataFrame({"user": [3], "item": [101]}).loc[[0] * (MOST_ROWS + 1)]
    with pytest.raises(MlflowException, match="1000001 pairs in one request"):
        model.predict(None, pairs)


def test_a_defect_of_ours_tells_the_client_nothing(served, monkeypatch, caplog):
    def fail(*what, **named):
        raise OSError("/srv/ann/secret/model.json")

    monkeypatch.setattr(pyfunc, "top_lists", fail)
    code, found = answered(served["numbers"], lists_for(3))
    assert code == 500
    assert "the model could not answer this request" in found["message"]
    assert "secret" not in json.dumps(found)
    assert "stack_trace" not in found
    assert "secret" in caplog.text  # the operator's log has it


@given(st.lists(IDS, max_size=5))
def test_an_id_is_a_whole_number_or_a_text(values):
    table = pd.DataFrame({"user": pd.Series(values, dtype=object)})
    fine = [
        isinstance(value, str | int | float)
        and not isinstance(value, bool)
        and value != ""
        and (not isinstance(value, float) or value.is_integer())
        for value in values
    ]
    if all(fine):
        assert read_request(table, {}, n_items=3).users.tolist() == values
    else:
        with pytest.raises(DataError, match=f"in row {fine.index(False)}, which is no id"):
            read_request(table, {}, n_items=3)


@pytest.mark.parametrize(
    ("table", "params", "error"),
    [
        ({"user": [1]}, {}, DataError),
        (pd.DataFrame({"x": [1]}), {}, DataError),
        (pd.DataFrame([[1, 1]], columns=["user", "user"]), {}, DataError),
        (pd.DataFrame([[1, 1, 1]], columns=["user", "item", "item"]), {}, DataError),
        (pd.DataFrame([[1] * 1000], columns=[f"c{place}" for place in range(1000)]), {}, DataError),
        (pd.DataFrame({"user": [1]}), {"m" * 10_000: 1}, ConfigError),
        (pd.DataFrame({"user": [1]}), {"m": 1}, ConfigError),
        (pd.DataFrame({"user": [1]}), {"n": np.nan}, ConfigError),
        (pd.DataFrame({"user": [1]}), {"exclude_seen": 1}, ConfigError),
    ],
)  # fmt: skip
def test_requests_that_make_no_sense(table, params, error):
    with pytest.raises(error) as caught:
        read_request(table, params, n_items=3)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_what_a_user_has_seen_is_left_out_unless_asked_for():
    table = pd.DataFrame({"user": [1]})
    assert read_request(table, {}, n_items=3).exclude_seen
    assert not read_request(table, {"exclude_seen": False}, n_items=3).exclude_seen


def test_values_are_quoted_in_part(tmp_path: Path):
    with pytest.raises(RecsysError) as caught:
        read_request(pd.DataFrame({"user": [["x" * 10_000]]}), {}, n_items=3)
    assert len(str(caught.value)) < 200


def test_the_model_answers_what_its_functions_do(served):
    model = served["texts"].unwrap_python_model()
    assert isinstance(model, FolderModel)
    asked = model.predict(None, pd.DataFrame({"user": ["02"]}), {"n": 3, "exclude_seen": False})
    expected = pyfunc.top_lists(model._stored, pd.Series(["02"]), n=3, exclude_seen=False)
    pd.testing.assert_frame_equal(asked, expected)
