"""Figures of pages: everything that is said can be found in them, and axes span what is drawn."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_ae.reporting.axes import NARROW, WIDE, Figure, Point, value_range
from recsys_ae.reporting.figures import Mark, marks_figure, points_figure
from recsys_ae.reporting.lines import Line, lines_figure
from recsys_ae.reporting.svg import fitted, series_of, spread, text_width, tick_texts, ticks

NAN = math.nan


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter("text")]


def inside(figure: Figure) -> None:
    """Nothing is drawn outside of either drawing but what a font may take more."""
    for svg, width in ((figure.wide, WIDE), (figure.narrow, NARROW)):
        root = ElementTree.fromstring(svg)
        height = float(root.get("viewBox").split()[3])
        for node in root.iter():
            for name, value in node.attrib.items():
                if name in ("x", "x1", "x2", "cx"):
                    assert -1 <= float(value) <= width + 1, (node.tag, node.attrib)
                if name in ("y", "y1", "y2", "cy"):
                    assert -1 <= float(value) <= height + 1, (node.tag, node.attrib)


def marks(n: int) -> list[Mark]:
    return [Mark(f"model-{i}", series_of(i), 0.1 * i, 0.1 * i - 0.05, 0.1 * i + 0.05, f"{0.1 * i:.4f}")
            for i in range(n)]  # fmt: skip


def test_every_model_is_named_with_its_value_in_both_widths():
    failed = Mark("failed", "other", NAN, NAN, NAN, "no result")
    figure = marks_figure("RMSE", [*marks(12), failed], axis="lower is better", note="")
    inside(figure)
    for svg in (figure.wide, figure.narrow):
        found = texts(svg)
        assert all(mark.name in found and mark.text in found for mark in (*marks(12), failed))
        assert "lower is better" in found
    assert "model-3 0.3000" in figure.label


def test_whiskers_end_where_the_intervals_do():
    """By the labels of the axis, which are round numbers in the same units."""
    figure = marks_figure("RMSE", marks(4), axis="", note="")
    root = ElementTree.fromstring(figure.wide)
    grid = [float(node.get("x1")) for node in root.iter("line") if node.get("class") == "grid"]
    plain = [text.replace("\N{MINUS SIGN}", "-") for text in texts(figure.wide)]
    numbers = [float(text) for text in plain if re.fullmatch(r"-?\d\.\d{1,2}", text)]
    scale = (numbers[-1] - numbers[0]) / (grid[-1] - grid[0])
    for mark, node in zip(
        marks(4), [n for n in root.iter("line") if "whisker" in n.get("class")], strict=True
    ):
        ends = [numbers[0] + scale * (float(node.get(name)) - grid[0]) for name in ("x1", "x2")]
        assert ends == pytest.approx([mark.low, mark.high], abs=1e-3)


def test_a_difference_is_shown_with_zero_and_the_way_to_the_better():
    figure = marks_figure("Δ", marks(3)[1:], axis="", note="", zero="mf", ends=("← better", "worse →"))
    inside(figure)
    assert 'class="zero"' in figure.wide
    assert "worse →" in texts(figure.wide)


def test_points_stand_by_their_time_and_the_front_leaves_out_what_is_slower_and_worse():
    points = [Point("fast", "s0", 0.1, 0.5), Point("slow", "s1", 10.0, 0.9), Point("both", "s2", 20.0, 0.6)]
    figure = points_figure("NDCG", points, axis="", across="", higher_is_better=True, note="")
    inside(figure)
    front = re.search(r'<path d="([^"]+)" class="front"/>', figure.wide)[1]
    assert front.count("L") == 2  # across at the height of the fast one, and up to the slow one
    low = points_figure("RMSE", points, axis="", across="", higher_is_better=False, note="")
    assert re.search(r'<path d="([^"]+)" class="front"/>', low.wide)[1].count("L") == 0
    assert {"fast", "slow", "both"} <= set(texts(figure.narrow))


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 5.0, 1e7])
@pytest.mark.parametrize("value", [0.0, -3.0, 1e-9, 1e9])
def test_a_single_point_of_any_size_is_drawn(seconds, value):
    inside(
        points_figure(
            "a", [Point("b", "s0", seconds, value)], axis="", across="", higher_is_better=True, note=""
        )
    )


def test_lines_are_named_apart_and_gaps_are_left():
    points = [Point("", "", x, y) for x, y in enumerate((NAN, 0.5, 0.4))]
    lines = [Line(f"model-{i}", series_of(i), points, best=2) for i in range(9)]
    figure = lines_figure("curve", lines, axis="", across="epoch", note="")
    inside(figure)
    named = [
        n for n in ElementTree.fromstring(figure.narrow).iter("text") if (n.text or "").startswith("model")
    ]
    heights = sorted(float(node.get("y")) for node in named)
    assert all(b - a >= 13.9 for a, b in pairwise(heights))
    assert "nan" not in figure.wide


def test_an_axis_is_never_shorter_than_what_it_must_span():
    flat = [Line("a", "s0", [Point("", "", x, 0.5) for x in range(3)])]
    figure = lines_figure("curve", flat, axis="", across="", note="", span=0.2)
    numbers = [float(text) for text in texts(figure.wide) if re.fullmatch(r"0\.\d+", text)]
    assert max(numbers) - min(numbers) >= 0.15
    assert value_range([1.0, 2.0, NAN])[0] < 1.0
    low, high = value_range([3.0])
    assert low < 3.0 < high
    assert value_range([0.9, 1.0], most=1.0)[1] == 1.0
    assert value_range([0.2, 0.3], most=1.0)[1] < 0.4


def test_no_axis_of_shares_goes_beyond_one():
    points = [Point("a", "s0", 1.0, 0.98), Point("b", "s1", 2.0, 1.0)]
    marked = [Mark(p.name, p.series, p.y, NAN, NAN, "") for p in points]
    for figure in (
        marks_figure("", marked, axis="", note="", most=1.0),
        points_figure("", points, axis="", across="", higher_is_better=True, note="", most=1.0),
        lines_figure("", [Line("a", "s0", points)], axis="", across="", note="", most=1.0),
    ):
        inside(figure)
        numbers = [float(text) for text in texts(figure.wide) if re.fullmatch(r"[01]\.\d+", text)]
        assert max(numbers) <= 1.0


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e6), st.integers(2, 9))
def test_ticks_are_few_even_and_within(low, size, most):
    found = ticks(low, low + size, most)
    assert 1 <= len(found) <= most
    assert all(low - 1e-6 * size <= tick <= low + size * (1 + 1e-6) for tick in found)
    assert len(set(tick_texts(found))) == len(found)


def test_tick_texts_have_the_decimals_that_tell_them_apart():
    assert tick_texts([0.0, 0.025, 0.05]) == ["0.000", "0.025", "0.050"]
    assert tick_texts([-0.5, 0.0, 0.5]) == ["\N{MINUS SIGN}0.5", "0.0", "0.5"]
    assert tick_texts([1000.0, 2000.0]) == ["1,000", "2,000"]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_spread_keeps_the_order_and_the_gap(wanted):
    found = spread(wanted, 10, 0, 100)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    assert all(found[b] - found[a] >= 10 - 1e-9 for a, b in pairwise(order))
    assert all(-1e-9 <= place <= 100 + 1e-9 for place in found)


def test_long_names_are_cut_in_their_middle():
    assert fitted("short", 100) == "short"
    cut = fitted("a-very-long-name-of-a-model-with-settings", 100)
    assert cut.startswith("a-very")
    assert cut.endswith("settings"[-4:])
    assert text_width(cut) <= 100
