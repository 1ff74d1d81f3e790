"""An expression on the columns of a table of items, such as `genre == "Comedy" and year >= 1990`.

It is written as for pandas' `DataFrame.query`, and read by its syntax tree: nothing but columns, values,
comparisons, arithmetic and logic has a meaning here, so that it can neither call nor reach anything. Unlike
there, what is missing is unknown: a comparison with it is neither true nor false, as in SQL.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recsys_ae.errors import ConfigError, brief, cut, reason
from recsys_ae.types import BoolVector

_COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt,
    ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_COMPUTED: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_PARTS = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|`([^`]*)`|([&|])""")
_WORDS = {"&": " and ", "|": " or "}
_UNREADABLE = (SyntaxError, RecursionError, MemoryError)  # the last two of what is nested too deep
_COLUMN = "column_in_quotes_"  # stands for a name between backticks


@dataclass(frozen=True, slots=True, eq=False)
class _Truth:
    """(m,) whether rows are surely so, and surely not so; neither where something is missing."""

    so: BoolVector
    not_so: BoolVector


def matching(table: pd.DataFrame, expression: str) -> BoolVector:
    """(m,) the rows of the table for which the expression is true.

    Columns are named as they are, or `between backticks`; values are numbers, texts, True and False.
    There are == != < <= > >= (in chains, too), in and not in a list, + - * / // %, and, or and not, for which
    &, | and ~ may be written.

    Raises ConfigError, with the columns that there are, for anything else, for columns that are not there,
    for values that cannot be compared, and for an expression that is neither true nor false.
    """
    try:
        return _Reading(table, *_parsed(expression)).truth_of_all()
    except (_Wrong, *_UNREADABLE, ArithmeticError, TypeError, ValueError) as error:
        problem = "is no expression" if isinstance(error, _UNREADABLE) else reason(error)
        raise ConfigError(
            f"where: {brief(expression)}: {problem}; the columns are {_shown(table)}, and an expression is "
            """such as 'genre == "Comedy" and year >= 1990'"""
        ) from None


class _Wrong(Exception):
    """Something in an expression that has no meaning here."""


def _shown(table: pd.DataFrame) -> str:
    names = [str(name) for name in table.columns]
    return cut(", ".join(names[:12]) + (", …" if len(names) > 12 else ""), 200)


def _parsed(expression: str) -> tuple[ast.expr, list[str]]:
    """The tree, and the names between backticks, which stand in it by their number."""
    quoted: list[str] = []

    def plain(found: re.Match[str]) -> str:
        text, name, sign = found.groups()
        if text is not None:
            return text
        if sign is not None:
            return _WORDS[sign]
        quoted.append(name)
        return f"{_COLUMN}{len(quoted) - 1}"

    outside_texts = _PARTS.sub(lambda found: "" if found[1] else found[0], expression)
    for sign in ("@", "__"):
        if sign in re.sub("`[^`]*`", "", outside_texts):
            raise _Wrong(f"{sign} has no meaning here")
    with warnings.catch_warnings():  # of odd texts and numbers
        warnings.simplefilter("ignore")
        return ast.parse(_PARTS.sub(plain, expression.strip()), mode="eval").body, quoted


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    table: pd.DataFrame
    tree: ast.expr
    quoted: list[str]

    def truth_of_all(self) -> BoolVector:
        return self._truth(self.tree).so

    def _truth(self, node: ast.expr) -> _Truth:
        match node:
            case ast.BoolOp(op=op, values=values):
                parts = [self._truth(value) for value in values]
                so, not_so = [part.so for part in parts], [part.not_so for part in parts]
                if isinstance(op, ast.And):
                    return _Truth(np.logical_and.reduce(so), np.logical_or.reduce(not_so))
                return _Truth(np.logical_or.reduce(so), np.logical_and.reduce(not_so))
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                inner = self._truth(operand)
                return _Truth(inner.not_so, inner.so)
            case ast.Compare(left=left, ops=ops, comparators=others):
                sides = [left, *others]
                parts = [self._compared(op, *sides[k : k + 2]) for k, op in enumerate(ops)]
                every = np.logical_and.reduce([part.so for part in parts])
                return _Truth(every, np.logical_or.reduce([part.not_so for part in parts]))
        return self._truth_of_values(self._value(node), node)

    def _truth_of_values(self, value: Any, node: ast.expr) -> _Truth:
        """Of a column of true and false."""
        known = self._known(value)
        if isinstance(value, pd.Series):
            values = value[known].tolist()
            if values and all(isinstance(each, bool) for each in values):
                so = np.zeros(len(value), dtype=bool)
                so[known] = values
                return _Truth(so, known & ~so)
        raise _Wrong(f"{brief(ast.unparse(node))} is neither true nor false")

    def _compared(self, op: ast.cmpop, left: ast.expr, right: ast.expr) -> _Truth:
        if isinstance(op, (ast.In, ast.NotIn)):
            return self._among(left, right, isinstance(op, ast.In))
        if type(op) not in _COMPARED:
            raise _Wrong("'is' has no meaning here, write ==")
        one, other = self._value(left), self._value(right)
        known = self._known(one) & self._known(other)
        if _kinds_differ(one, other):
            raise _Wrong(f"{brief(ast.unparse(left))} and {brief(ast.unparse(right))} are of different kinds")
        found = self._all_rows(_COMPARED[type(op)](_only(one, known), _only(other, known)), known)
        return _Truth(found, known & ~found)

    def _among(self, left: ast.expr, right: ast.expr, wanted: bool) -> _Truth:
        if not isinstance(right, (ast.List, ast.Tuple)):
            raise _Wrong("'in' needs a list, such as [1, 2]")
        value, values = self._value(left), [self._value(each) for each in right.elts]
        if not isinstance(value, pd.Series) or any(isinstance(each, pd.Series) for each in values):
            raise _Wrong("'in' asks whether a column is among values")
        known = self._known(value)
        if any(_kinds_differ(value, each) for each in values):
            raise _Wrong(f"{brief(ast.unparse(left))} and values of the list are of different kinds")
        found = value.isin(values).to_numpy(dtype=bool) & known
        return _Truth(found, known & ~found) if wanted else _Truth(known & ~found, found)

    def _value(self, node: ast.expr) -> Any:
        """A column, or one value."""
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as value):
                return value
            case ast.Name(id=name):
                return self._column(name)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=operand):
                value = _number(self._value(operand), operand)
                return -value if isinstance(op, ast.USub) else value
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _COMPUTED:
                one, other = (_number(self._value(side), side) for side in (left, right))
                return _COMPUTED[type(op)](one, other)
        raise _Wrong(f"{brief(ast.unparse(node))} has no meaning here")

    def _column(self, name: str) -> pd.Series:
        if name.startswith(_COLUMN):
            name = self.quoted[int(name.removeprefix(_COLUMN))]
        if name not in self.table.columns:
            raise _Wrong(f"there is no column {brief(name)}")
        return self.table[name]

    def _known(self, value: Any) -> BoolVector:
        if isinstance(value, pd.Series):
            return value.notna().to_numpy()
        return np.ones(len(self.table), dtype=bool)

    def _all_rows(self, found: Any, known: BoolVector) -> BoolVector:
        """What was found of the known rows, among all; of two values that are no columns: of every row."""
        whole = np.zeros(len(known), dtype=bool)
        whole[known] = np.asarray(found, dtype=bool)
        return whole


def _only(value: Any, rows: BoolVector) -> Any:
    return value[rows] if isinstance(value, pd.Series) else value


def _is_number(value: Any) -> bool:
    if isinstance(value, pd.Series):
        return bool(pd.api.types.is_numeric_dtype(value.dtype))
    return isinstance(value, (bool, int, float))


def _is_text(value: Any) -> bool:
    if isinstance(value, pd.Series):
        return pd.api.types.infer_dtype(value, skipna=True) == "string"
    return isinstance(value, str)


def _kinds_differ(one: Any, other: Any) -> bool:
    """Whether one is of numbers and the other of texts, which are never equal: a mistake."""
    return (_is_number(one) and _is_text(other)) or (_is_text(one) and _is_number(other))


def _number(value: Any, node: ast.expr) -> Any:
    if not _is_number(value):
        raise _Wrong(f"{brief(ast.unparse(node))} is no number to be computed with")
    return float(value) if isinstance(value, int) else value
