"""downloads.py against a local server."""

import hashlib
import http.server
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from kaggle_speech.data import archive_formats, downloads

CONTENT = bytes(hashlib.shake_128(b"speech").digest(300_000))


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT under every path; keeps the Range and the path of every request."""

    has_ranges = True
    num_cut_short = 0  # so many answers end in the middle
    status = None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges, self.paths = [], []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        self.server.paths.append(self.path)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.has_ranges else 0
        body = CONTENT[start:]
        self.send_response(self.server.status or (416 if start >= len(CONTENT) else 206 if start else 200))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.num_cut_short:
            self.server.num_cut_short -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads, "RETRY_WAIT_S", 0.0)
    for name in ("v0.01", "dev-clean"):
        url = f"http://127.0.0.1:{server.server_port}/data/{downloads.DOWNLOADS[name].url.rpartition('/')[2]}"
        published = downloads.Download(url, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
        monkeypatch.setitem(downloads.DOWNLOADS, name, published)
    yield server
    server.shutdown()
    server.server_close()


def partial_in(folder, data):
    path = folder / "speech_commands_v0.01.tar.gz.partial"
    path.write_bytes(data)
    return path


def check_downloaded(folder):
    path = downloads.download("v0.01", folder, progress=False)
    assert path == folder / "speech_commands_v0.01.tar.gz"
    assert path.read_bytes() == CONTENT
    assert list(folder.iterdir()) == [path]


def test_two_downloads_of_one_archive_wait_for_each_other(server, tmp_path):
    pytest.importorskip("filelock")
    with ThreadPoolExecutor(2) as pool:
        for download in [pool.submit(downloads.download, "v0.01", tmp_path, progress=False) for _ in range(2)]:
            assert download.result(timeout=60).read_bytes() == CONTENT
    assert len(server.paths) == 1 and len(list(tmp_path.iterdir())) == 1


def test_download_fetches_once(server, tmp_path):
    check_downloaded(tmp_path / "new")
    check_downloaded(tmp_path / "new")
    assert len(server.ranges) == 1


def test_download_resumes_a_partial_file(server, tmp_path):
    partial_in(tmp_path, CONTENT[:100_000])
    check_downloaded(tmp_path)
    assert server.ranges == ["bytes=100000-"]


def test_download_resumes_after_a_broken_connection(server, tmp_path):
    server.num_cut_short = 2
    check_downloaded(tmp_path)
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in server.ranges]
    assert starts[0] == 0 < starts[1] <= 150_000 < starts[2] <= 225_000


def test_download_starts_over_where_the_server_has_no_ranges(server, tmp_path):
    server.has_ranges = False
    partial_in(tmp_path, b"something else")
    check_downloaded(tmp_path)


def test_download_starts_over_after_a_range_beyond_the_end(server, tmp_path):
    partial_in(tmp_path, CONTENT + b"more")
    check_downloaded(tmp_path)
    assert server.ranges[0] == "bytes=300004-"


def test_a_finished_partial_file_is_only_verified(server, tmp_path):
    partial_in(tmp_path, CONTENT)
    check_downloaded(tmp_path)
    assert server.ranges == []


@pytest.mark.parametrize("data", [b"x" * 100_000, b"x" * 300_000])
def test_download_refuses_another_checksum_and_then_starts_over(server, tmp_path, data):
    partial_in(tmp_path, data)
    with pytest.raises(
        archive_formats.ArchiveError, match=r"speech_commands_v0.01.tar.gz: must be 300000 bytes with SHA-256"
    ):
        downloads.download("v0.01", tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []
    check_downloaded(tmp_path)


def test_download_refuses_another_size(server, tmp_path, monkeypatch):
    monkeypatch.setitem(downloads.DOWNLOADS, "v0.01", downloads.DOWNLOADS["v0.01"]._replace(num_bytes=299_999))
    with pytest.raises(archive_formats.ArchiveError, match=r"must be 299999 bytes.*Received: 300000 bytes"):
        downloads.download("v0.01", tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("status", "num_requests"), [(404, 1), (503, downloads.NUM_ATTEMPTS)])
def test_download_tries_again_only_where_that_may_help(server, tmp_path, status, num_requests):
    server.status = status
    with pytest.raises(requests.HTTPError, match=str(status)):
        downloads.download("v0.01", tmp_path, progress=False)
    assert len(server.ranges) == num_requests


def test_download_refuses_an_unknown_name(tmp_path):
    with pytest.raises(ValueError, match=r"`name` must be one of v0.01, v0.02.* Received: 'v3'") as error:
        downloads.download("v3", tmp_path)
    assert all(name in str(error.value) for name in downloads.DOWNLOADS)
    assert list(tmp_path.iterdir()) == []


def test_a_split_of_librispeech_is_resumed_and_checked(server, tmp_path):
    (tmp_path / "dev-clean.tar.gz.partial").write_bytes(CONTENT[:100_000])
    path = downloads.download("dev-clean", tmp_path, progress=False)
    assert path == tmp_path / "dev-clean.tar.gz" and path.read_bytes() == CONTENT
    assert (server.ranges, server.paths) == (["bytes=100000-"], ["/data/dev-clean.tar.gz"])
    path.rename(tmp_path / "dev-clean.tar.gz.partial").write_bytes(b"x" * 300_000)
    with pytest.raises(archive_formats.ArchiveError, match=r"dev-clean.tar.gz: must be 300000 bytes with SHA-256"):
        downloads.download("dev-clean", tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_every_archive_has_an_address_and_a_hash_of_its_own():
    published = downloads.DOWNLOADS.values()
    assert len(downloads.DOWNLOADS) == 4 + 7 + 1
    assert len({archive.sha256 for archive in published}) == len({archive.url for archive in published}) == 12
    for name, archive in downloads.DOWNLOADS.items():
        ending = "3-gram.pruned.1e-7.arpa.gz" if name == downloads.LANGUAGE_MODEL else f"{name}.tar.gz"
        assert archive.url.startswith("https://") and archive.url.endswith(ending)
        assert len(archive.sha256) == 64 and int(archive.sha256, 16) > 0
