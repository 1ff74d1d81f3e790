"""Which items lists may hold: by ids, by how many have rated them, by attributes, and for whom."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.histories import Histories
from recsys_ae.data.ids import PLAIN_INTEGER, IdMap
from recsys_ae.errors import ConfigError, DataError, brief, counted, reason
from recsys_ae.serving.asked import ids_of
from recsys_ae.serving.configs import RulesConfig
from recsys_ae.serving.item_table import ItemTable, pairs_of
from recsys_ae.serving.where import matching
from recsys_ae.types import BoolVector

log = logging.getLogger(__name__)


def allowed_by(
    config: RulesConfig, items: IdMap, table: ItemTable | None, training: Histories
) -> BoolVector | None:
    """(n_items,) the items that pass all filters; None where there is none.

    Raises DataError for ids that cannot be read, ConfigError for an expression that does not hold, and
    DataError where no item passes, with how many pass each.
    """
    passed: dict[str, BoolVector] = {}
    if config.only is not None:
        passed["only"] = _named_items(config.only, items, "only")
    if config.without is not None:
        passed["without"] = ~_named_items(config.without, items, "without")
    if config.min_ratings:
        raters = np.bincount(training.matrix.indices, minlength=len(items))
        passed["min_ratings"] = raters >= config.min_ratings
    if config.where is not None and table is not None:
        passed["where"] = np.zeros(len(items), dtype=bool)
        passed["where"][table.places[matching(table.frame, config.where)]] = True
    if not passed:
        return None
    allowed = np.logical_and.reduce(list(passed.values()))
    if not allowed.any():
        left = ", ".join(f"{name} leaves {np.count_nonzero(each)}" for name, each in passed.items())
        raise DataError(f"no item passes the rules: of {len(items)}, {left}; loosen one of them")
    return allowed


def excluded_by(source: Any, histories: Histories, items: IdMap) -> csr_array | None:
    """(n_users, n_items) the items that the table `source` excludes for users of the histories, stored."""
    if source is None:
        return None
    rows, places = pairs_of(source, histories.users, items)
    return csr_array((np.ones(len(rows), dtype=bool), (rows, places)), shape=histories.matrix.shape)


def _named_items(given: Any, items: IdMap, rule: str) -> BoolVector:
    """(n_items,) those of the ids, or of the file of ids; a warning counts unknown ones of `only`."""
    where = given if isinstance(given, str) else rule
    ids: Sequence[str | int] = _ids_in(given) if isinstance(given, str) else ids_of(given, "item")
    if not ids:
        raise ConfigError(f"{where}: names no item; give ids, one per line, or leave out {rule!r}")
    if items.ids.dtype != object and (odd := [id for id in ids if not re.match(PLAIN_INTEGER, str(id))]):
        raise DataError(
            f"{where}: {brief(odd[0])} cannot be an item, as the ids of the model's items are whole numbers; "
            "correct it, or leave it out"
        )
    places = items.positions(ids, missing="negative")
    n_unknown = int(np.count_nonzero(places < 0))
    if n_unknown and rule == "only":
        log.warning("%s: the model does not know %d of %s", where, n_unknown, counted(len(ids), "item"))
    is_named = np.zeros(len(items), dtype=bool)
    is_named[places[places >= 0]] = True
    return is_named


def _ids_in(name: str) -> list[str]:
    """One per line; blank lines are none. Raises DataError for what is no text file."""
    path = Path(name).expanduser()
    if not path.is_file():
        what = "is no file" if path.exists() else "no such file"
        raise DataError(f"{name}: {what}; give a file with one id per line, or a list of ids")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise DataError(f"{name}: is no text; give a file with one id per line") from None
    except OSError as error:
        raise DataError(
            f"{name}: cannot be read ({reason(error)}); give a file with one id per line"
        ) from error
    return [line.strip() for line in lines if line.strip()]
