"""Downloads from a server of our own: whole and checked, or a sentence and nothing left."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.datasets import DATASETS, fetch, fetching
from recsys_ae.data.datasets.known import Archive, Dataset, RatingsFile
from recsys_ae.data.load import load_ratings
from recsys_ae.errors import DataError


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


ROWS = "".join(f"{user}\t{user % 7}\t{user % 5 + 1}\t{user}\n" for user in range(5000))
GOOD = zipped(
    {"tiny/samples/u.data": "wrong", "tiny/u.data": ROWS, "tiny/README": "read me", "tiny/big.txt": "no"}
)
HOLLOW = zipped({"tiny/README": "read me"})
NO_ZIP = b"no zip at all"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body, claimed = {
            "/good.zip": (GOOD, len(GOOD)),
            "/corrupted.zip": (GOOD[:99] + b"x" + GOOD[100:], len(GOOD)),
            "/truncated.zip": (GOOD[: len(GOOD) // 2], len(GOOD)),
            "/silently-truncated.zip": (GOOD[: len(GOOD) // 2], len(GOOD) // 2),
            "/hollow.zip": (HOLLOW, len(HOLLOW)),
            "/text.zip": (NO_ZIP, len(NO_ZIP)),
        }.get(self.path, (b"", -1))
        if claimed < 0:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(claimed))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def tiny(server, monkeypatch) -> None:
    """A dataset that the server publishes."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    publish(monkeypatch, f"{server}/good.zip", GOOD)


def publish(monkeypatch, url: str, content: bytes) -> None:
    archive = Archive(url, hashlib.sha256(content).hexdigest(), ("u.data", "README", "LICENSE"))
    files = (RatingsFile("u.data", "tab"),)
    monkeypatch.setitem(
        DATASETS,
        "tiny",
        Dataset("tiny", 5000, 7, 5000, (1, 5), "free", "https://example.org", files, archive=archive),
    )


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_wanted_files_are_unpacked_and_load(tiny, tmp_path, monkeypatch):
    folder = fetch("tiny", tmp_path / "data")
    assert folder == tmp_path / "data" / "tiny"
    assert everything_in(tmp_path) == ["data", "data/tiny", "data/tiny/README", "data/tiny/u.data"]
    monkeypatch.setenv("RECSYS_AE_DATA", str(tmp_path / "data"))
    assert load_ratings(DataConfig(source="tiny")).n_observed == 5000


def test_a_download_that_has_no_end_is_given_up(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "MOST_DOWNLOADED", 1 << 10)
    with pytest.raises(DataError, match=r"good.zip: sends more than 0 GiB; nothing was kept"):
        fetch("tiny", tmp_path / "data")
    assert everything_in(tmp_path) == []


def test_downloads_go_to_the_data_folder_else_to_the_cache(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("RECSYS_AE_DATA", raising=False)
    assert fetch("tiny") == tmp_path / "cache" / "recsys_ae" / "tiny"
    monkeypatch.setenv("RECSYS_AE_DATA", str(tmp_path / "data"))
    assert fetch("tiny") == tmp_path / "data" / "tiny"


def test_what_is_there_is_not_fetched_again_and_not_touched(tiny, tmp_path, monkeypatch):
    publish(monkeypatch, "http://127.0.0.1:1/nothing.zip", GOOD)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "u.data").write_text("mine")
    assert fetch("tiny", tmp_path) == tmp_path / "tiny"
    assert (tmp_path / "tiny" / "u.data").read_text() == "mine"


def test_other_files_in_the_folder_stay(tiny, tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "notes.txt").write_text("mine")
    fetch("tiny", tmp_path)
    assert everything_in(tmp_path / "tiny") == ["README", "notes.txt", "u.data"]


def test_files_of_the_folder_that_the_archive_has_too_are_replaced_and_links_stay(tiny, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tiny").symlink_to("elsewhere")
    (tmp_path / "tiny" / "README").write_text("of before")
    (tmp_path / "tiny" / "link").symlink_to("README")
    fetch("tiny", tmp_path)
    assert (tmp_path / "tiny").is_symlink()
    assert (tmp_path / "tiny" / "link").is_symlink()
    assert (tmp_path / "tiny" / "README").read_text() == "read me"
    assert everything_in(tmp_path) == [
        "elsewhere", "elsewhere/README", "elsewhere/link", "elsewhere/u.data", "tiny",
    ]  # fmt: skip


def test_what_a_killed_download_left_goes_with_the_next(tiny, tmp_path):
    child = os.fork()
    if child == 0:
        fetch("tiny", tmp_path, progress=lambda done, total: os.kill(os.getpid(), signal.SIGKILL))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(everything_in(tmp_path)) >= 1
    fetch("tiny", tmp_path)
    assert everything_in(tmp_path) == ["tiny", "tiny/README", "tiny/u.data"]


def test_files_are_on_the_disk_before_they_have_their_names(tiny, tmp_path, monkeypatch):
    fsync, synced = os.fsync, []

    def noted(handle):
        synced.append((Path(f"/proc/self/fd/{handle}").readlink().name, (tmp_path / "tiny").exists()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    fetch("tiny", tmp_path)
    assert {("u.data", False), ("README", False), (tmp_path.name, True)} <= set(synced)


def test_progress_is_told_in_bytes(tiny, tmp_path):
    told = []
    fetch("tiny", tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(GOOD), len(GOOD))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("corrupted.zip", "has not the checksum of the dataset"),
        ("truncated.zip", "the download from 127.0.0.1:.* failed"),
        ("silently-truncated.zip", "has not the checksum of the dataset"),
        ("absent.zip", "answers 404 Not Found; try later, or get it by hand from https://example.org"),
    ],
)
def test_bad_answers_leave_nothing_behind(path, sentence, tiny, server, tmp_path):
    with pytest.raises(DataError, match=sentence) as raised:
        fetch("tiny", tmp_path / "data", url=f"{server}/{path}")
    assert "\n" not in str(raised.value)
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "content", "sentence"),
    [("hollow.zip", HOLLOW, "has no u.data in it"), ("text.zip", NO_ZIP, "is no zip file")],
)
def test_archives_that_are_not_what_they_should_be(
    path, content, sentence, tiny, server, tmp_path, monkeypatch
):
    publish(monkeypatch, f"{server}/{path}", content)
    with pytest.raises(DataError, match=sentence):
        fetch("tiny", tmp_path / "data")
    assert everything_in(tmp_path) == []


def test_a_real_dataset_is_not_taken_from_an_impostor(tiny, server, tmp_path):
    with pytest.raises(DataError, match=r"ml-100k: what http.* sends has not the checksum"):
        fetch("ml-100k", tmp_path / "data", url=f"{server}/good.zip")
    assert everything_in(tmp_path) == []


def test_no_network_is_one_sentence(tiny, tmp_path):
    with pytest.raises(DataError, match=r"from 127.0.0.1:1 failed \(ConnectionError\); check the network"):
        fetch("tiny", tmp_path / "data", url="http://127.0.0.1:1/good.zip")
    assert everything_in(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written .*; set RECSYS_AE_DATA to a folder"):
        fetch("tiny", tmp_path / "file" / "data")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission_is_one_sentence(tiny, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="cannot be written"):
        fetch("tiny", tmp_path / "data")


def test_sets_that_cannot_be_fetched_say_why():
    with pytest.raises(DataError, match=r"goodbooks-10k cannot be fetched: version 1.* goodbooks-10k-v2"):
        fetch("goodbooks-10k")
    with pytest.raises(DataError, match="filmtrust cannot be fetched: no checksum"):
        fetch("filmtrust")


def test_the_bundled_set_is_here_already():
    assert (fetch("movietweetings-100k") / "ratings.parquet").is_file()
