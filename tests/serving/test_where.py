"""Expressions on the columns of a table: what they mean, and that they can do nothing else."""

from __future__ import annotations

import operator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_ae.errors import ConfigError
from recsys_ae.serving.where import matching

SIGNS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, ">=": operator.ge}
GENRES = ("Comedy", "Drama", "a and b", 'x"y')
ITEMS = pd.DataFrame(
    {
        "genre": ["Comedy", "Drama", None, "Comedy", "War"],
        "year": [1990, 1985, 2001, np.nan, 1999],
        "sold": [True, False, True, None, False],
        "list price": [1.5, 2.0, 0.0, -1.0, 4.0],
        "day": pd.to_datetime(["2020-01-01", None, "2021-05-05", "2022-02-02", "2019-01-01"]),
        "kind": pd.Categorical(["a", "b", "a", None, "b"]).astype(object),
    }
)


@st.composite
def expressions(draw, depth: int = 3):
    """(text, function of a row that gives True, False or, where it is unknown, None)."""
    kind = draw(st.sampled_from(["compare", "in", "not", "and", "or"] if depth else ["compare", "in"]))
    if kind == "compare":
        column, values = draw(st.sampled_from([("year", (1, 2, 3)), ("genre", GENRES)]))
        sign, value = draw(st.sampled_from(sorted(SIGNS))), draw(st.sampled_from(values))
        text = f"{column} {sign} {value!r}"
        return text, lambda row: None if row[column] is None else bool(SIGNS[sign](row[column], value))
    if kind == "in":
        values, word = (
            draw(st.lists(st.sampled_from((1, 2, 3)), max_size=2)),
            draw(st.sampled_from(["", "not "])),
        )
        text = f"year {word}in {values}"
        return text, lambda row: None if row["year"] is None else (row["year"] in values) != bool(word)
    text, inner = draw(expressions(depth - 1))
    if kind == "not":
        return draw(st.sampled_from(["not ({})", "~({})"])).format(
            text
        ), lambda row: None if inner(row) is None else not inner(row)
    other_text, other = draw(expressions(depth - 1))
    word = draw(st.sampled_from({"and": ["and", "&"], "or": ["or", "|"]}[kind]))
    decided = kind == "or"

    def joined(row):
        found = {inner(row), other(row)}
        return decided if decided in found else None if None in found else not decided

    return f"({text}) {word} ({other_text})", joined


@given(
    expressions(),
    st.lists(st.tuples(st.sampled_from((1, 2, 3, None)), st.sampled_from((*GENRES, None))), min_size=1),
)
def test_what_is_missing_is_neither_true_nor_false(expression, rows):
    text, slow = expression
    years, genres = zip(*rows, strict=True)
    table = pd.DataFrame({"year": pd.array(years, dtype="float64"), "genre": pd.Series(genres, dtype=object)})
    expected = [slow({"year": year, "genre": genre}) is True for year, genre in rows]
    assert matching(table, text).tolist() == expected
    if None not in years and None not in genres:
        assert table.query(text).index.tolist() == np.flatnonzero(expected).tolist()


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        ('genre == "Comedy" and year >= 1990', [0]),
        ('genre == "Comedy" or year > 1998', [0, 2, 3, 4]),
        ("1986 <= year < 2000", [0, 4]),
        ("sold", [0, 2]),
        ("not sold", [1, 4]),
        ("sold == False", [1, 4]),
        ('genre not in ["Comedy"]', [1, 4]),
        ("`list price` * 2 - 1 > year - 1999", [0, 1, 4]),
        ("-`list price` >= 0", [2, 3]),
        ('day >= "2020-01-01" & day < "2022"', [0, 2]),
        ('genre != "Comedy"', [1, 4]),
        ("1 == 1", [0, 1, 2, 3, 4]),
        ("year / `list price` > 1e300", [2]),
        ("year // 10 == 199 and year % 10 != 0", [4]),
        ('genre == "a @ b __"', []),
    ],
)
def test_expressions_mean_what_they_say(expression, rows):
    assert np.flatnonzero(matching(ITEMS, expression)).tolist() == rows


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("genre.to_pickle('x')", "has no meaning here"),
        ("genre.str.len() > 3", "has no meaning here"),
        ("__import__('os')", "__ has no meaning here"),
        ("@os.system('x')", "@ has no meaning here"),
        ("open('x')", "neither true nor false|has no meaning here"),
        ("[x for x in year]", "has no meaning here"),
        ("year if sold else year", "has no meaning here"),
        ("lambda: 1", "has no meaning here"),
        ("year[0] > 1", "has no meaning here"),
        ("9 ** 9 ** 9 > year", "has no meaning here"),
        ("'a' * 99999999 == genre", "is no number to be computed with"),
        ("price > 1", "there is no column 'price'"),
        ("`no such` > 1", "there is no column 'no such'"),
        ("year", "'year' is neither true nor false"),
        ("year + 1", "is neither true nor false"),
        ("genre", "is neither true nor false"),
        ("year = 1990", "is no expression"),
        ("year >", "is no expression"),
        ("", "is no expression"),
        ("(" * 900, "is no expression"),
        ("not " * 3000 + "sold", "is no expression"),
        ("genre > 3", "'genre' and '3' are of different kinds"),
        ('year == "1990"', "are of different kinds"),
        ('year in ["1990"]', "are of different kinds"),
        ("year in sold", "'in' needs a list"),
        ("year is 3", "'is' has no meaning here, write =="),
        ("year > 1 / 0", "division by zero"),
        ('day > "soon"', "where"),
    ],
)
def test_everything_else_is_refused_in_a_sentence(expression, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said) as raised:
        matching(ITEMS, expression)
    text = str(raised.value)
    assert "the columns are genre, year, sold, list price, day, kind" in text
    assert text.count("\n") == 0
    assert list(tmp_path.iterdir()) == []
