"""Where known datasets lie on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from recsys_ae.data.datasets.known import KNOWN, Dataset
from recsys_ae.errors import DataError, brief, cut, reason, without_secrets

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in KNOWN}
BUNDLED = Path(__file__).parents[1] / "bundled"
VARIABLE = "RECSYS_AE_DATA"


def known(name: str) -> Dataset:
    """The entry of this name. Raises DataError, with the names that come close, where there is none."""
    if name in DATASETS:
        return DATASETS[name]
    raise DataError(f"{brief(name)} is no known dataset; {close_names(name)}")


def close_names(name: str) -> str:
    """The end of a sentence on a name that is not known: what may have been meant, and what there is."""
    close = get_close_matches(cut(name.lower()), DATASETS, n=3, cutoff=0.5)
    meant = f"perhaps {' or '.join(close)} is meant; " if close else ""
    return f"{meant}known are {', '.join(DATASETS)}"


def data_folder() -> Path | None:
    """The folder of local datasets that RECSYS_AE_DATA names; None where it names none."""
    named = os.environ.get(VARIABLE)
    return expanded(named) if named else None


def expanded(name: str) -> Path:
    """The path of a name, in which a "~" at the beginning is a home folder. Raises DataError where there is
    none of that user, where no file can have the name, and where it is an address on the net."""
    try:
        path = Path(name).expanduser()
        is_there = path.exists()
    except RuntimeError:
        raise DataError(f"{cut(name)}: there is no user of that name; write the whole path") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{cut(name)}: is no name of a file ({reason(error)})") from error
    if "://" in name and not is_there:
        shown = cut(without_secrets(name))
        raise DataError(f"{shown}: is an address and no path; download the file, and name where it lies")
    return path


def cache_folder() -> Path:
    """Where downloads go if RECSYS_AE_DATA names no folder: the user's cache."""
    import pooch  # slow to import, and seldom needed

    return Path(pooch.os_cache("recsys_ae"))


def find(name: str) -> Path | None:
    """The ratings file of a known dataset, None where it is not on this machine. Looked for in the folder
    `name` of RECSYS_AE_DATA, of the package and of the user's cache. Raises DataError at an unknown name."""
    dataset = known(name)
    for folder in _folders(dataset):
        if found := ratings_file(dataset, folder):
            return found
    return None


def ratings_file(dataset: Dataset, folder: Path) -> Path | None:
    """The first form of the dataset's ratings that is in `folder`."""
    paths = (folder / file.name for file in dataset.files)
    return next((path for path in paths if path.is_file()), None)


def absent(dataset: Dataset) -> str:
    """The sentence on a known dataset that is not here: how to get it."""
    forms = " or ".join(file.name for file in dataset.files)
    named = f"{VARIABLE}={data_folder()} has no {dataset.name}/ with {forms}" if data_folder() else ""
    where = named or f"set {VARIABLE} to a folder that holds {dataset.name}/{forms}"
    how = f"get it with `recsys-ae data fetch {dataset.name}`" if dataset.archive else dataset.note
    return f"{dataset.name} is not on this machine: {where}; {how}"


def _folders(dataset: Dataset) -> Iterator[Path]:
    if folder := data_folder():
        yield folder / dataset.name
    if dataset.bundled:
        yield BUNDLED / dataset.name
    yield cache_folder() / dataset.name
