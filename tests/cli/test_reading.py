"""Reading options of train, benchmark and describe, and what is said of what was read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from commands import call, rating_lines, succeed

TRAIN = ("train", "--model", "biases", "--no-tracking", "--json", "--out")


@pytest.fixture
def parts(here) -> tuple[str, str, str]:
    """The same ratings in one file, and in two."""
    header, *lines = rating_lines()
    Path("whole.csv").write_text("\n".join([header, *lines]) + "\n")
    Path("a.csv").write_text("\n".join([header, *lines[:100]]) + "\n")
    Path("b.csv.gz").write_bytes(gzip.compress("\n".join([header, *lines[100:]]).encode()))
    return "whole.csv", "a.csv", "b.csv.gz"


def fingerprint(outcome) -> str:
    return outcome.document["origin"]["data_fingerprint"]


def test_several_files_are_one_set_of_ratings(parts):
    whole, a, b = parts
    one = succeed(*TRAIN, "one", "--data", whole)
    two = succeed(*TRAIN, "two", "--data", a, "--data", b)
    listed = succeed(*TRAIN, "three", "--data", whole, "--set", f"data.source=[{a}, {b}]")
    assert fingerprint(one) == fingerprint(two) == fingerprint(listed)
    assert two.err.count("read: ") == 1
    assert f"read: {a}, {b}, 2 files (csv): " in two.err
    assert succeed("evaluate", "two/model", "--json").document["metrics"] == two.document["report"]["metrics"]
    described = [succeed("data", "describe", *files, "--json").document for files in ((whole,), (a, b))]
    assert described[0]["histogram"] == described[1]["histogram"]
    assert described[0]["fingerprint"] == described[1]["fingerprint"] == fingerprint(one)


def test_what_is_read_is_said_before_anything_is_fitted(parts):
    lines = ["user,item,plays,title", *(f"{row % 7},{row},{row + 1},x" for row in range(30))]
    Path("plays.csv").write_text("\n".join(lines) + "\n")
    refused = call(*TRAIN, "run", "--data", "plays.csv")
    assert (refused.code, refused.out, Path("run").exists()) == (2, "", False)
    assert "--set data.columns.rating=plays --set data.feedback=counts" in refused.err
    words = ("--set", "data.columns.rating=plays", "--set", "data.feedback=counts")
    stopped = call(*TRAIN, "run", "--data", "plays.csv", *words)
    read, error = stopped.err.splitlines()
    assert read == (
        "read: plays.csv (csv): 30 counts from 'plays', user from 'user', item from 'item'; ignored: 'title'"
    )
    assert error.startswith("error: biases predicts ratings, but these are counts; the models for such data ")
    found = succeed("data", "describe", "plays.csv", *words)
    assert "none: counts" in found.out
    assert read in found.err
    fewer = succeed("data", "describe", "plays.csv", *words, "--set", "filters.min_rating=11")
    assert fewer.err.splitlines() == [read, "read: filters: 20 of 30 rows have a rating of 11 or more"]


def test_a_benchmark_says_once_what_it_reads(parts):
    Path("b.yaml").write_text(
        "name: b\nseeds: [0, 1]\ndata: {source: whole.csv}\nreference: mean\nmodels:\n"
        "- {name: mean, model: {kind: mean}}\n- {name: biases, model: {kind: biases}}\n"
    )
    outcome = succeed("benchmark", "b.yaml", "--no-tracking", "--json", "--out", "out")
    assert outcome.err.count("read: whole.csv (csv): ") == 1


def test_a_predefined_split_of_other_files_is_no_split_of_these_data(parts, tmp_path):
    whole, *_ = parts
    (tmp_path / "elsewhere").mkdir()
    for name in ("u.base", "u.test"):
        (tmp_path / "elsewhere" / name).write_text("1\t2\t3\n")
    split = (
        f"split={{kind: predefined, train: {tmp_path}/elsewhere/u.base, test: {tmp_path}/elsewhere/u.test}}"
    )
    refused = call(*TRAIN, "run", "--data", whole, "--set", split)
    assert refused.code == 2
    assert "data.source is whole.csv, but the split is made of" in refused.err
    assert "read: " not in refused.err


def test_describe_shows_what_is_there(here):
    Path("odd.csv").write_text(
        "user,item,rating,date\n1,1,-2,2013-02-28\n1,2,0,\n2,1,0,2013-03-01\n2,1,3,2013-03-02\n"
    )
    text = succeed("data", "describe", "odd.csv").out
    facts = {line[2:23].strip(): line[23:].strip() for line in text.splitlines()[1:]}
    assert facts["scale"] == "not declared"
    assert (facts["zeros"], facts["negatives"], facts["duplicates"]) == ("1", "1", "1")
    assert facts["time"].endswith("1 missing")
    bars = [line.split()[:2] for line in text.splitlines() if "█" in line]
    assert bars == [["-2", "1"], ["0", "1"], ["3", "1"]]
