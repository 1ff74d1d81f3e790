"""The page of a search: every trial, whatever its settings are, and what was found in a sentence."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import browser, complaints, overflow, show
from scipy.stats import t as student

from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import NDCG, RMSE
from recsys_ae.results.search_page import search_page, search_sentence, sentence_of_test
from recsys_ae.results.trials import Trial, Validation
from recsys_ae.settings.configs import SearchConfig

SPACE = {
    "l2": {"low": 1, "high": 1000, "log": True},
    "hidden": {"low": 10, "high": 80},
    "activation": {"values": ["sigmoid", "elu"]},
    "debias": {"values": [None, {"item_damping": 2, "user_damping": 2}]},
}
CONFIG = SearchConfig.model_validate(
    {"name": "s", "data": {"source": "x.csv"}, "model": {"kind": "i-autorec"}, "space": SPACE}
)
SETTINGS = [
    {"l2": 1.0, "hidden": [10], "activation": "sigmoid", "debias": None},
    {"l2": 1000.0, "hidden": [80], "activation": "elu", "debias": {"item_damping": 2, "user_damping": 2}},
    {"l2": 30.0, "hidden": [40], "activation": "elu", "debias": None},
    {"l2": 2.5, "hidden": [41], "activation": "elu", "debias": None},
]


def validation(*scores: float | None, metric: str = "rmse", chosen: int = 0) -> Validation:
    trials = tuple(
        Trial(settings, score, 1.0, pruned=number == 2, error=None if score is not None else "it broke <b>")
        for number, (settings, score) in enumerate(zip(SETTINGS, scores, strict=False))
    )
    return Validation(metric, trials, chosen, {"l2": "low end"}, {"hidden": 0.75, "l2": 0.25})


def report(n_users: int = 400, **more: float) -> Report:
    """Of users with two ratings each, and lists that are better the later a user comes."""
    draws = np.random.default_rng(0)
    per_user = {
        "squared_error_sum": draws.uniform(0, 4, n_users),
        "n_predicted": np.full(n_users, 2.0),
        "ndcg_at_10": np.linspace(0, 1, n_users),
        "n_history": np.full(n_users, 5.0),
    }
    rmse = float(np.sqrt(per_user["squared_error_sum"].sum() / (2 * n_users)))
    metrics = {"rmse": rmse, "ndcg_at_10": 0.5, **more}
    return Report(metrics, np.arange(n_users), per_user, {}, "mean", "random", 0, "a", "b")


def page_of(found: Validation, tested: Report | None = None) -> str:
    return search_page(CONFIG, CONFIG.experiment(CONFIG.model), found, tested or report())


def drawn(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)]


def shapes(svg: ElementTree.Element) -> int:
    return sum(node.tag in ("circle", "polygon") for node in svg.iter())


def test_every_trial_with_a_score_stands_in_every_figure():
    html = page_of(validation(0.9, 0.8, 0.85, None, chosen=1))
    figures = drawn(html)
    assert len(figures) == 2 * (2 + 4)  # for two widths: trials, shares, and each setting
    assert [shapes(svg) for svg in figures[::2]] == [3, 0, 3, 3, 3, 3]
    assert all("hollow" in ElementTree.tostring(svg).decode() for svg in (figures[0], figures[4]))
    headings = re.findall(r"<figcaption>(.*?)</figcaption>", html)
    assert headings[:4] == ["RMSE trial by trial", "What mattered", "hidden", "l2"]  # by importance
    assert "it broke &lt;b&gt;" in html
    assert "The best of many validation scores is lucky" in html
    assert "L2 1000.0 is at the low end of its range." in html


def test_the_test_part_is_said_first_with_its_interval():
    """A mean has the interval of Student's t, a root the half of that of its square, over itself."""
    tested = report()
    html = page_of(validation(0.9, 0.8, chosen=1), tested).replace("\N{NO-BREAK SPACE}", " ")
    first = re.search(r'aria-label="Conclusion">\n<p>(.*?)</p>', html)[1]
    found = re.fullmatch(
        r"<strong>On the test part</strong> its settings reach RMSE (\S+) ± (\S+), NDCG@10 (\S+) ± (\S+)\.",
        first,
    )
    t = student.ppf(0.975, 399) / np.sqrt(400)
    rmse, squares = tested.metrics["rmse"], tested.per_user["squared_error_sum"] / 2
    expected = [rmse, t * squares.std(ddof=1) / (2 * rmse), 0.5, t * np.linspace(0, 1, 400).std(ddof=1)]
    assert [float(text) for text in found.groups()] == pytest.approx(expected, abs=2e-4)
    assert "half of a 95 % interval over users of one split and fit" in html
    assert "the figure to quote is that of the test part" in html


def test_few_users_have_no_interval_and_none_no_figure():
    few = page_of(validation(0.9), report(29))
    assert re.search(r"its settings reach RMSE [\d.]+, NDCG@10 0\.5000\.", few)
    assert "interval" not in few
    nothing = page_of(validation(0.9), replace(report(), metrics={}))
    assert "On the test part</strong> no metric is defined." in nothing


def test_what_was_searched_by_comes_first_in_the_test():
    sentence = sentence_of_test(report(), (NDCG.at(10), RMSE, NDCG.at(10)))
    assert re.search(r"reach NDCG@10 .* RMSE [^N]*$", sentence)


@pytest.mark.parametrize("scores", [(0.9,), (0.9, 0.9, 0.9), (0.9, None, None), (1e-9, 1e9, 1e9, 1e9)])
def test_searches_of_any_scores_have_a_page(scores):
    figures = drawn(page_of(validation(*scores)))
    assert shapes(figures[0]) == sum(score is not None for score in scores)


def test_the_best_so_far_only_improves():
    """A step down for each better error, a step up for each better list."""
    for metric, chosen, n in (("rmse", 1, 1), ("ndcg_at_10", 0, 0)):
        html = page_of(validation(0.9, 0.8, 0.85, 0.82, metric=metric, chosen=chosen))
        path = re.search(r'<path d="([^"]+)" class="front"', html)[1]
        heights = [float(part.split()[1]) for part in re.split("[ML]", path)[1:]]
        assert len(set(heights)) == n + 1


def test_the_sentence_says_best_and_first():
    found = validation(0.9, 0.8, 0.85, chosen=1)
    expected = "Trial 2 of 3 is best: RMSE 0.8000 on validation ratings, against 0.9000 of the first."
    assert search_sentence(found, RMSE) == expected
    assert search_sentence(validation(0.2, metric="ndcg_at_10"), NDCG.at(10)) == (
        "Trial 1 of 1 is best: NDCG@10 0.2000 on validation ratings."
    )
    assert "against" not in search_sentence(validation(None, 0.8, chosen=1), RMSE)


def test_it_is_read_on_a_phone(tmp_path):
    html = page_of(validation(0.9, 0.8, 0.85, None, chosen=1))
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    with browser() as page:
        show(page, f"file://{tmp_path / 'page.html'}", width=390, dark=True)
        page.execute_script("document.querySelectorAll('details').forEach(fold => fold.open = true)")
        assert overflow(page) == 0
        assert complaints(page) == []
        assert page.find_element("css selector", ".conclusion p").text.startswith(
            "On the test part its settings"
        )
