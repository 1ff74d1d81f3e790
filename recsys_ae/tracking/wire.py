"""What goes over HTTP to and from a store: counted, limited, and cut off once the store is given up."""

from __future__ import annotations

import http.client
import io
import shutil
import socket
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_POOLS = "Mlflow"  # MLflow's threads for transfers are named like this
_UNSENT = 128 * 1024  # bytes; more would count as sent, in the system's buffer, before a slow store has it
_LOOK_EVERY = 16 * 1024 * 1024  # bytes, after which the room on the disk is looked at
_ROOM = 256 * 1024 * 1024  # bytes that stay free


class WireError(Exception):
    """Enough of a store; no OSError, after which HTTP libraries would try again."""


@dataclass(slots=True)
class Wire:
    """The HTTP traffic of the thread that opened it, and of the threads that MLflow starts for transfers.

    `limit`: bytes that one answer may have, None without a limit; with `keeps`, all answers together, which
    go to the disk of temporary files and leave some room there. `sent`, `received`: bytes so far. Once `cut`
    is set, everything that is sent or read raises WireError. `too_much`: what is said of an answer that was
    refused.
    """

    limit: int | None = None
    keeps: bool = False
    sent: int = 0
    received: int = 0
    cut: bool = False
    too_much: str | None = None

    def open(self) -> None:
        """From now on this thread's traffic is that of the wire."""
        global _latest
        _listen()
        _mine.wire = _latest = self

    def check(self) -> None:
        if self.cut:
            raise WireError("the store was given up")

    def take(self, n: int, of_answer: int) -> None:
        """So many bytes arrived, the last of so many of an answer."""
        before, self.received = self.received, self.received + n
        if self.limit is not None and (self.received if self.keeps else of_answer) > self.limit:
            self._refuse(f"{self.limit >> 20} MiB")
        if self.keeps and before // _LOOK_EVERY != self.received // _LOOK_EVERY:
            folder = tempfile.gettempdir()
            if shutil.disk_usage(folder).free < _ROOM:
                self._refuse(f"{folder} has room for")

    def _refuse(self, what: str) -> None:
        self.too_much = f"answered with more than {what}"
        raise WireError(self.too_much)


_mine = threading.local()
_latest: Wire | None = None
_listening = threading.Lock()
_is_listening = False


def _wire() -> Wire | None:
    """That of this thread. All other threads of the process have none, and are left alone."""
    found: Wire | None = getattr(_mine, "wire", None)
    return _latest if found is None and threading.current_thread().name.startswith(_POOLS) else found


def _listen() -> None:
    """Python tells of everything that is sent; what is read passes through a response class of ours. All
    libraries that speak HTTP in Python, those of cloud stores too, come by here."""
    global _is_listening
    with _listening:
        if not _is_listening:
            sys.addaudithook(_on_event)
            http.client.HTTPConnection.response_class = _MeteredResponse
            _is_listening = True


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "http.client.send" and (wire := _wire()) is not None:
        wire.check()
        wire.sent += len(arguments[1]) if hasattr(arguments[1], "__len__") else 0
    elif event == "socket.connect" and (wire := _wire()) is not None:
        wire.check()
        with suppress(OSError, AttributeError):  # not every system has it
            arguments[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)


class _MeteredResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        wire = _wire()
        if wire is not None:
            self.fp = io.BufferedReader(_Metered(self.fp.detach(), wire))


class _Metered(io.RawIOBase):
    """What a socket gives, head and body of one answer."""

    def __init__(self, raw: io.RawIOBase, wire: Wire) -> None:
        self._raw, self._wire, self._n_read = raw, wire, 0

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: Any) -> int | None:
        self._wire.check()
        n: int | None = self._raw.readinto(buffer)
        self._n_read += n or 0
        self._wire.take(n or 0, self._n_read)
        return n

    def close(self) -> None:
        self._raw.close()
        super().close()
