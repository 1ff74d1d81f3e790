"""One table, four ways to show it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rich.cells import cell_len
from rich.table import Table as TerminalTable
from rich.text import Text

from recsys_ae.errors import printable
from recsys_ae.metrics import is_rating_metric

if TYPE_CHECKING:
    from recsys_ae.evaluation.comparison import Difference

MISSING = "–"
DECIMALS = 4  # of figures below 10
STARS = "* p < 0.05, ** p < 0.01, *** p < 0.001 (Holm's method over all Δ)"


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of texts, numbers and gaps (None or NaN).

    `best`: columns whose lowest ("low") or highest ("high") number is set in bold. Shown, the numbers of a
    column have the same decimals, as many as its largest needs; `csv` keeps them in full. `decimals`: of
    columns whose numbers below 10 need others than four. `tight`: columns of texts that are never wrapped, as
    those of numbers are. ValueError where a row is not as long as the
    columns.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    best: Mapping[str, Literal["low", "high"]] = field(default_factory=dict)
    tight: frozenset[str] = frozenset()
    decimals: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells for {len(self.columns)} columns: {row!r}")

    def markdown(self) -> str:
        """A pipe table, numbers to the right, ending in a newline."""
        rule = ["---:" if right else "---" for right in self._to_the_right()]
        lines = [[_pipe_safe(name) for name in self.columns], rule]
        for row in self._shown():
            lines.append([f"**{_pipe_safe(text)}**" if bold else _pipe_safe(text) for text, bold in row])
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def csv(self) -> str:
        """Comma-separated, numbers in full, gaps empty: what pandas.read_csv reads back."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([["" if _is_gap(cell) else _plain(cell) for cell in row] for row in self.rows])
        return out.getvalue()

    def terminal(self) -> TerminalTable:
        """For a rich console; texts without markup and control characters, wrapped between words."""
        table = TerminalTable(box=None, pad_edge=False, header_style="bold")
        shown = [[(printable(text), bold) for text, bold in row] for row in self._shown()]
        for place, (column, right) in enumerate(zip(self.columns, self._to_the_right(), strict=True)):
            name = printable(column)
            texts = [name, *(row[place][0] for row in shown)]
            tight = right or column in self.tight
            parts = texts if tight else [word for text in texts for word in text.split()]
            least = max(map(cell_len, parts), default=0)
            justify: Literal["left", "right"] = "right" if right else "left"
            table.add_column(Text(name), justify=justify, no_wrap=tight, min_width=least)
        for row in shown:
            table.add_row(*(Text(text, style="bold" if bold else "") for text, bold in row))
        return table

    def html(self) -> str:
        """A <table> with every text escaped; cells of numbers have the class "number", those of other tight
        columns "tight". Names of columns may be broken after an underscore."""
        marks = [
            ' class="number"' if right else ' class="tight"' if name in self.tight else ""
            for name, right in zip(self.columns, self._to_the_right(), strict=True)
        ]
        head = "".join(
            f'<th scope="col"{mark}>{escape(name).replace("_", "_<wbr>")}</th>'
            for name, mark in zip(self.columns, marks, strict=True)
        )
        rows = []
        for row in self._shown():
            cells = [f"<strong>{escape(text)}</strong>" if bold else escape(text) for text, bold in row]
            rows.append("".join(f"<td{mark}>{cell}</td>" for cell, mark in zip(cells, marks, strict=True)))
        body = "\n".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"

    def select(self, columns: Sequence[str]) -> Table:
        """The table of these columns, in their order."""
        places = [self.columns.index(name) for name in columns]
        rows = tuple(tuple(row[place] for place in places) for row in self.rows)
        return Table(tuple(columns), rows, self.best, self.tight, self.decimals)

    def _to_the_right(self) -> list[bool]:
        return [any(_is_number(row[i]) for row in self.rows) for i in range(len(self.columns))]

    def _shown(self) -> list[list[tuple[str, bool]]]:
        """Each cell as (text, whether it is the best of its column)."""
        columns = []
        for i, name in enumerate(self.columns):
            cells = [row[i] for row in self.rows]
            best = _best(cells, self.best.get(name))
            texts = format_column(cells, self.decimals.get(name, DECIMALS))
            columns.append([(text, cell in best) for text, cell in zip(texts, cells, strict=True)])
        return [list(row) for row in zip(*columns, strict=True)]

    def renamed(self, names: Mapping[str, str]) -> Table:
        """The table with other names for some of its columns."""
        new = {name: names.get(name, name) for name in self.columns}
        return Table(
            tuple(new.values()),
            self.rows,
            {new[name]: way for name, way in self.best.items() if name in new},
            frozenset(new[name] for name in self.tight if name in new),
            {new[name]: decimals for name, decimals in self.decimals.items() if name in new},
        )


def error_decimals(errors: Iterable[float]) -> int:
    """Decimals for errors of predicted ratings, which have a unit: four, or as many as give the largest error
    four significant digits below 0.1, and five above 10."""
    largest = max((abs(error) for error in errors if math.isfinite(error)), default=0.0)
    magnitude = math.floor(math.log10(largest)) if largest > 0 else 0
    return 3 - magnitude if magnitude < -1 else max(0, DECIMALS - max(0, magnitude))


def figure_text(name: str, value: float) -> str:
    """The figure of the metric that the name means, such as "test/rmse"."""
    return f"{value:.{error_decimals([value]) if is_rating_metric(name) else DECIMALS}f}"


def difference_text(found: Difference, decimals: int = DECIMALS) -> str:
    """A difference with half the width of its interval and the stars that its p-value earns (see
    `difference_notes`); alone where it was not tested."""
    difference = f"{found.difference:+.{decimals}f}"
    if found.note:
        return difference
    stars = "*" * sum(found.p_adjusted < limit for limit in (0.05, 0.01, 0.001))
    return f"{difference} ±{(found.high - found.low) / 2:.{decimals}f} {stars}".rstrip()


def interval_text(found: Difference, decimals: int = DECIMALS) -> str:
    """A difference with its interval and p-value, or why it has none."""
    difference, low, high = (f"{v:+.{decimals}f}" for v in (found.difference, found.low, found.high))
    if found.note:
        return f"{difference}, {found.note}"
    p = "p<0.001" if found.p_adjusted < 0.0005 else f"p={found.p_adjusted:.3f}"
    return f"{difference} [{low}, {high}] {p}"


def difference_notes(
    differences: Sequence[Difference], reference: str, *, one_split: bool = False
) -> list[str]:
    """How `difference_text` is read in a table of these differences; nothing where there are none.
    `one_split`: all seeds have the same test part."""
    tested = [found for found in differences if not found.note]
    read = f", ± half of its 95 % interval; {STARS}" if tested else ""
    notes = [f"Δ: difference to {reference}{read}"] if differences else []
    return (
        notes
        + _reach(tested, one_split=one_split)
        + list(dict.fromkeys(found.note for found in differences if found.note))
    )


def interval_notes(differences: Sequence[Difference], *, one_split: bool = False) -> list[str]:
    """How `interval_text` is read in a table of these differences; nothing where none was tested."""
    tested = [found for found in differences if not found.note]
    read = (
        ["differences with 95 % intervals and p-values by Holm's method over all of them"] if tested else []
    )
    return read + _reach(tested, one_split=one_split)


def _reach(tested: Sequence[Difference], *, one_split: bool) -> list[str]:
    """What the intervals cover."""
    n_seeds = max((found.n_seeds for found in tested), default=0)
    if n_seeds == 1:
        other = "another fit" if one_split else "another split or fit"
        return [f"intervals cover other users; one seed does not tell what {other} would change"]
    seeds = f"other fits ({n_seeds} seeds of one split" if one_split else f"other seeds ({n_seeds}"
    return [f"intervals cover other users and {seeds} were run)"] if tested else []


def format_column(cells: Sequence[Any], decimals: int = DECIMALS) -> list[str]:
    """Texts of one column: whole numbers with thousands separated, others with the decimals that the largest
    asks for (`decimals` below 10, then fewer); what rounds to nothing becomes "<0.0001", gaps become "–"."""
    numbers = [cell for cell in cells if _is_number(cell)]
    if all(isinstance(cell, int | np.integer) for cell in numbers):
        return [_format_cell(cell, 0) for cell in cells]
    largest = max((abs(number) for number in numbers if math.isfinite(number)), default=0.0)
    needed = next((n for limit, n in ((10, decimals), (100, 2), (1000, 1)) if largest < limit), 0)
    return [_format_cell(cell, needed) for cell in cells]


def _format_cell(cell: Any, decimals: int) -> str:
    if _is_gap(cell):
        return MISSING
    if isinstance(cell, bool | np.bool_):
        return "yes" if cell else "no"
    if not _is_number(cell):
        return str(cell)
    smallest = 10.0**-decimals
    if 0 < abs(cell) < smallest / 2:
        return f"<{smallest:.{decimals}f}" if cell > 0 else f">-{smallest:.{decimals}f}"
    return f"{cell:,.{decimals}f}"


def _best(cells: Sequence[Any], direction: Literal["low", "high"] | None) -> list[Any]:
    """The winning number in a list; empty where there is no contest, or where all are equal."""
    numbers = [cell for cell in cells if _is_number(cell)]
    if direction is None or len(set(numbers)) < 2:
        return []
    return [min(numbers) if direction == "low" else max(numbers)]


def _is_number(cell: Any) -> bool:
    is_real = isinstance(cell, int | float | np.integer | np.floating) and not isinstance(cell, bool)
    return is_real and not math.isnan(cell)


def _is_gap(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float | np.floating) and math.isnan(cell))


def _plain(cell: Any) -> Any:
    return cell.item() if isinstance(cell, np.generic) else cell


def _pipe_safe(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
