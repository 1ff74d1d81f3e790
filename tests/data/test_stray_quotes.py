"""Quotes that should not be there: the rows between them are named, and texts of several lines are read."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import sentence_of

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.load import read_triples
from recsys_ae.errors import DataError

HEADER = "user,item,rating,title\n"
N = 30_000


def lines(n: int = N) -> list[str]:
    return [f"{i},{i % 777},{i % 5 + 1},M{i}" for i in range(n)]


def check_all_or_none(path: Path, text: str, n_rows: int) -> None:
    path.write_text(text, newline="")
    try:
        found = read_triples(DataConfig(source=str(path), feedback="ratings"))
    except DataError:
        return
    assert len(found) == n_rows


def with_line(number: int, text: str, rows: list[str]) -> None:
    """`number`: of the line in the file, of which the header is the first."""
    rows[number - 2] = text


STRAY: list[tuple[str, dict[int, str], str]] = [
    ("to the end", {100: '1000,777,5,"Heat'}, ", line 100: a quote opens here and is not closed"),
    (
        "to a quoted text",
        {100: '1000,777,5,"Heat', 150: '7,8,5,"Heat, The"'},
        ", line 100: a quote opens here and is closed amid a text in line 150; remove it",
    ),
    (
        "to another stray quote",
        {100: '1000,777,5,"Heat', 2000: '7,8,5,Ronin"'},
        ", line 100: a quote opens here and is not closed within|takes in line 101, which looks like a row",
    ),
    (
        "over one row",
        {100: '1000,777,5,"Heat', 101: '7,8,5,Ronin"'},
        ", line 100: a quote opens in this row and takes in line 101, which looks like a row of its own",
    ),
    ("amid a text", {100: '1000,777,5,"Heat" 2'}, ", line 100: a text goes on after the quote that ends it"),
    ("in a used column", {100: '1000,"777,5,Heat'}, ", line 100: a quote opens here and is not closed"),
    (
        "a line break",
        {100: '1000,"77\n7",5,Heat'},
        ", line 100: a line break stands within quotes in a field",
    ),
    ("a NUL", {100: "10\x0000,777,5,Heat"}, ", line 100: holds a NUL"),
    ("a NUL beside", {100: "1000,777,5,He\x00at"}, ", line 100: holds a NUL"),
]


@pytest.mark.parametrize(("changes", "said"), [case[1:] for case in STRAY], ids=[case[0] for case in STRAY])
@pytest.mark.parametrize("early", [0, 20_000], ids=["early", "late"])
def test_what_swallows_rows_is_named_with_its_line(changes, said, early, tmp_path):
    rows = lines()
    for number, text in changes.items():
        with_line(number + early, text, rows)
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n", newline="")
    said = re.sub(r"line (\d+)", lambda found: f"line {int(found[1]) + early}", said)
    assert re.search(said, sentence_of(path))


def test_a_quote_that_is_never_closed_is_named_where_it_opens(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text('user,item,rating,title,text\n1,2,3,"a ""b""\nc ""d""","\n2,2,3,,c\nd\n')
    with pytest.raises(
        DataError, match=r"line 3: a quote opens here and is not closed; close it or remove it"
    ):
        read_triples(DataConfig(source=str(path)))


def test_line_breaks_in_columns_that_are_not_read_are_text(tmp_path):
    texts = [
        "Loved it,\nreally",
        "1,2\n3",
        "a\r\n\r\nb",
        'she said "no"\n',
        "plain",
        "5\n4\n3",
        "x, y, z, 1\n9",
        "so\nwell, yes, it was, nice\nindeed",
        "scores:\n1,2,3\nthe end",
    ]
    frame = pd.DataFrame({"user": range(900), "item": range(900), "rating": 3, "title": texts * 100})
    path = tmp_path / "ratings.csv"
    frame.to_csv(path, index=False)
    found = read_triples(DataConfig(source=str(path)))
    assert [found.users[row] for row in range(len(found))] == [str(user) for user in frame.user]


@given(
    rows=st.lists(
        st.tuples(*[st.integers(0, 9)] * 2, st.integers(1, 5), st.text("ab,\"\n\r5 é", max_size=8)),
        min_size=1, max_size=30,
    ),
    stray=st.integers(0, 40),
)  # fmt: skip
def test_a_file_with_a_stray_quote_gives_all_rows_or_none(rows, stray, tmp_path_factory):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows([["user", "item", "rating", "title"], *rows])
    text = buffer.getvalue()
    text = text if stray >= len(text) else text[:stray] + '"' + text[stray:]
    path = tmp_path_factory.mktemp("stray") / "ratings.csv"
    check_all_or_none(path, text, len(rows))


OPENING = '1000,777,5,1000000000,"Heat'
SWALLOWED = [
    ("no timestamp", '1000,777,5,,"Heat', 'abc,8,4,1000000000,Ronin"'),
    ("a word among numbers", OPENING, '1000X,8,4,1000000000,Ronin"'),
    ("no rating", OPENING, '8,8,,1000000000,Ronin"'),
    ("no number", OPENING, '8,8,n/a,1000000000,Ronin"'),
    ("a comma more", OPENING, '8,8,4,1000000000,R,"'),
    ("empty texts", OPENING, '8,8,4,1000000000,"","'),
    ("a title with a comma", OPENING, '8,8,4,1000000000,Ronin, The"'),
    ("a name with a space", OPENING, 'Ann Lee,8,4,1000000000,Ronin"'),
    ("a space and a word", OPENING, 'abc, 8,4,1000000000,Ronin"'),
    ("spaces", OPENING, '8, 8, 4, 1000000000, Ronin"'),
]


@pytest.mark.parametrize(("opening", "closing"), [c[1:] for c in SWALLOWED], ids=[c[0] for c in SWALLOWED])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_rows_between_two_stray_quotes_are_named_whatever_they_hold(opening, closing, separator, tmp_path):
    plain = [f"{i},{i % 777},{i % 5 + 1},1000000000,M" for i in range(50)]
    rows = ["user,item,rating,timestamp,title", *plain, opening, closing, *plain]
    path = tmp_path / "ratings.csv"
    path.write_text("".join(row.replace(",", separator) + "\n" for row in rows))
    said = sentence_of(path)
    assert said.startswith(", line 52: "), said
    assert "takes in line 53, which looks like a row" in said or "goes on after the quote" in said


@pytest.mark.parametrize("names", ["title user item rating", "user title item rating", "user item title"])
def test_rows_between_two_stray_quotes_are_named_wherever_the_text_stands(names, tmp_path):
    place = names.split().index("title")
    rows = [[f"M{i}" if name == "title" else str(i % 5 + 1) for name in names.split()] for i in range(50)]
    rows[20][place], rows[22][place] = '"Heat', 'Ronin, the best"'
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(",".join(row) for row in [names.split(), *rows]))
    assert ", line 22: a quote opens in this row and takes in line 23" in sentence_of(path)


REVIEWS = [
    "Good, bad, ugly, and more,\nI paid 1,000,000 dollars, in all, wow, 5\nreally",
    "It was good,\nas I said on July 4, 1995, in Rome, and it was not, as you say, bad",
    'he said: "a, b, c, and d"\nand then, well, no, more',
    "1, 2\n\n3",
]


@pytest.mark.parametrize(
    "names",
    ["user item rating text", "user item text rating", "text user item rating timestamp", "user item text"],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_reviews_of_several_lines_with_commas_are_text(names, separator, tmp_path):
    n = 40
    frame = pd.DataFrame({"user": range(n), "item": range(n), "rating": 3, "timestamp": 10**9})
    frame["text"] = [text.replace(",", separator) for text in REVIEWS] * (n // len(REVIEWS))
    path = tmp_path / ("ratings.tsv" if separator == "\t" else "ratings.csv")
    frame[names.split()].to_csv(path, index=False, sep=separator)
    found = read_triples(DataConfig(source=str(path)))
    assert [found.users[row] for row in range(n)] == [str(user) for user in frame.user]


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["7", "1000", "abc", "043900153X", "007"]), st.sampled_from(["1", "x", "12"]),
            st.sampled_from(["5", "3.5", "1", ""]), st.sampled_from(["", "1000000000"]),
            st.sampled_from(["Heat", "", "Ronin, The", "a,b", "M 5", '"Heat, The"']),
        ),
        min_size=2, max_size=12,
    ),
    order=st.permutations(range(5)), strays=st.lists(st.integers(0, 400), min_size=1, max_size=3),
)  # fmt: skip
def test_stray_quotes_around_any_rows_give_all_rows_or_none(rows, order, strays, tmp_path_factory):
    table = [("user", "item", "rating", "timestamp", "title"), *rows]
    text = "".join(",".join(row[place] for place in order) + "\n" for row in table)
    start = text.index("\n") + 1
    for stray in strays:
        place = start + stray % (len(text) - start)
        text = text[:place] + '"' + text[place:]
    path = tmp_path_factory.mktemp("strays") / "ratings.csv"
    check_all_or_none(path, text, len(rows))


def test_sentences_between_words_are_no_rows(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text('user,item,rating,title\nann,heat,3,"so\nI saw it, he did,3,really\nend"\nbob,heat,4,x\n')
    assert len(read_triples(DataConfig(source=str(path)))) == 2


def test_a_return_within_quotes_in_a_field_that_is_read_is_named(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + '1,"7\r7",5,Heat\n2,3,4,Ronin\n', newline="")
    assert ", line 2: a line break stands within quotes in a field that is read" in sentence_of(path)


def test_lines_are_numbered_as_in_the_file_after_rows_of_several(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + '1,2,3,"a\nb"\n2,2,3,c\n3,2,3\n')
    assert sentence_of(path) == ", line 5: has 3 fields instead of 4"


def test_a_field_without_end_is_named_with_its_line(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + f'1,2,3,"a\nb"\n2,2,3,{"x" * 200_000}\n')
    assert sentence_of(path) == ", line 4: a field has more than 131,072 characters; shorten it"
