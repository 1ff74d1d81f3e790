"""Downloads: checked before anything is unpacked, and whole or not there at all."""

from __future__ import annotations

import logging
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from recsys_ae.data.datasets.known import Archive, Dataset
from recsys_ae.data.datasets.places import BUNDLED, cache_folder, data_folder, known, ratings_file
from recsys_ae.errors import DataError, StorageError, reason
from recsys_ae.files import replaced_folder
from recsys_ae.types import Progress

CHUNK_BYTES = 1 << 18
TIMEOUT_SECONDS = 30  # without a byte
MOST_DOWNLOADED = 1 << 30  # bytes; the largest archive has a quarter of that

log = logging.getLogger(__name__)


def fetch(
    name: str, folder: Path | None = None, *, progress: Progress | None = None, url: str | None = None
) -> Path:
    """The folder of the dataset, downloaded and unpacked to `folder`/`name` unless its ratings are there.

    `folder`: None is RECSYS_AE_DATA, else the user's cache. `url`: a mirror of the archive; its checksum must
    be the same. `progress`: told of bytes, so far and in all (0 where that is not known). Show
    `Dataset.terms` before. Raises DataError where there is nothing to download, no answer, another checksum,
    or no place to write: then nothing is left behind.
    """
    dataset = known(name)
    if dataset.bundled:
        return BUNDLED / name
    if dataset.archive is None:
        raise DataError(f"{name} cannot be fetched: {dataset.note}; see {dataset.published}")
    target = (folder or data_folder() or cache_folder()) / name
    if ratings_file(dataset, target):
        return target
    _fetch_to(target, dataset, dataset.archive, url or dataset.archive.url, progress)
    log.info("%s is in %s", name, target)
    return target


def _fetch_to(target: Path, dataset: Dataset, archive: Archive, url: str, progress: Progress | None) -> None:
    """All files of the dataset in place of the folder, with what else is in that."""
    try:
        with replaced_folder(target.resolve()) as temporary:
            packed = _download(dataset, archive, url, temporary, progress)
            if target.exists():
                shutil.copytree(target, temporary, symlinks=True, dirs_exist_ok=True)
            _unpack(packed, archive, temporary)
            packed.unlink()
    except StorageError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise DataError(
            f"{target}: cannot be written ({reason(cause)}); set RECSYS_AE_DATA to a folder with room that "
            "you may write to"
        ) from error


def _download(dataset: Dataset, archive: Archive, url: str, folder: Path, progress: Progress | None) -> Path:
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)  # it would announce each download on stderr
    bar = _Bar(url, progress)
    loader = pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT_SECONDS, chunk_size=CHUNK_BYTES)
    try:
        fetched = pooch.retrieve(url, f"sha256:{archive.sha256}", ".archive.zip", folder, downloader=loader)
    except requests.HTTPError as error:
        answer = error.response
        status = error if answer is None else f"{answer.status_code} {answer.reason}"
        raise DataError(
            f"{dataset.name}: {url} answers {status}; try later, or get it by hand from {dataset.published}"
        ) from error
    except requests.RequestException as error:
        raise DataError(
            f"{dataset.name}: the download from {urlsplit(url).netloc or url} failed "
            f"({type(error).__name__}); check the network and try again"
        ) from error
    except ValueError as error:  # so pooch reports another checksum
        raise DataError(
            f"{dataset.name}: what {url} sends has not the checksum of the dataset (damaged on the way, "
            "or replaced); nothing was kept, try again"
        ) from error
    return Path(fetched)


def _unpack(packed: Path, archive: Archive, folder: Path) -> None:
    """The wanted members that the archive has, whatever folder they are in there."""
    try:
        with zipfile.ZipFile(packed) as opened:
            shallow_first = sorted(opened.namelist(), key=lambda member: member.count("/"), reverse=True)
            inside = {PurePosixPath(member).name: member for member in shallow_first}
            for member in archive.members:
                if member in inside:
                    with opened.open(inside[member]) as source, (folder / member).open("wb") as sink:
                        shutil.copyfileobj(source, sink)
    except zipfile.BadZipFile as error:
        raise DataError(f"{archive.url}: is no zip file ({error})") from error
    if archive.members[0] not in inside:
        raise DataError(f"{archive.url}: has no {archive.members[0]} in it")


class _Bar:
    """What pooch expects of a progress bar, for a function of two numbers. Raises DataError where more is
    sent than any archive holds."""

    def __init__(self, url: str, progress: Progress | None) -> None:
        self.total = 0
        self._done = 0
        self._url, self._progress = url, progress

    def update(self, n: int) -> None:
        self._done += n  # of the last, shorter chunk pooch tells the full size
        if self._done > MOST_DOWNLOADED:
            raise DataError(f"{self._url}: sends more than {MOST_DOWNLOADED >> 30} GiB; nothing was kept")
        if self._progress is not None:
            self._progress(min(self._done, self.total or self._done), self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass
