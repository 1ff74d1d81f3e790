"""What is published outlives kills; what lives is left alone; what is damaged is found."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from recsys_ae import files
from recsys_ae.errors import ConfigError, StorageError
from recsys_ae.files import (
    added,
    check_writable,
    claimed,
    discard,
    recover,
    remove_dead_claim,
    replaced,
    replaced_folder,
    sole_holder,
)
from recsys_ae.seals import check_files, checksums, read_sealed, write_arrays, write_sealed

ID = "0a1b2c3d"


def folder_of(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "file").write_text(text)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, text: str) -> None:
    with replaced_folder(path) as temporary:
        (temporary / "file").write_text(text)


def test_what_was_moved_aside_comes_back_where_nothing_took_its_place(tmp_path):
    """A kill between the two renames that replace a folder."""
    folder_of(tmp_path / f".place.{ID}.old", "old")
    folder_of(tmp_path / f".place.{ID}.tmp", "new, perhaps in part")
    recover(tmp_path / "place")
    assert names(tmp_path) == ["place"]
    assert (tmp_path / "place" / "file").read_text() == "old"


def test_the_latest_of_several_comes_back(tmp_path):
    for number, name in enumerate(("deadbeef", "0a1b2c3d", "12345678")):
        old = folder_of(tmp_path / f".place.{name}.old", name)
        os.utime(old, (1000 + (number == 1), 1000 + (number == 1)))
    recover(tmp_path / "place")
    assert names(tmp_path) == ["place"]
    assert (tmp_path / "place" / "file").read_text() == "0a1b2c3d"


def test_leftovers_go_once_the_place_is_taken_and_other_names_stay(tmp_path):
    folder_of(tmp_path / "place", "new")
    folder_of(tmp_path / f".place.{ID}.old", "old")
    others = [
        f".place.{ID}.{ID}.old",
        f".other.{ID}.old",
        ".place.tmp",
        f"place.{ID}.tmp",
        f".Place.{ID}.tmp",
    ]
    for name in others:
        folder_of(tmp_path / name, "mine")
    recover(tmp_path / "place")
    assert names(tmp_path) == sorted(["place", *others])
    assert (tmp_path / "place" / "file").read_text() == "new"


def test_what_the_living_write_is_no_leftover(tmp_path):
    with replaced_folder(tmp_path / "place") as temporary, replaced(tmp_path / "place") as beside:
        (temporary / "file").write_text("half")
        recover(tmp_path / "place")
        assert temporary.is_dir()
        assert beside.is_file()
        beside.unlink()
        beside.mkdir()  # so that it cannot take the place of a folder
    assert names(tmp_path) == ["place"]


def test_the_old_comes_back_where_the_new_cannot_take_its_place(tmp_path, monkeypatch):
    write(tmp_path / "place", "old")
    rename = Path.rename

    def fail(self, target):
        if self.suffix == ".tmp" and not Path(target).exists():
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(StorageError, match=r"place: cannot be written \(Input/output error\)"):
        write(tmp_path / "place", "new")
    assert (tmp_path / "place" / "file").read_text() == "old"
    assert names(tmp_path) == ["place"]


def test_files_are_on_the_disk_before_the_rename_and_the_rename_after_it(tmp_path, monkeypatch):
    told, rename, fsync = [], Path.rename, os.fsync

    def renamed(self, target):
        told.append(("rename", Path(target).name))
        return rename(self, target)

    def synced(handle):
        told.append(("sync", Path(f"/proc/self/fd/{handle}").readlink().name))
        fsync(handle)

    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(os, "fsync", synced)
    with replaced_folder(tmp_path / "place") as temporary:
        (temporary / "deep").mkdir()
        (temporary / "deep" / "file").write_text("text")
    synced_first = [name for what, name in told[: told.index(("rename", "place"))]]
    assert synced_first == ["file", "deep", temporary.name]
    assert told[-2:] == [("rename", "place"), ("sync", tmp_path.name)]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_what_the_disk_does_not_take_is_not_published(tmp_path, monkeypatch, code):
    def fail(handle):
        raise OSError(code, os.strerror(code))

    write(tmp_path / "place", "old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="place: cannot be written"):
        write(tmp_path / "place", "new")
    assert (tmp_path / "place" / "file").read_text() == "old"
    assert names(tmp_path) == ["place"]


def test_what_is_left_of_a_removal_goes_with_the_next_writer(tmp_path, monkeypatch):
    write(tmp_path / "place", "old")
    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "rmtree", lambda path, **options: None)
        write(tmp_path / "place", "new")
    assert len(names(tmp_path)) == 2
    write(tmp_path / "place", "newer")
    assert names(tmp_path) == ["place"]
    assert (tmp_path / "place" / "file").read_text() == "newer"


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    folder_of(tmp_path / "place", "mine")
    with pytest.raises(StorageError, match="cannot be written"), replaced(tmp_path / "place"):
        pass
    assert (tmp_path / "place" / "file").read_text() == "mine"


def test_parents_that_were_made_for_nothing_go_again(tmp_path):
    with pytest.raises(ValueError, match="no"), replaced(tmp_path / "deep" / "er" / "file"):
        raise ValueError("no")
    assert names(tmp_path) == []


def test_a_claim_is_of_one_process_and_leaves_nothing(tmp_path):
    place = tmp_path / "deep" / "place"
    with claimed(place):
        with pytest.raises(BlockingIOError), claimed(place):
            pass
        with pytest.raises(FileExistsError), claimed(place, fresh=True):
            pass
        remove_dead_claim(place)
        assert place.is_dir()
    assert names(tmp_path) == []


def test_results_take_the_place_of_their_claim(tmp_path):
    with claimed(tmp_path / "place"):
        write(tmp_path / "place", "results")
    assert (tmp_path / "place" / "file").read_text() == "results"
    assert names(tmp_path) == ["place"]


def test_the_claim_of_a_dead_process_can_be_taken_or_removed(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        folder_of(tmp_path / f".{name}.{ID}.tmp", "half")
    with claimed(tmp_path / "one"):
        write(tmp_path / "one", "results")
    remove_dead_claim(tmp_path / "two")
    remove_dead_claim(tmp_path / "one")  # has results
    assert names(tmp_path) == ["one"]


def test_a_folder_that_was_there_stays_when_its_claim_ends(tmp_path):
    (tmp_path / "mine").mkdir()
    with claimed(tmp_path / "mine"):
        pass
    assert names(tmp_path) == ["mine"]


def test_a_lock_has_one_holder_and_leaves_nothing(tmp_path):
    path = tmp_path / "deep" / "lock"
    with sole_holder(path) as first:
        with sole_holder(path) as second:
            assert (first, second) == (True, False)
        with sole_holder(path) as third:
            assert not third
    with sole_holder(path) as again:
        assert again
    assert names(tmp_path) == []


def test_a_lock_that_a_dead_process_left_is_free(tmp_path):
    (tmp_path / "lock").touch()
    with sole_holder(tmp_path / "lock") as alone:
        assert alone
    assert names(tmp_path) == []


def test_where_no_lock_can_be_made_nothing_is_shared(tmp_path):
    (tmp_path / "file").touch()
    with sole_holder(tmp_path / "file" / "lock") as alone:
        assert alone


def test_a_discarded_folder_is_never_there_in_part(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(files.shutil, "rmtree", lambda path, **options: seen.append(names(tmp_path)))
    discard(folder_of(tmp_path / "place", "text"))
    assert all("place" not in found for found in seen)
    assert len(seen) == 1


def test_every_flipped_bit_of_a_sealed_document_is_found(tmp_path):
    path, document = tmp_path / "a.json", {"name": "één", "l2": 1e-05, "best": None, "files": {"a": "0f"}}
    write_sealed(path, document)
    assert read_sealed(path, advice="") == document
    whole = path.read_bytes()
    for place in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises((StorageError, ValueError)):
            read_sealed(path, advice="save it again")


def test_a_document_without_a_seal_is_read_as_it_is(tmp_path):
    (tmp_path / "a.json").write_text('{"format": 1}')
    assert read_sealed(tmp_path / "a.json", advice="") == {"format": 1}
    (tmp_path / "a.json").write_text(json.dumps({"files": {}}))
    with pytest.raises(StorageError, match=r"a\.json: damaged, as its checksum does not hold; save it again"):
        read_sealed(tmp_path / "a.json", advice="save it again")


def test_a_damaged_or_missing_file_is_named(tmp_path):
    folder_of(tmp_path / "deep", "text")
    found = checksums(tmp_path)
    assert list(found) == ["deep/file"]
    check_files(tmp_path, found, advice="")
    (tmp_path / "deep" / "file").write_text("texu")
    with pytest.raises(StorageError, match=r"deep/file: damaged, as its checksum does not hold; try again"):
        check_files(tmp_path, found, advice="try again")
    (tmp_path / "deep" / "file").unlink()
    with pytest.raises(StorageError, match=r"deep/file: cannot be read \(No such file or directory\); try"):
        check_files(tmp_path, found, advice="try again")


def test_damage_at_the_end_of_a_large_file_is_found(tmp_path):
    whole = bytes(1 << 20)
    (tmp_path / "large").write_bytes(whole)
    found = checksums(tmp_path)
    (tmp_path / "large").write_bytes(whole[:-1] + b"1")
    with pytest.raises(StorageError, match="large: damaged"):
        check_files(tmp_path, found, advice="")


def test_a_lock_on_what_was_replaced_since_is_none(tmp_path):
    """Another process may remove, or replace, a folder between our opening and our locking it."""
    place = folder_of(tmp_path / "place", "first")
    handle = os.open(place, os.O_RDONLY)
    try:
        place.rename(tmp_path / "elsewhere")
        assert files._try_to_lock(handle, place) is False
        folder_of(place, "second")
        assert files._try_to_lock(handle, place) is False
    finally:
        os.close(handle)


def test_a_folder_that_is_aside_for_a_moment_cannot_be_claimed(tmp_path):
    """Its living writer is about to put something else there."""
    with files._held(folder_of(tmp_path / f".place.{ID}.old", "old")):
        with pytest.raises(BlockingIOError), claimed(tmp_path / "place"):
            pass
        assert names(tmp_path) == [f".place.{ID}.old"]


# At the moment when another process looks, or removes


def test_who_looks_between_the_two_renames_changes_nothing(tmp_path, monkeypatch):
    write(tmp_path / "place", "old")
    rename, seen = Path.rename, []

    def renamed(self, target):
        if self.suffix == ".tmp" and not Path(target).exists():
            recover(tmp_path / "place")
            seen.append([name[-4:] for name in names(tmp_path)])
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", renamed)
    write(tmp_path / "place", "new")
    assert seen[0] == [".old", ".tmp"] or seen[0] == [".tmp", ".old"]
    assert (tmp_path / "place" / "file").read_text() == "new"
    assert names(tmp_path) == ["place"]


def test_what_is_removed_before_it_is_held_is_made_again(tmp_path, monkeypatch):
    """Another process cannot tell it from what the dead have left."""
    lock, removed = fcntl.flock, []

    def locked(handle, operation):
        if not removed:
            removed.extend(tmp_path.glob(".place.*.tmp"))
            removed[0].rmdir()
        return lock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", locked)
    write(tmp_path / "place", "new")
    assert (tmp_path / "place" / "file").read_text() == "new"
    assert names(tmp_path) == ["place"]


def test_parents_that_another_process_removes_are_made_again(tmp_path, monkeypatch):
    touch, removed = Path.touch, []

    def touched(self, **options):
        if not removed:
            removed.append(self.parent)
            self.parent.rmdir()
        return touch(self, **options)

    monkeypatch.setattr(Path, "touch", touched)
    with replaced(tmp_path / "deep" / "file") as temporary:
        temporary.write_text("text")
    assert removed == [tmp_path / "deep"]
    assert (tmp_path / "deep" / "file").read_text() == "text"


def test_a_lock_whose_holder_removes_it_while_one_looks_is_made_again(tmp_path, monkeypatch):
    lock, told = fcntl.flock, []

    def locked(handle, operation):
        told.append(handle)
        if len(told) == 1:
            (tmp_path / "lock").unlink()
            raise BlockingIOError
        return lock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", locked)
    with sole_holder(tmp_path / "lock") as first, sole_holder(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    assert names(tmp_path) == []


# Where a file system has less to offer


def test_without_locks_nobody_can_tell_the_dead_and_nothing_of_others_is_removed(tmp_path, monkeypatch):
    def fail(handle, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)
    folder_of(tmp_path / f".place.{ID}.tmp", "perhaps being written")
    folder_of(tmp_path / f".place.{ID}.old", "old")
    with claimed(tmp_path / "place"), sole_holder(tmp_path / "lock") as alone:
        assert alone
        assert (tmp_path / "place" / "file").read_text() == "old"
        write(tmp_path / "place", "new")
    assert (tmp_path / "place" / "file").read_text() == "new"
    assert names(tmp_path) == [f".place.{ID}.tmp", "place"]


def test_a_folder_that_may_not_be_read_can_be_claimed(tmp_path, monkeypatch):
    """Nobody can tell whether another process holds it."""
    place, opened = tmp_path / "place", os.open
    place.mkdir()

    def fail(path, *options):
        if Path(path) == place:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, *options)

    monkeypatch.setattr(os, "open", fail)
    with claimed(place):
        assert place.is_dir()


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_where_folders_cannot_be_synced_their_files_are(tmp_path, monkeypatch, code):
    fsync, synced = os.fsync, []

    def sync(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, os.strerror(code))
        synced.append(handle)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", sync)
    write(tmp_path / "place", "new")
    assert (tmp_path / "place" / "file").read_text() == "new"
    assert len(synced) == 1


def test_a_pipe_among_the_leftovers_is_removed_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / f".place.{ID}.tmp")
    recover(tmp_path / "place")
    assert names(tmp_path) == []


def test_arrays_that_cannot_be_written_are_an_error_of_the_system(tmp_path):
    with pytest.raises(OSError, match="No such file or directory"):
        write_arrays(tmp_path / "nowhere" / "a.safetensors", {"a": np.ones(3)})


@pytest.mark.parametrize("length", [128, 129, 241, 242, 255])
def test_names_of_any_length_that_a_file_can_have_are_replaced_and_recovered(tmp_path, length):
    place = tmp_path / ("é" * (length // 2) + "x" * (length % 2))
    write(place, "old")
    os.utime(place, (1000, 1000))
    with replaced_folder(place) as temporary:
        (left,) = set(tmp_path.iterdir()) - {place}
        assert left == temporary
        (temporary / "file").write_text("new")
    assert (place / "file").read_text() == "new"
    aside = files._beside(place, "old")
    place.rename(aside)  # as by a kill between two renames
    other = folder_of(tmp_path / ("é" * (length // 2) + "y" * (length % 2))[:-1], "another's")
    recover(other)
    assert aside.exists()
    recover(place)
    assert (place / "file").read_text() == "new"
    assert names(tmp_path) == sorted([place.name, other.name])


def test_a_name_that_nothing_can_have_is_said_before_the_work(tmp_path):
    worked = []
    with pytest.raises(StorageError, match="File name too long"), replaced(tmp_path / ("x" * 256)):
        worked.append(True)
    assert (worked, names(tmp_path)) == ([], [])
    too_long = (tmp_path / ("x" * 256), tmp_path / "a" / ("é" * 128), tmp_path.joinpath(*["x" * 200] * 20))
    for path in too_long:
        with pytest.raises(ConfigError, match=r"--out .*: cannot be made \(File name too long\); choose a "):
            check_writable(path, "--out")
    check_writable(tmp_path / ("é" * 127), "--out")


def test_what_is_added_replaces_nothing(tmp_path):
    place = tmp_path / "store.db"
    with added(place) as new:
        new.write_text("mine")
        new.with_name("store.db-journal").write_text("unfinished")
        assert not place.exists()
    assert place.read_text() == "mine"
    with added(place) as new:
        new.write_text("another's")
    assert place.read_text() == "mine"
    with pytest.raises(StorageError, match="never: cannot be written"), added(tmp_path / "never") as new:
        new.with_name("half").rename(new)
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]
