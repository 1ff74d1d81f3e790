"""Tracking servers that behave well for a while, and then as badly as one can."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

WAYS = ("hangs", "drips", "busy", "floods", "floods in pieces", "fails with a flood", "redirects", "dies",
        "talks nonsense")  # fmt: skip
FLOOD = 3 * 1024**3


class TrackingServer(ThreadingHTTPServer):
    """A small part of MLflow's REST interface, kept in memory.

    The first `n_good` requests are answered, the rest in one of `WAYS` (None: well, too; "floods files": well
    but for files, which never end). `delay`: seconds
    before each good answer; `bytes_per_second`: of the bodies that it reads, with a `small_buffer` before it
    as on a slow line. `paths` counts what was asked; `heard` is called with each before it is answered.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        way: str | None = None,
        *,
        n_good: int = 0,
        delay: float = 0.0,
        bytes_per_second: float = 1e12,
        small_buffer: bool = False,
        heard: Callable[[str], object] = str,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=False)
        if small_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self.server_bind()
        self.server_activate()
        self.way, self.n_good, self.delay, self.bytes_per_second = way, n_good, delay, bytes_per_second
        self.heard = heard
        self.lock, self.stopped = threading.Lock(), threading.Event()
        self.paths: Counter[str] = Counter()
        self.n_requests = self.n_body_bytes = 0
        self.tags: dict[str, str] = {}
        self.model_id = f"m-{uuid.uuid4().hex}"  # MLflow's clients remember where those of an id lie
        self.run: dict[str, Any] = {"run_id": uuid.uuid4().hex, "experiment_id": "1", "status": "RUNNING",
                                    "start_time": 1, "lifecycle_stage": "active"}  # fmt: skip

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no news."""

    def answer(self, path: str, query: dict[str, list[str]], document: dict[str, Any]) -> dict[str, Any]:
        """What a good server says."""
        self.run["artifact_uri"] = f"{self.uri}/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts"
        found = {"experiment_id": "1", "name": "demo", "lifecycle_stage": "active", "artifact_location": "x"}
        model = {"model_id": self.model_id, "experiment_id": "1", "name": "model", "artifact_uri":
                 f"{self.uri}/api/2.0/mlflow-artifacts/artifacts/1/models/{self.model_id}/artifacts",
                 "creation_timestamp_ms": 1, "last_updated_timestamp_ms": 1,
                 "status": "LOGGED_MODEL_PENDING"}  # fmt: skip
        if path == "runs/create":
            self.tags |= {tag["key"]: tag["value"] for tag in document.get("tags", [])}
        if path == "runs/set-tag":
            self.tags[document["key"]] = document["value"]
        if path == "runs/update":
            self.run["status"] = document["status"]
        answers = {
            "experiments/get-by-name": {"experiment": found},
            "runs/create": {"run": {"info": self.run, "data": {}}},
            "runs/get": {"run": {"info": self.run, "data": {}}},
            "runs/update": {"run_info": self.run},
            "runs/search": {"runs": []},
            "logged-models": {"model": {"info": model, "data": {}}},
            "": {"files": [{"path": "per_user.parquet", "is_dir": False, "file_size": 9}]},
            f"logged-models/{self.model_id}": {"model": {"info": model, "data": {}}},
        }
        return answers.get(path, {})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TrackingServer

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        server = self.server
        with server.lock:
            server.n_requests += 1
            bad = server.way is not None and server.n_requests > server.n_good
            if server.way == "floods files":
                bad = self.command == "GET" and "/artifacts/1/run/artifacts/" in self.path
        body = self._body()
        with suppress(OSError):
            if bad:
                self.close_connection = True
                self._misbehave()
            else:
                time.sleep(server.delay)
                self._answer(body)

    def _body(self) -> bytes:
        left, parts, chunked = (
            int(self.headers.get("Content-Length") or 0),
            [],
            "Transfer-Encoding" in self.headers,
        )
        while chunked and (size := int(self.rfile.readline(), 16)):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        if chunked:
            self.rfile.readline()
        start, n_read = time.monotonic(), 0
        while left and (part := self.rfile.read(min(left, 8192))):
            n_read += len(part)
            time.sleep(max(0.0, start + n_read / self.server.bytes_per_second - time.monotonic()))
            left -= len(part)
            self.server.n_body_bytes += len(part)
            if len(parts) < 200:
                parts.append(part)
        return b"".join(parts)

    def _answer(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        path = parts.path.partition("/mlflow/")[2]
        with self.server.lock:
            self.server.paths[path or self.command] += 1
            document = json.loads(body) if path and body else {}
            self.server.heard(path)
            told = self.server.answer(path, parse_qs(parts.query), document)
        self._send(200, json.dumps(told).encode())

    def _send(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _misbehave(self) -> None:
        way, stopped = self.server.way, self.server.stopped
        if way == "hangs":
            stopped.wait()
        elif way == "drips":
            for letter in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}":
                self.wfile.write(bytes([letter]))
                stopped.wait(5)
        elif way == "busy":
            self._send(429, b"{}", Retry_After="3600")
        elif way == "redirects":
            self._send(302, b"", Location=f"{self.path}x")
        elif way == "dies":
            self.server.shutdown()
            self.server.server_close()
        elif way == "talks nonsense":
            self.wfile.write(b"\x00\xff no HTTP at all \r\n\r\n")
        else:
            self._flood()

    def _flood(self) -> None:
        in_pieces = self.server.way == "floods in pieces"
        self.send_response(500 if self.server.way == "fails with a flood" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header(*(("Transfer-Encoding", "chunked") if in_pieces else ("Content-Length", str(FLOOD))))
        self.end_headers()
        block = b" " * (1 << 20)
        for _ in range(FLOOD // len(block)):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if in_pieces else block)

    def log_message(self, *what: Any) -> None:
        pass


@contextmanager
def serving(way: str | None = None, **options: Any) -> Iterator[TrackingServer]:
    """A server that listens within the block."""
    server = TrackingServer(way, **options)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()
