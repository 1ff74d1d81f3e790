"""YAML as the core schema of YAML 1.2 has it, within bounds."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recsys_ae.settings.documents import Broken, parse

CORE = {
    "2024-13-45": "2024-13-45", "2024-01-02": "2024-01-02", "yes": "yes", "off": "off", "1:30": "1:30",
    "1_000": "1_000", "0x10": "0x10", "010": 10, "08": 8, "-3": -3, "+3": 3, "1e3": 1000.0, "1e-3": 0.001,
    ".5": 0.5, "2.": 2.0, "1.5e+2": 150.0, ".inf": float("inf"), "-.inf": -float("inf"), "true": True,
    "False": False, "null": None, "~": None, "": None, "nan": "nan", "e3": "e3", ".": ".", "-": [None],
    "!!str 5": "5", '"5"': "5", "[1, a]": [1, "a"], "{a: 1}": {"a": 1}, "a: &x 1\nb: *x": {"a": 1, "b": 1},
}  # fmt: skip


@pytest.mark.parametrize("text", CORE)
def test_plain_values_are_those_of_the_core_schema(text):
    found = parse(text)
    assert found == CORE[text]
    assert type(found) is type(CORE[text])


documents = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63) + 1, 2**63 - 1), st.floats(allow_nan=False),
        st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(documents)
def test_what_yaml_writes_is_read_back(document):
    assert parse(yaml.safe_dump(document)) == document


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("!!int x", "'x' is no int"),
        ("a: !!float x", "'x' is no float"),
        ("!!timestamp x", "'x' is no timestamp"),
        ("!!bool x", "'x' is no bool"),
        ("!!binary x", "failed to decode base64 data"),
        ("9" * 19, "a whole number has more than 63 bits"),
        ("9223372036854775808", "a whole number has more than 63 bits"),
        ("-9223372036854775808", "a whole number has more than 63 bits"),
        ("9" * 5_000, "is no int"),
        ("[" * 100_000, "is nested too deep"),
        ("{a: " * 3_000, "is nested too deep"),
        ("- " * 3_000, "is nested too deep"),
        (BOMB, "has more than 100,000 values"),
        ("&a [*a]", "holds itself by an alias"),
        ('"\\0"', "a text holds a NUL"),
        ("a: \x1b[31m", "unacceptable character"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("{a: 1, a: 2}", "the key 'a' is given twice"),
        ("{[a]: 1}", "a key must be a text"),
    ],
)  # fmt: skip
def test_what_is_no_config_is_refused(text, problem):
    with pytest.raises(Broken) as raised:
        parse(text)
    assert problem in raised.value.problem
    assert len(raised.value.problem) < 300
