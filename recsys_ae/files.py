"""Nothing half-written and nothing lost: outputs appear whole or not at all, and outlive a crash.

What a killed writer leaves beside a place has a name that says what it is: `.NAME.ID.tmp` is unfinished or
done with, `.NAME.ID.old` is whole and was moved aside for something newer; of a long NAME its hash stands
there. A living process holds a lock (flock) on each of its own, so that whoever comes next can tell them from
those of the dead (`recover`). Without such locks, as on Windows, nobody can tell: what is unfinished stays
there, what is whole comes back, and processes that write to the same place are not kept apart.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from recsys_ae.errors import ConfigError, StorageError

try:
    import fcntl
except ImportError:  # Windows, where besides nothing can be renamed that is held open
    fcntl = None  # type: ignore[assignment]

_LEFT = re.compile(r"\.(.+)\.[0-9a-f]{8}\.(tmp|old)")
_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST)
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP)  # folders of some file systems
_LONGEST_STEM = 128  # bytes: what is longer would not fit with ID and ending, on some file systems
_LONGEST_NAME, _LONGEST_PATH = 255, 3_800  # bytes; of 4,096 a path leaves room for what is in the folder
_IS_WINDOWS = os.name == "nt"
_ATTEMPTS = 20  # at making what another process, which tidies up, may remove at the same moment


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`; takes its name when the block ends well, and disappears when it does
    not. An existing file of that name is replaced.

    Raises StorageError where the file cannot be made, written or brought to the disk.
    """
    with _replaced(path, lambda temporary: temporary.touch(exist_ok=False)) as temporary:
        yield temporary


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """The same for a folder, which is there, empty, when the block begins. An existing folder of that name is
    replaced: after a kill at any moment `recover` finds the old one or the new one, whole."""
    with _replaced(path, Path.mkdir) as temporary:
        yield temporary


@contextmanager
def added(path: Path) -> Iterator[Path]:
    """A file to be made, of the name of `path` and in a folder of its own; it gets its place when the block
    ends well, unless something has that by then, which stays. All else that is left in the folder goes."""
    with _replaced(path, Path.mkdir, lambda temporary, path: _add(temporary / path.name, path)) as folder:
        yield folder / path.name


@contextmanager
def _replaced(
    path: Path, make: Callable[[Path], None], take_place: Callable[[Path, Path], None] | None = None
) -> Iterator[Path]:
    try:
        with _parents(path):
            recover(path)
            with _temporary(path, make) as temporary:
                with suppress(FileNotFoundError):
                    path.lstat()  # says before the work, not after it, that nothing can have this name
                yield temporary
                (take_place or _take_place)(temporary, path)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror or error}); choose another place"
        ) from error


def recover(path: Path) -> None:
    """Bring a place to rest after writers of it were killed: what they had moved aside comes back where
    nothing has taken its place, and all else that they left is removed. What the living hold stays."""
    for left in _leftovers(path):
        with _held(left) as free:
            if left.suffix == ".old" and free is not False and not path.exists():
                left.rename(path)
            elif free:
                _remove(left)


@contextmanager
def claimed(path: Path, *, fresh: bool = False) -> Iterator[None]:
    """Own a folder while the block lasts: no other process can claim it. It is made where it is missing, and
    removed at the end if it is empty then. `replaced_folder` of it is no breach of the claim.

    Raises FileExistsError where a file has its name, or with `fresh` anything; BlockingIOError where a living
    process owns it; OSError where it cannot be made.
    """
    with _parents(path):
        recover(path)
        made = not path.is_dir() or fresh
        if made:
            _make(path, Path.mkdir)
        try:
            with _held(path) as free:
                if free is False or any(left.suffix == ".old" for left in _leftovers(path)):
                    raise BlockingIOError(errno.EWOULDBLOCK, "owned by another process", str(path))
                yield
        finally:
            if made:
                _remove_empty(path)


def discard(path: Path, *, place: Path | None = None) -> None:
    """Remove a file or folder, so that it is never there in part. `place`: whose leftover it is meanwhile,
    None: its own."""
    aside = _beside(place or path, "tmp")
    with suppress(OSError):
        path.rename(aside)
        _remove(aside)


def remove_dead_claim(path: Path) -> None:
    """Remove a claimed folder that is empty, and what is left beside one, if its owner has died."""
    with _held(path) as free:
        if free:
            recover(path)
            _remove_empty(path)


@contextmanager
def sole_holder(path: Path) -> Iterator[bool]:
    """Whether this process alone holds the lock file `path`, which is gone after the block. Where no such
    file can be made, there is nothing to share, and the answer is yes."""
    with _parents(path), ExitStack() as stack:
        free: bool | None = False
        for _ in range(_ATTEMPTS):
            with suppress(OSError):
                _make(path, Path.touch)
            free = stack.enter_context(_held(path))
            if free is not False or os.path.lexists(path):  # else its holder has just removed it
                break
        try:
            yield free is not False or not os.path.lexists(path)
        finally:
            if free is not False:
                _remove(path)


def check_writable(path: Path, option: str) -> None:
    """Raises ConfigError, which names the option, where no file or folder could be made at `path`."""
    longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    if longest > _LONGEST_NAME or len(os.fsencode(path)) > _LONGEST_PATH:
        raise ConfigError(f"{option} {path}: cannot be made (File name too long); choose a shorter name")
    parent = next(place for place in path.absolute().parents if place.exists())
    try:
        with TemporaryFile(dir=parent):
            return
    except OSError as error:
        reason = error.strerror or error
    raise ConfigError(
        f"{option} {path}: {parent} is no folder that can be written to ({reason}); choose another"
    )


def _take_place(temporary: Path, path: Path) -> None:
    is_part = any(
        _LEFT.fullmatch(parent.name) for parent in path.parents
    )  # of a folder that follows as a whole
    if not is_part:
        _sync(temporary)
    try:
        temporary.rename(path)  # onto nothing, a file, or an empty folder: one step
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
        _change_places(temporary, path)
    if not is_part:
        _sync_one(path.parent)


def _add(made: Path, path: Path) -> None:
    _sync_one(made)
    with suppress(FileExistsError):
        os.link(made, path)  # unlike a renaming, it replaces nothing
        _sync_one(path.parent)


def _change_places(temporary: Path, path: Path) -> None:
    """No rename leads onto a folder that has files: the old one goes aside first."""
    old = _beside(path, "old")
    with _held(path):  # so that nobody who looks now believes it lost
        path.rename(old)
        try:
            temporary.rename(path)
        except BaseException:
            old.rename(path)
            raise
        discard(old, place=path)


@contextmanager
def _temporary(path: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Something new beside `path`, held while the block lasts, and gone after it under this name."""
    for _ in range(_ATTEMPTS):
        temporary = _beside(path, "tmp")
        try:
            _make(temporary, make)
            with _held(temporary) as held:
                if held is not False:  # else it was taken for that of a dead process before it was held
                    yield temporary
                    return
        finally:
            _remove(temporary)
    raise OSError(errno.EAGAIN, "other processes keep removing what is made there")


@contextmanager
def _held(path: Path) -> Iterator[bool | None]:
    """True: held by this process while the block lasts; False: held by another, or gone; None: cannot be
    told, as on systems without locks."""
    if fcntl is None:
        yield None if os.path.lexists(path) else False
        return
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        yield False
        return
    except OSError:
        yield None
        return
    try:
        yield _try_to_lock(handle, path)
    finally:
        os.close(handle)


def _try_to_lock(handle: int, path: Path) -> bool | None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), path.stat())  # not one that was replaced or removed since
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError:
        return None


def _make(path: Path, make: Callable[[Path], None]) -> None:
    """Make something, even if another process is just removing the empty folder that it goes to."""
    for attempt in range(_ATTEMPTS):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return make(path)
        except FileNotFoundError:
            if attempt == _ATTEMPTS - 1:
                raise


@contextmanager
def _parents(path: Path) -> Iterator[None]:
    """Of the folders above `path`, those that did not exist before the block go again if nothing is in them
    after it."""
    missing = [folder for folder in path.parents if not os.path.lexists(folder)]
    try:
        yield
    finally:
        for folder in missing:
            _remove_empty(folder)


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f".{_stem(path)}.{uuid.uuid4().hex[:8]}.{kind}")


def _stem(path: Path) -> str:
    """What stands for the name of a place in those of its leftovers."""
    name = os.fsencode(path.name)
    return path.name if len(name) <= _LONGEST_STEM else hashlib.blake2b(name, digest_size=16).hexdigest()


def _leftovers(path: Path) -> list[Path]:
    """Whole ones first, the latest before the others."""
    try:
        names = ((each, _LEFT.fullmatch(each.name)) for each in path.parent.iterdir())
        stem = _stem(path)
        found = [each for each, match in names if match and match[1] == stem]
        return sorted(found, key=lambda left: (left.suffix, -left.stat().st_mtime_ns))
    except OSError:  # no folder, or one that changes at this moment
        return []


def _sync(path: Path) -> None:
    """Bring a file, or a folder with all in it, to the disk."""
    for inner in path.iterdir() if path.is_dir() else ():
        _sync(inner)
    _sync_one(path)


def _sync_one(path: Path) -> None:
    if _IS_WINDOWS and path.is_dir():
        return  # it opens no folders
    handle = os.open(path, os.O_RDWR if _IS_WINDOWS else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # what went wrong before is the news, e.g. a file where a folder should be
            path.unlink()


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # something is in it
        folder.rmdir()
