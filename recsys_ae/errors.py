"""Errors that a user can mend: one sentence that says what is wrong, where, and what to do."""

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
