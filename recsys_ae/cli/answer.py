"""What a command says: one JSON document, or text for people. Whatever else is printed goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys_ae.reporting.tables import Table

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
            from recsys_ae.experiments.result import json_values

            print(json.dumps(json_values(document), indent=2, allow_nan=False))
        else:
            show()


def show_table(table: Table) -> None:
    """Print a table; as wide as it is where no terminal limits it."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 10_000
    Console(width=width, soft_wrap=False).print(table.terminal())
