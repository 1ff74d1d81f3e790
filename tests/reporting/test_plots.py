"""Pictures: written whole, the same bytes each time, and readable where data are odd."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from recsys_ae.errors import ConfigError
from recsys_ae.metrics import NDCG, RMSE
from recsys_ae.reporting.plots import plot_curves, plot_metric_bars, plot_predictions
from recsys_ae.types import Epoch

PNG = b"\x89PNG\r\n\x1a\n"


def epochs(n: int, *, terms: tuple[str, ...] = ("reconstruction",), scored: bool = True) -> list[Epoch]:
    return [
        Epoch(i, dict.fromkeys(terms, 1 / i), len(terms) / i, 0.1, 5, abs(i - 3) + 0.5 if scored else None)
        for i in range(1, n + 1)
    ]


def texts(path) -> str:
    """The file as text; labels of an SVG are kept beside their outlines, as comments."""
    ElementTree.parse(path)
    return path.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_every_plot_writes_the_format_of_its_suffix(tmp_path, suffix):
    draw = [
        lambda path: plot_curves(epochs(9), path, metric=RMSE),
        lambda path: plot_predictions(np.arange(100) % 5 + 1.0, np.linspace(1, 5, 100), path),
        lambda path: plot_metric_bars(["a", "b"], [0.9, 0.8], [0.01, np.nan], metric=RMSE, path=path),
    ]
    for i, plot in enumerate(draw):
        path = tmp_path / "plots" / f"{i}{suffix}"
        plot(path)
        assert path.read_bytes().startswith(PNG if suffix == ".png" else b"<?xml")
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [f"{i}{suffix}" for i in range(3)]


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.svg or \.png"):
        plot_curves(epochs(3), tmp_path / "curve.jpeg2000")
    assert list(tmp_path.iterdir()) == []


def test_the_same_run_gives_the_same_file(tmp_path):
    for name in ("one.svg", "two.svg"):
        plot_curves(epochs(20, terms=("reconstruction", "l2")), tmp_path / name, metric=RMSE)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_curves_of_phases_are_all_named_and_have_no_common_total(tmp_path):
    names = ["layer 1"] * 3 + ["layer 2"] * 3 + ["reconstruction"] * 3
    phases = [
        Epoch(i, {name: 1 / i, "l2": 0.1}, 1 / i + 0.1, 0.1, 5, 1 / i if i > 6 else None)
        for i, name in enumerate(names, 1)
    ]
    plot_curves(phases, tmp_path / "curve.svg", metric=RMSE)
    drawn = texts(tmp_path / "curve.svg")
    for name in ("l2", *names):
        assert f"<!-- {name} -->" in drawn
    assert "<!-- total -->" not in drawn
    plot_curves(epochs(9, terms=("reconstruction", "l2")), tmp_path / "curve.svg", metric=RMSE)
    assert "<!-- total -->" in texts(tmp_path / "curve.svg")


def test_the_best_epoch_is_that_of_the_metrics_direction(tmp_path):
    plot_curves(epochs(9), tmp_path / "curve.svg", metric=RMSE)
    assert "best: 0.5000 in epoch 3" in texts(tmp_path / "curve.svg")
    plot_curves(epochs(9), tmp_path / "curve.svg", metric=NDCG.at(10))
    assert "best: 6.5000 in epoch 9" in texts(tmp_path / "curve.svg")
    assert "validation ndcg_at_10" in texts(tmp_path / "curve.svg")


def test_measures_have_a_panel_of_their_own(tmp_path):
    measured = [
        replace(epoch, measures={"active_share": 0.5, "dead_share": 0.1 * epoch.number})
        for epoch in epochs(5)
    ]
    unmeasured = [Epoch(0, {}, None, 0.0, 0, 0.9)]
    for curve, n_panels in ((unmeasured + epochs(5), 2), (unmeasured + measured, 3)):
        plot_curves(curve, tmp_path / "curve.svg", metric=RMSE)
        drawn = texts(tmp_path / "curve.svg")
        assert len(re.findall(r'<g id="axes_\d+">', drawn)) == n_panels
        assert ("<!-- active share -->" in drawn) == ("<!-- dead share -->" in drawn) == (n_panels == 3)
        assert "validation rmse" in drawn


def test_the_best_model_stands_on_top(tmp_path):
    for metric, first in ((RMSE, "low"), (NDCG.at(10), "high")):
        names = ["middle", "low", "high"]
        plot_metric_bars(names, [0.5, 0.1, 0.9], None, metric=metric, path=tmp_path / "bars.svg")
        drawn = texts(tmp_path / "bars.svg")
        assert min(names, key=lambda name: drawn.index(f"<!-- {name} -->")) == first
        assert metric.unit in drawn


def test_models_without_a_value_are_shown_as_failed_and_names_stay_text(tmp_path):
    plot_metric_bars(["<b>&", "als"], [None, 0.25], None, metric=NDCG.at(10), path=tmp_path / "bars.svg")
    drawn = texts(tmp_path / "bars.svg")
    assert "failed" in drawn
    assert "<b>" not in drawn
    assert "higher is better" in drawn


@pytest.mark.parametrize("n", [0, 1, 2, 300])
def test_curves_of_any_length(tmp_path, n):
    drawn = epochs(n, terms=("reconstruction", "l2", "kl"), scored=n % 2 == 0)
    plot_curves(drawn, tmp_path / "curve.svg", metric=RMSE)


@pytest.mark.parametrize(
    "actual", [np.empty(0), np.array([3.0, 3.0]), np.linspace(-10, 10, 999), np.array([0.0, 0.5, 5.0])]
)
def test_predictions_on_any_scale(tmp_path, actual):
    plot_predictions(actual, actual * 0.5, tmp_path / "predictions.svg")


def test_no_models_no_crash(tmp_path):
    plot_metric_bars([], [], None, metric=RMSE, path=tmp_path / "bars.svg")
    plot_metric_bars(["only"], [float("nan")], None, metric=RMSE, path=tmp_path / "bars.svg")


def test_no_window_system_is_loaded():
    code = "import sys, recsys_ae.reporting.plots; print('matplotlib.pyplot' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
    )
