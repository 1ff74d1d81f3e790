"""The page stands alone: whoever opens it needs no network, and no text in it becomes code."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from recsys_ae.metrics import RMSE
from recsys_ae.reporting.page import Picture, Section, page
from recsys_ae.reporting.plots import plot_metric_bars, plot_predictions
from recsys_ae.reporting.tables import Table

EVIL = "<script>alert(1)</script>\"'&$title"


class Document(HTMLParser):
    """Tags, attributes, texts, and whether what was opened was closed."""

    void = frozenset({"meta", "link", "img", "br", "input"})

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.attributes, self.texts, self.open, self.errors = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def html(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("page")
    plot_metric_bars([EVIL, "als"], [0.9, 0.8], [0.1, 0.1], metric=RMSE, path=folder / "bars.svg")
    plot_predictions(np.arange(50) % 5, np.linspace(0, 4, 50), folder / "predictions.svg")
    pictures = [Picture.read(folder / "bars.svg", EVIL), Picture.read(folder / "predictions.svg")]
    table = Table((EVIL, "rmse"), ((EVIL, 0.9), ("als", None)))
    return page(EVIL, [
        Section(EVIL, f"{EVIL}\n\nsecond", {EVIL: EVIL}, table, pictures[:1]),
        Section("Again", pictures=pictures),
        Section("Empty"),
    ])  # fmt: skip


def test_nothing_is_fetched_from_elsewhere(html):
    document = Document(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "image"} & set(document.tags)
    sources = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "background"}
    links = [value for _, name, value in document.attributes if name in sources]
    assert links
    assert all(link.startswith("#") for link in links)
    css = "".join(re.findall(r"<style.*?</style>", html, flags=re.DOTALL))
    assert "@import" not in css
    assert not re.search(r"url\(\s*['\"]?(?!#)", html)
    assert "<!DOCTYPE svg" not in html


def test_no_handler_runs_code(html):
    assert not [name for _, name, _ in Document(html).attributes if name.startswith("on")]


def test_texts_stay_texts_wherever_they_stand(html):
    document = Document(html)
    assert document.errors == document.open == []
    assert sum(EVIL in text for text in document.texts) >= 6  # title, h1, h2, paragraph, fact, cell, caption


def test_ids_are_unique_and_every_reference_finds_its_target(html):
    document = Document(html)
    ids = [value for _, name, value in document.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(ids)
    assert {v[1:] for _, name, v in document.attributes if name == "xlink:href"} <= set(ids)


def test_readers_on_a_phone_in_the_dark_and_without_eyes_are_served(html):
    assert 'name="viewport"' in html
    assert "prefers-color-scheme: dark" in html
    assert html.count('<svg role="img" aria-label="') == 3
    assert html.startswith("<!doctype html>")
    assert '<html lang="en">' in html
