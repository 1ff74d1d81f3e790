"""What happens once in a process, done before the clock of a fit starts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from recsys_ae.data.ratings import Ratings
from recsys_ae.models.configs import ModelConfig, with_epochs
from recsys_ae.models.fit import fit
from recsys_ae.training.runner import Context, ignore

_FEW = 100  # ratings


def warm_up(model: ModelConfig, train: Ratings, context: Context) -> None:
    """Fit to a few ratings, so that loading and compiling, which may take longer than a whole training, are
    no part of what is measured. Whatever goes wrong here goes wrong again where it is told, and warnings are
    of so few ratings alone. Raises KeyboardInterrupt after Ctrl-C."""
    rows, columns, values = (part[:_FEW] for part in (train.rows(), train.columns, train.values))
    few = Ratings.from_triples(rows, columns, values, scale=train.scale, feedback=train.feedback)
    alone = replace(context, on_epoch=ignore, checkpoints=None, resume=False)
    interrupted = False
    with suppress(Exception), _silence():
        interrupted = fit(with_epochs(model, 1), few, context=alone).interrupted
    if interrupted:
        raise KeyboardInterrupt


@contextmanager
def _silence() -> Iterator[None]:
    package = logging.getLogger("recsys_ae")
    before = package.level
    package.setLevel(logging.ERROR)
    try:
        yield
    finally:
        package.setLevel(before)
