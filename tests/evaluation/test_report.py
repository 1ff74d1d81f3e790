"""Reports survive the disk."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from toys import splits, toy

from recsys_ae.errors import StorageError
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.evaluator import evaluate
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import MAE, NDCG, RMSE, Predictions, find_metric


@given(split=splits())
def test_parquet_round_trip(split, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "per_user.parquet"
    report = evaluate(toy(split.train), split, EvaluationConfig(relevant=0.5))
    report.to_parquet(path)
    again = Report.from_parquet(path)
    assert again.summary == report.summary
    assert again.users.dtype == report.users.dtype
    assert again.users.tolist() == report.users.tolist()
    assert again.per_user.keys() == report.per_user.keys()
    for name, column in report.per_user.items():
        assert again.per_user[name].dtype == np.float64
        assert again.per_user[name].tobytes() == column.tobytes()  # NaN stays NaN


def test_the_predictions_behind_the_errors_are_at_hand_until_the_report_is_stored(report, tmp_path):
    assert report.predictions is None
    given = Predictions(*(np.array([value]) for value in (0, 0, 4.0, 3.5, True)))
    told = replace(report, predictions=given)
    told.to_parquet(tmp_path / "per_user.parquet")
    again = Report.from_parquet(tmp_path / "per_user.parquet")
    assert again.predictions is None
    assert again.summary == report.summary


def test_sums_are_of_what_the_report_has_for_each_user(report):
    sums, counts = report.sums(RMSE)
    assert (sums.tolist(), counts.tolist()) == ([4.5, 0.0], [1.0, 1.0])
    assert report.sums(MAE) is None
    assert report.sums(find_metric("rmse_warm")) is None
    without_pairs = {"squared_error_sum_warm": np.zeros(2), "n_predicted_warm": np.zeros(2)}
    cold = replace(report, per_user={**report.per_user, **without_pairs})
    assert cold.sums(find_metric("rmse_warm")) is None  # no warm pair, so no figure
    ranked = replace(report, metrics={"ndcg_at_10": 0.5, "gini_at_10": 0.1},
                     per_user={"ndcg_at_10": np.array([0.5, np.nan])})  # fmt: skip
    sums, counts = ranked.sums(NDCG.at(10))
    np.testing.assert_array_equal(sums, [0.5, np.nan])
    assert counts.tolist() == [1.0, 1.0]
    assert ranked.sums(find_metric("gini_at_10")) is None


@pytest.fixture
def report():
    return Report(
        metrics={"rmse": 1.5},
        users=np.array(["007", "b"], dtype=object),
        per_user={"squared_error_sum": np.array([4.5, 0.0]), "n_predicted": np.array([1.0, 1.0])},
        counts={"evaluated_users": 2},
        fallback="None needed.",
        split_name="random",
        seed=3,
        data_fingerprint="d",
        split_fingerprint="s",
    )


def test_any_parquet_reader_can_read_it(report, tmp_path):
    report.to_parquet(tmp_path / "report.parquet")
    frame = pd.read_parquet(tmp_path / "report.parquet")
    assert list(frame.columns) == ["user", "squared_error_sum", "n_predicted"]
    assert frame["user"].tolist() == ["007", "b"]


def test_the_summary_is_json(report):
    assert json.loads(json.dumps(report.summary)) == report.summary
    assert "per_user" not in report.summary


def test_what_is_no_report_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"none\.parquet: cannot be read"):
        Report.from_parquet(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("user,rmse")
    with pytest.raises(StorageError, match=r"text\.parquet: cannot be read"):
        Report.from_parquet(tmp_path / "text.parquet")
    pd.DataFrame({"user": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(StorageError, match="but no report"):
        Report.from_parquet(tmp_path / "other.parquet")
