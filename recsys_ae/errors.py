"""Errors that a user can mend: one sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

import re
import reprlib
from typing import Any

_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")  # as torch says it


class RecsysError(Exception):
    """The root of all errors that the command line turns into one sentence and exit code 2."""


class DataError(RecsysError):
    """Ratings that cannot be used as they are: a bad file, row, column, value or filter."""


class UnknownIdError(DataError):
    """An external id that the id map does not hold."""


class ConfigError(RecsysError):
    """A config or option that is malformed, unknown, or contradicts another."""


class CapabilityError(RecsysError):
    """A model was asked for something that it cannot do."""


class DivergenceError(RecsysError):
    """Training reached a loss that is not a number."""


class StorageError(RecsysError):
    """A model folder, checkpoint or output that cannot be read or written."""


class TrackingError(RecsysError):
    """The tracking store refused or did not answer."""


QUOTED = 80  # characters of a value that a sentence shows
LONGEST_WORD, LONGEST_SENTENCE = 1_000, 2_000  # characters; paths are words, and shown whole
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, QUOTED, QUOTED


def brief(value: Any) -> str:
    """A value as a sentence shows it: as Python writes it, cut to `QUOTED` characters."""
    if isinstance(value, str):
        return repr(value if len(value) <= QUOTED else value[: QUOTED - 1] + "…")
    return cut(_SHORT.repr(value))


def cut(text: str, most: int = QUOTED) -> str:
    """A text in at most so many characters, with a dot of three where something is missing at its end."""
    return text if len(text) <= most else text[: most - 1] + "…"


def counted(n: int, word: str) -> str:
    """Such as "1 row" and "2,000 rows"."""
    return f"{n:,} {word if n == 1 else word + 's'}"


def without_secrets(text: str) -> str:
    """A text in which an address that may hold a password or a token, such as https://me:word@host/a?key, is
    its scheme alone."""
    return re.sub(r"\b([A-Za-z][A-Za-z0-9+.-]*):/+(?=\S*[@?#])\S*", r"\1://…", text)


def reason(error: Exception) -> str:
    """Why an operating system or a library refused, in its first words, without a full stop."""
    text = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return cut(text.splitlines()[0].strip(" .:"), 120)


def printable(text: str) -> str:
    """One line of bounded length without control characters, which a terminal would obey: what has no shape
    of its own (escape sequences, marks of direction, halves of characters) is written as Python writes it."""
    words = (cut(word) if len(word) > LONGEST_WORD else word for word in text.split())
    return visible(cut(" ".join(words), LONGEST_SENTENCE))


def visible(line: str) -> str:
    """A line whose control characters are written as Python writes them; its blanks stay."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def out_of_memory(error: BaseException) -> str | None:
    """What to say where memory ran out, in this process or on its GPU; None for every other error."""
    words = str(error).split("\n")[0]
    asked = isinstance(error, RuntimeError) and any(part in words for part in _MEMORY)
    if not asked and not isinstance(error, MemoryError):
        return None
    detail = f" ({words[:160]})" if words else ""
    return (
        f"out of memory{detail}; take a smaller model, smaller batches or fewer ratings (filters), or a "
        "machine with more memory"
    )
