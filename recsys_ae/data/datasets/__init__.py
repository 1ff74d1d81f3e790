"""Known datasets: what they hold, on which terms, where they lie, and how to get them."""

from __future__ import annotations

from recsys_ae.data.datasets.fetching import fetch
from recsys_ae.data.datasets.places import DATASETS, data_folder, find, known
from recsys_ae.data.datasets.titles import item_titles

__all__ = ["DATASETS", "data_folder", "fetch", "find", "item_titles", "known"]
