"""A tracker that keeps nobody waiting: a thread talks to the store, and is waited for a limited time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from recsys_ae.errors import TrackingError
from recsys_ae.tracking.address import shown
from recsys_ae.tracking.machine import interval
from recsys_ae.tracking.messenger import DECENT, SECONDS, SLOWEST, Messenger, OutOfPatience, Patience
from recsys_ae.tracking.mlflow_tracker import MlflowTracker
from recsys_ae.tracking.store import out_of_patience
from recsys_ae.tracking.tracker import DatasetRecord, ModelRecord

Answer = TypeVar("Answer")

_NOT_OPENED, _NOT_CLOSED = "the run could not be opened", "the run could not be closed"
_MOST_WAITING = 64 * 1024 * 1024  # bytes of calls that a store has yet to take
_LONGEST_ANSWER = 16 * 1024 * 1024  # bytes; a store has little to say to who tells it something


class QueuedTracker:
    """The tracker of a run, of which only three calls wait for the store: opening, `model` and closing, and
    of a nested run that is not to wait none.

    They wait for what was told before, too. A run and all that is nested in it wait `seconds` in all, not
    counting what the tracker itself has to do (making a database, packing a model) and while the store takes
    in bytes at a decent rate; then the store is given up, with the warning of `MlflowTracker`. So it is when
    it is too far behind. A tracker that must work waits for each call, as long for each, and at any rate.
    """

    def __init__(
        self,
        tracker: MlflowTracker,
        *,
        seconds: float = SECONDS,
        parent: QueuedTracker | None = None,
        waits: bool = True,
    ) -> None:
        self.run_id: str | None = None
        self._tracker = tracker
        self._must_work = tracker.link.on_failure == "raise"
        self._parent, self._waits = parent, waits
        self._patience = Patience(seconds, rate=SLOWEST if self._must_work else DECENT)
        self._messenger: Messenger | None = None
        if parent is not None:
            self._patience, self._messenger = parent._patience, parent._messenger

    def __enter__(self) -> QueuedTracker:
        if not self._waits:
            self._tell(_NOT_OPENED, self._tracker.__enter__)
            return self
        if self._messenger is None:
            every = None if self._must_work else interval()  # the machine of an upload is that of no training
            self._messenger = Messenger(limit=_LONGEST_ANSWER, beat=self._tracker.sample, every=every)
        try:
            self._ask(_NOT_OPENED, self._tracker.__enter__)
        except BaseException as error:
            self._close_after(error)
            raise
        self.run_id = self._tracker.run_id if not self._messenger.is_dismissed else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._waits:
            self._tell(_NOT_CLOSED, lambda: self._tracker.__exit__(kind, error, trace))
            return
        try:
            self._ask(_NOT_CLOSED, lambda: self._tracker.__exit__(kind, error, trace))
        finally:
            if self._messenger is not None and self._parent is None:
                self._messenger.end()

    def _close_after(self, error: BaseException) -> None:
        """Opening was stopped, such as by Ctrl-C, and may have reached the store: then the run is closed."""
        with suppress(TrackingError):
            self.__exit__(type(error), error, error.__traceback__)
        if self._messenger is not None and self._parent is None:
            self._messenger.dismiss()

    def params(self, values: Mapping[str, Any]) -> None:
        self._tell("the config was not logged", self._tracker.params, dict(values))

    def tags(self, values: Mapping[str, str]) -> None:
        self._tell("the tags were not logged", self._tracker.tags, dict(values))

    def dataset(self, record: DatasetRecord) -> None:
        self._tell("the dataset was not logged", self._tracker.dataset, record)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self._tell("metrics were not logged", self._tracker.metrics, dict(values), step)

    def artifact(self, path: Path) -> None:
        self._tell(f"{path.name} was not logged", self._tracker.artifact, path)

    def fitted(self, record: ModelRecord) -> None:
        self._tell("the figures of the model were not logged", self._tracker.fitted, record)

    def model(self, folder: Path) -> str | None:
        return self._ask("the model was not logged", lambda: self._tracker.model(folder))

    def child(self, name: str, *, waits: bool = True) -> QueuedTracker:
        return QueuedTracker(self._tracker.child(name), parent=self, waits=waits)

    def _tell(self, loss: str, method: Callable[..., Any], *what: Any) -> None:
        """Hand a call over, and go on."""
        messenger, link = self._messenger, self._tracker.link
        if messenger is None or messenger.is_dismissed or link.broken:
            return
        if self._must_work:
            self._ask(loss, lambda: method(*what))
            return
        messenger.hand_over(lambda: method(*what), size=len(repr(what)))
        if messenger.waiting > _MOST_WAITING:
            messenger.dismiss()
            link.give_up(f"{loss}: the tracking store is {_MOST_WAITING >> 20} MiB behind")

    def _ask(self, loss: str, call: Callable[[], Answer]) -> Answer | None:
        """The answer of a call, None where the store fails, or failed before."""
        messenger, link = self._messenger, self._tracker.link
        if messenger is None or messenger.is_dismissed:
            return None
        if self._must_work:
            self._patience.renew()
        try:
            return messenger.ask(call, self._patience)
        except OutOfPatience:
            link.give_up(f"{loss}: the tracking store {shown(link.uri)} {out_of_patience(self._patience)}")
            return None
