"""The page stands alone: whoever opens it needs no network, and no text in it becomes code."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from recsys_ae.reporting.axes import Point
from recsys_ae.reporting.figures import Mark, marks_figure, points_figure
from recsys_ae.reporting.lines import Line, lines_figure
from recsys_ae.reporting.page import Cards, Facts, Figures, Fold, Lead, Ranking, Section, Text, page
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
def html() -> str:
    words = {"axis": EVIL, "note": EVIL}
    point = Point(EVIL, "s0", 1.0, 0.5, 0.4, 0.6)
    figures = [
        marks_figure(EVIL, [Mark(EVIL, "s0", 0.5, 0.4, 0.6, EVIL)], zero=EVIL, ends=(EVIL, EVIL), **words),
        points_figure(EVIL, [point], across=EVIL, higher_is_better=True, **words),
        lines_figure(EVIL, [Line(EVIL, "s0", [point])], across=EVIL, groups=[(EVIL, EVIL)], **words),
    ]
    table = Table((EVIL, "rmse"), ((EVIL, 0.9), ("als", None)))
    blocks = [Text(f"{EVIL}\n\nsecond"), Facts({EVIL: EVIL}, frozenset({EVIL})), Ranking(EVIL, [EVIL]), table]
    sections = [
        Section(EVIL, [*blocks, Figures(figures), Cards([(EVIL, blocks)]), Fold(EVIL, blocks)]),
        Section("Empty"),
    ]
    return page(EVIL, sections, subtitle=EVIL, lead=Lead([(EVIL, f"{EVIL} wins"), ("", EVIL)], [EVIL]))


def test_nothing_is_fetched_from_elsewhere(html):
    document = Document(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "image"} & set(document.tags)
    sources = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "background"}
    assert not [name for _, name, _ in document.attributes if name in sources]
    css = "".join(re.findall(r"<style.*?</style>", html, flags=re.DOTALL))
    assert "@import" not in css
    assert not re.search(r"url\(", html)


def test_no_handler_runs_code(html):
    assert not [name for _, name, _ in Document(html).attributes if name.startswith("on")]


def test_texts_stay_texts_wherever_they_stand(html):
    document = Document(html)
    assert document.errors == document.open == []
    assert sum(EVIL in text for text in document.texts) >= 30
    labels = [value for tag, name, value in document.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(labels) == 6
    assert all(EVIL in label for label in labels)


def test_ids_are_unique(html):
    ids = [value for _, name, value in Document(html).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_readers_on_a_phone_in_the_dark_on_paper_and_without_eyes_are_served(html):
    assert 'name="viewport"' in html
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert html.count('<svg role="img" aria-label="') == 6  # each figure for two widths
    assert html.startswith("<!doctype html>")
    assert '<html lang="en">' in html


def test_the_conclusion_stands_before_all_else_with_its_subject_marked(html):
    assert html.index('class="conclusion"') < html.index("<h2>")
    assert len(re.findall(r"<strong>", html[: html.index("<h2>")])) == 1  # only a sentence that begins so
    shown = page("a", [], lead=Lead([("als", "als wins: 0.5 ± 0.1 (p < 0.001).")]))
    assert "<strong>als</strong> wins: 0.5\xa0±\xa00.1 (p\xa0&lt;\xa00.001)." in shown


def test_what_is_folded_stays_in_its_fold(html):
    assert html.count("<details>") == html.count("</details>") == 1
    inside = html[html.index("<details>") : html.index("</details>")]
    assert "<table>" in inside
    assert "<svg" not in inside
