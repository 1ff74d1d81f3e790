"""MLflow's page on a store, as a process that ends with this one."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import sleep

from recsys_ae.errors import ConfigError, TrackingError, reason

_STDERR = 2  # where the server's chatter goes: stdout has the address alone
_PATIENCE = 10.0  # seconds that a server has to end in


def check_free(host: str, port: int) -> None:
    """Raises ConfigError where nobody can listen at this address, as where another program does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else reason(error)
        raise ConfigError(
            f"no page at port {port} of {host}: {why.lower()}; name another --port or --host"
        ) from None


def serve(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    host: str,
    port: int,
    on_answer: Callable[[], None],
) -> None:
    """Run a server until it ends, or until a signal ends both. `environment`: what is added to that of this
    process; `on_answer`: told once, when the server answers.

    Raises TrackingError for a server that ends by itself, which has said why.
    """
    server = subprocess.Popen(command, env=os.environ | environment, stdout=_STDERR)
    try:
        while server.poll() is None and not _answers(host, port):
            sleep(0.2)
        if server.poll() is None:
            on_answer()
        server.wait()
    finally:
        _end(server)
    raise TrackingError("MLflow's page has ended by itself; what it said of that stands above")


def _answers(host: str, port: int) -> bool:
    """Whether a page, of whatever kind, comes back."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/health")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(_PATIENCE)
    server.kill()  # nothing where it has ended
    server.wait()
