"""Tables say the same in every shape."""

from __future__ import annotations

import io
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from recsys_ae.evaluation.comparison import Difference
from recsys_ae.reporting.tables import (
    Table,
    difference_notes,
    difference_text,
    error_decimals,
    figure_text,
    format_column,
    interval_notes,
    interval_text,
)

RESULTS = Table(
    ("model", "rmse", "users", "seconds", "remark"),
    (
        ("i-autorec", 0.90123456, 6040, 30.25, None),
        ("biases", np.float32(0.9375), np.int64(943), 0.125, None),
        ("als | <b>x</b>", None, None, float("nan"), "DataError: no ratings\nleft"),
    ),
    best={"rmse": "low"},
)


def test_csv_is_read_back_by_pandas_with_all_digits():
    frame = pd.read_csv(io.StringIO(RESULTS.csv()))
    assert tuple(frame.columns) == RESULTS.columns
    assert frame["rmse"].tolist()[:2] == [0.90123456, 0.9375]
    assert frame.loc[2, ["rmse", "users", "seconds"]].isna().all()
    assert frame.loc[2, "model"] == "als | <b>x</b>"
    assert frame.loc[2, "remark"] == "DataError: no ratings\nleft"


@given(
    st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**53), 2**53)), min_size=1
    )
)
def test_every_number_survives_csv(rows):
    frame = pd.read_csv(io.StringIO(Table(("a", "b"), tuple(rows)).csv()), dtype={"a": str})
    assert [(float(a), b) for a, b in zip(frame["a"], frame["b"], strict=True)] == rows


def test_markdown_has_one_line_a_row_and_as_many_cells_as_columns():
    lines = RESULTS.markdown().splitlines()
    assert len(lines) == 2 + len(RESULTS.rows)
    assert all(line.replace("\\|", "").count("|") == len(RESULTS.columns) + 1 for line in lines)
    assert lines[1] == "| --- | ---: | ---: | ---: | --- |"
    assert lines[2] == "| i-autorec | **0.9012** | 6,040 | 30.25 | – |"


def test_html_escapes_and_aligns():
    parser = Cells()
    parser.feed(RESULTS.html())
    assert parser.tags <= {"table", "thead", "tbody", "tr", "th", "td", "strong", "wbr"}
    assert "als | <b>x</b>" in parser.texts
    assert '<td class="number"><strong>0.9012</strong></td>' in RESULTS.html()


def test_terminal_shows_markup_as_it_is():
    console = Console(width=120, file=io.StringIO())
    console.print(Table(("name",), (("[red]x[/red]",),)).terminal())
    assert "[red]x[/red]" in console.file.getvalue()


def test_selected_columns_keep_their_marks():
    part = RESULTS.select(["rmse", "model"])
    assert part.markdown().splitlines()[2] == "| **0.9012** | i-autorec |"


def test_tight_columns_are_not_wrapped():
    table = Table(("a", "b"), (("one two three", "four five six"),), tight=frozenset({"b"}))
    assert '<td class="tight">four five six</td>' in table.html()
    console = Console(width=20, file=io.StringIO())
    console.print(table.terminal())
    assert "four five six" in console.file.getvalue()
    assert "one two three" not in console.file.getvalue()


def test_a_tie_for_best_is_shared_and_a_single_value_wins_nothing():
    tie = Table(("a",), ((1.0,), (1.0,), (0.5,)), best={"a": "high"})
    assert tie.markdown().count("**1.0000**") == 2
    assert "**" not in Table(("a",), ((1.0,), (None,)), best={"a": "high"}).markdown()
    assert "**" not in Table(("a",), ((1.0,), (1.0,), (None,)), best={"a": "high"}).markdown()


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        ([0.5, 0.25], ["0.5000", "0.2500"]),
        ([0.5, 30.0], ["0.50", "30.00"]),
        ([123.456], ["123.5"]),
        ([12345.6], ["12,346"]),
        ([1, 2000], ["1", "2,000"]),
        ([1, 0.5], ["1.0000", "0.5000"]),
        ([0.0, 1e-9, -1e-9], ["0.0000", "<0.0001", ">-0.0001"]),
        ([None, float("nan"), "text", True], ["–", "–", "text", "yes"]),
        ([float("inf"), 1.0], ["inf", "1.0000"]),
        ([], []),
    ],
)
def test_numbers_get_the_digits_that_their_column_needs(cells, shown):
    assert format_column(cells) == shown


@pytest.mark.parametrize(
    ("errors", "decimals"),
    [
        ([0.8875, 0.91], 4),
        ([0.1], 4),
        ([0.09], 5),
        ([0.0027], 6),
        ([0.0009, 0.0027], 6),
        ([0.0027, 0.5, float("nan")], 4),
        ([1e-9], 12),
        ([9.99], 4),
        ([10.0, 0.5], 3),
        ([411.7], 2),
        ([1_727_890.0], 0),
        ([0.0], 4),
        ([], 4),
    ],
)
def test_errors_of_any_unit_have_as_many_digits_as_say_something(errors, decimals):
    assert error_decimals(errors) == decimals


def test_only_errors_of_ratings_have_a_unit():
    assert figure_text("test/rmse", 0.00271828) == "0.002718"
    assert figure_text("mae_warm", 0.871828) == "0.8718"
    assert figure_text("test/ndcg_at_10", 0.00271828) == "0.0027"
    table = Table(("rmse", "ndcg"), ((0.00271828, 0.00271828),), decimals={"rmse": 6})
    for shown in (table, table.select(["rmse", "ndcg"])):
        assert shown.markdown().splitlines()[2] == "| 0.002718 | 0.0027 |"
    assert difference_text(difference(0.2), 6) == "-0.010000 ±0.020000"
    assert interval_text(difference(0.2), 6) == "-0.010000 [-0.030000, +0.010000] p=0.200"


def test_a_short_row_is_refused():
    with pytest.raises(ValueError, match="2 columns"):
        Table(("a", "b"), ((1,),))


def difference(p_adjusted: float, *, n_users: int = 100, n_seeds: int = 1) -> Difference:
    low, high = (np.nan, np.nan) if n_users < 30 else (-0.03, 0.01)
    return Difference("a", "rmse", -0.01, low, high, p_adjusted, p_adjusted, n_users, 0, n_seeds)


@pytest.mark.parametrize(
    ("p_adjusted", "stars", "p"),
    [
        (0.2, "", "p=0.200"),
        (0.05, "", "p=0.050"),
        (0.049, " *", "p=0.049"),
        (0.009, " **", "p=0.009"),
        (0.0009, " ***", "p=0.001"),
        (1e-15, " ***", "p<0.001"),
    ],
)
def test_a_difference_has_the_stars_of_its_p_value(p_adjusted, stars, p):
    assert difference_text(difference(p_adjusted)) == f"-0.0100 ±0.0200{stars}"
    assert interval_text(difference(p_adjusted)) == f"-0.0100 [-0.0300, +0.0100] {p}"


def test_a_difference_that_is_not_tested_says_why():
    few = difference(np.nan, n_users=12)
    assert difference_text(few) == "-0.0100"
    assert interval_text(few) == "-0.0100, too few users (12) for a test"
    assert difference_notes([few, few], "b") == ["Δ: difference to b", "too few users (12) for a test"]
    assert interval_notes([few]) == interval_notes([]) == difference_notes([], "b") == []


def test_notes_say_what_the_intervals_cover():
    one, three = (difference(0.5, n_seeds=n_seeds) for n_seeds in (1, 3))
    assert "one seed does not tell what another split or fit would change" in difference_notes([one], "b")[1]
    assert difference_notes([three, difference(np.nan, n_users=2)], "b")[1:] == [
        "intervals cover other users and other seeds (3 were run)",
        "too few users (2) for a test",
    ]
    fits = [interval_notes([each], one_split=True)[1] for each in (one, three)]
    assert fits[0].endswith("one seed does not tell what another fit would change")
    assert fits[1] == "intervals cover other users and other fits (3 seeds of one split were run)"
    assert interval_notes([three])[1:] == difference_notes([three], "b")[1:]
    assert "half of its 95 % interval; * p < 0.05" in difference_notes([one], "b")[0]


class Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.texts = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.texts.append(data)


def test_renamed_columns_keep_what_is_known_of_them():
    table = Table(("model", "ndcg_at_10"), (("a", 0.12345), ("b", 0.2)), {"ndcg_at_10": "high"},
                  decimals={"ndcg_at_10": 2})  # fmt: skip
    shown = table.renamed({"ndcg_at_10": "NDCG@10", "rmse": "RMSE"})
    assert shown.columns == ("model", "NDCG@10")
    assert shown.markdown().splitlines()[2:] == ["| a | 0.12 |", "| b | **0.20** |"]
