"""What a command says: one JSON document, or text for people. Whatever else is printed goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

from recsys_ae.errors import visible

if TYPE_CHECKING:
    from rich.measure import Measurement

    from recsys_ae.reporting.tables import Table

_NO_LIMIT = 10_000
Say = Callable[[Any, Callable[[], None]], None]


@contextmanager
def answering(*, as_json: bool) -> Iterator[Say]:
    """Within the block stdout leads to stderr, so that no library can spoil the answer. The function that is
    given takes the answer as JSON values and as a function that prints it for people; what was asked for is
    printed when the block ends well."""
    answers: list[tuple[Any, Callable[[], None]]] = []
    with redirect_stdout(sys.stderr):
        yield lambda document, show: answers.append((document, show))
    for document, show in answers:
        if as_json:
            from recsys_ae.results.result import json_values

            print(json.dumps(json_values(document), indent=2, allow_nan=False))
        else:
            show()


def tell(*lines: str, on: TextIO | None = None) -> None:
    """Print lines for people, of which none holds what a terminal obeys, such as the name of a file or a run
    may. `on`: None is stdout."""
    print(*map(visible, lines), sep="\n", file=on)


def cold_text(counts: Mapping[str, int]) -> str:
    """What of a test was cold, such as "3 cold users, 12 cold pairs"; "" where nothing was."""
    cold = {name: value for name, value in counts.items() if name.startswith("cold") and value}
    return ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in cold.items())


def show_table(table: Table, *, aside: Sequence[str] = (), width: int | None = None) -> None:
    """Print a table, in `width` characters; None: those of the terminal, and all that it needs where there is
    none. Where there is no room for all columns, those of `aside` follow in a table of their own. Texts are
    wrapped; words and numbers are never cut, whatever the width."""
    from rich.console import Console

    room = Console(width=width or (None if sys.stdout.isatty() else _NO_LIMIT)).width
    if not aside or _needs(table).maximum <= room:
        _print(table, room)
        return
    _print(table.select([name for name in table.columns if name not in aside]), room)
    tell("")
    _print(table.select([table.columns[0], *aside]), room)


def show_lists(
    lists: Sequence[Mapping[Hashable, Any]],
    titles: Mapping[Any, str],
    note: str = "",
    names: Sequence[str] = ("user", "rank", "item", "score"),
) -> None:
    """Print lists under these names, with the titles of the items where there are any."""
    from recsys_ae.reporting.tables import Table

    row, rank, item, score = names
    table = Table(
        (row, rank, item, "title", score),
        tuple(
            (str(each[row]), each[rank], str(each[item]), titles.get(each[item]), each[score])
            for each in lists
        ),
    )
    show_table(table if titles else table.select(names))
    if note:
        tell(note.removeprefix("; "))


def show_beside(
    rated: Sequence[Mapping[Hashable, Any]],
    lists: Sequence[Mapping[Hashable, Any]],
    titles: Mapping[Any, str],
    note: str = "",
) -> None:
    """Print lists beside what their users have rated best, items by their titles where there are any."""
    from recsys_ae.reporting.tables import Table

    left, right = ({(each["user"], each["rank"]): each for each in rows} for rows in (rated, lists))
    users = dict.fromkeys(each["user"] for each in (*rated, *lists))
    ranks = sorted({rank for _, rank in (*left, *right)})
    rows = []
    for place in ((user, rank) for user in users for rank in ranks):
        old, new = left.get(place, {}), right.get(place, {})
        if old or new:
            names = [titles.get(each["item"], str(each["item"])) if each else "" for each in (old, new)]
            rows.append((str(place[0]), place[1], names[0], old.get("rated"), names[1], new.get("score")))
    show_table(Table(("user", "rank", "has rated best", "rated", "gets recommended", "score"), tuple(rows)))
    if note:
        tell(note.removeprefix("; "))


def _print(table: Table, room: int) -> None:
    """In so many characters, or in what words and numbers need where that is more."""
    from rich.console import Console

    Console(width=max(room, _needs(table).minimum)).print(table.terminal())


def _needs(table: Table) -> Measurement:
    """The least width, with texts wrapped between all words, and the most."""
    from rich.console import Console

    return Console(width=_NO_LIMIT).measure(table.terminal())
