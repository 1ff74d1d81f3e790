"""The page of a real benchmark as people see it, in a browser: small and large, light, dark and on paper."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from browser import CONTRAST, REACH, SHOWN, SMALLEST, WIDTHS, browser, complaints, overflow, show
from commands import call, write_ratings

EVIL = "<b>u & \"x\" 'y'</b>"
BENCHMARK = """\
name: small
data: {source: ratings.csv}
split: {kind: random, test_share: 0.3}
trials: 2
reference: biased-mf
models:
  - {name: biased-mf, model: {kind: biased-mf, factors: 2, iterations: 4}}
  - {name: biases, model: {kind: biases}, grid: {item_damping: [10, 1000000]}}
  - {name: als, model: {kind: als, factors: 4, iterations: 3}}
  - {name: a-model-with-quite-a-long-name-indeed, model: {kind: popularity}}
  - name: u-autorec
    model: {kind: u-autorec, hidden: [4], training: {epochs: 3, batch_size: 16}}
  - {name: broken, model: {kind: i-autorec, hidden: [4], output: identity, training:
      {epochs: 3, optimizer: sgd, learning_rate: 1.0e+30}}}
evaluation: {relevant: 4}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    here = tmp_path_factory.mktemp("benchmark")
    ratings = write_ratings(here / "ratings.csv", n_users=150, n_items=30)
    text = ratings.read_text()
    quoted = EVIL.replace('"', '""')
    ratings.write_text(text.replace("u000,", f'"{quoted}",'))
    (here / "small.yaml").write_text(BENCHMARK.replace("ratings.csv", str(ratings)))
    outcome = call("benchmark", here / "small.yaml", "--no-tracking", "--out", here / "out", "--quiet")
    assert outcome.code == 1, outcome.err  # one of them is broken
    (here / "out" / "terminal.txt").write_text(outcome.out)
    return here / "out"


@pytest.fixture(scope="module")
def page():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def address(folder):
    return f"file://{folder / 'page.html'}"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_everybody_can_read_it(page, address, width, dark):
    show(page, address, width=width, dark=dark)
    page.execute_script("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert overflow(page) == 0
    assert complaints(page) == []
    contrast, text = page.execute_script(CONTRAST)
    assert contrast >= 4.5, text
    assert page.execute_script(SMALLEST) >= 9.8
    assert max(page.execute_script(REACH)) <= 1  # no text of a figure leaves its box
    n_wide, n_narrow = (page.execute_script(SHOWN, f"svg.{kind}") for kind in ("wide", "narrow"))
    assert (n_wide == 0) == (width == min(WIDTHS)) == (n_narrow > 0)
    assert max(n_wide, n_narrow) == 2 + 2 + 2 + 1 + 4  # values, differences, times, curves, groups
    ground = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == dark


def test_a_table_that_is_cut_shows_that_it_goes_on(page, address):
    """By a shade that lies behind what covers it at the end of the table."""
    shade = "return getComputedStyle(document.querySelector('.scroll')).backgroundAttachment"
    show(page, address, width=min(WIDTHS))
    assert page.execute_script(shade) == "local, scroll, scroll"
    show(page, address, width=max(WIDTHS))
    assert page.execute_script(shade) == "scroll"


def test_nothing_is_asked_of_a_network(page, address):
    page.execute_cdp_cmd("Network.enable", {})
    show(page, address, width=1280)
    asked = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert asked == []


def test_the_conclusion_comes_first_and_says_what_the_results_say(page, address, folder):
    show(page, address, width=1280)
    shown = [p.text.replace("\xa0", " ") for p in page.find_elements("css selector", ".conclusion p")]
    found = json.loads((folder / "result.json").read_text())
    sentences = [one["sentence"] for one in found["conclusions"]]
    assert shown[:2] == sentences
    assert shown[-1] == "Without a result: broken."
    assert (folder / "terminal.txt").read_text().splitlines()[:2] == sentences
    assert (folder / "table.md").read_text().startswith("\n\n".join(sentences))
    models = {row["name"]: row for row in found["models"]}
    for one in found["conclusions"]:
        score = models[one["model"]]["metrics"][f"test/{one['metric']}"]
        assert f"{score:.4f} on the test part" in one["sentence"]
        scores = {
            row["name"]: ({each["metric"]: each["score"]} | each["also"]).get(one["metric"])
            for row in found["models"]
            for each in row.get("validation", [])[:1]
        }
        rivals = {name: score for name, score in scores.items() if score is not None}
        best = max if one["metric"] == "ndcg_at_10" else min
        assert one["model"] == best(rivals, key=rivals.__getitem__)
        if "biased-mf" in one["others"]:
            of_table = models[one["model"]]["differences"][one["metric"]]
            assert one["others"]["biased-mf"]["p_adjusted"] == of_table["p_adjusted"]
    tops = page.execute_script(
        "return ['.conclusion', 'table', 'svg.wide'].map("
        "found => document.querySelector(found).getBoundingClientRect().top)"
    )
    assert tops == sorted(tops)


def test_lists_are_those_of_the_model_that_was_chosen(page, address, folder):
    from recsys_ae.api import load_model

    found = json.loads((folder / "result.json").read_text())
    name = found["conclusions"][1]["model"]
    report = pd.read_parquet(folder / name / "seed-0" / "per_user.parquet")
    some = report.user[(report.n_history >= 5) & (report.n_history <= 30)].tolist()
    users = [some[0], some[len(some) // 2], some[-1]]
    show(page, address, width=1280)
    cards = [card for card in page.find_elements("css selector", "article") if card.text.startswith("User ")]
    assert [card.text.splitlines()[0] for card in cards] == [f"User {user}" for user in users]
    model = load_model(folder / name / "seed-0" / "model")
    for card, user in zip(cards, users, strict=True):
        shown = [item.text for item in card.find_elements("css selector", "ol:last-of-type li")]
        assert shown == [str(item) for item in model.recommend(user, n=5).item]
    assert users[0] == EVIL  # an id is a text, whatever it looks like


def test_it_can_be_printed(page, address):
    show(page, address, width=1280, dark=True)
    printed = page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    document = base64.b64decode(printed["data"])
    assert document.startswith(b"%PDF")
    assert len(document) > 20_000
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert (
            page.execute_script("return getComputedStyle(document.body).backgroundColor")
            == "rgb(255, 255, 255)"
        )
        assert page.execute_script(CONTRAST)[0] >= 4.5
        assert page.execute_script(SHOWN, "details") == 0  # what was not unfolded is not asked for
        assert (
            page.execute_script("return getComputedStyle(document.querySelector('.scroll')).overflowX")
            == "visible"
        )
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_settings_are_read_and_not_parsed(page, address):
    show(page, address, width=1280)
    cards = {card.text.splitlines()[0]: card for card in page.find_elements("css selector", "article")}
    shown = cards["u-autorec"].text
    assert "hidden\n4" in shown
    assert "training.epochs\n3" in shown
    assert "dropout" not in shown  # a default, behind the fold
    tried = cards["biases"].text
    assert "item_damping, tried\n10; 1000000" in tried
    assert re.search(r"item_damping, chosen\n10(00000)?\n", tried)
    assert "Failed: " in cards["broken"].text
    assert not re.search(r"[{}]", page.find_element("css selector", "main").text)
