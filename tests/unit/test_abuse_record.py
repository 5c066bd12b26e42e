from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.abuse import record
from harness.abuse.__main__ import main
from harness.abuse.client import NO_ANSWER, Client, Reply
from harness.abuse.form import RawRequest

REQUEST = RawRequest("multipart/form-data; boundary=x", b"\0\xff--x")


class Echo(BaseHTTPRequestHandler):
    """Answers 422 with what it was sent. Keeps the connection, but for a body that says "close"."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(422)
        self.send_header("Content-Type", self.headers["Content-Type"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = body == b"close"  # without a word, as a service does that failed

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "tiny-v1").mkdir()
    (tmp_path / "tiny-v1" / "manifest.json").write_text("{}")
    return tmp_path / "tiny-v1"


def test_a_client_sends_bytes_as_they_are_and_survives_a_closed_connection(url: str) -> None:
    with Client(url) as client:
        for body in (b"\0\xff", b"close", b"after"):
            assert client.predict(RawRequest("text/odd", body)) == Reply(422, "text/odd", body)


def test_a_service_that_is_not_there_gives_no_answer() -> None:
    with Client("http://127.0.0.1:9") as client:
        reply = client.predict(REQUEST)
    assert reply.status == NO_ANSWER
    assert b"refused" in reply.body


def test_a_record_keeps_the_request_and_the_package_that_it_needs(tmp_path: Path, package: Path) -> None:
    program, _, module, file = shlex.split(record.keep(tmp_path / "out", REQUEST, {422, 200}, "HTTP 500", package))
    assert (program, module) == ("python", "harness.abuse")
    kept = record.load(Path(file))
    assert (kept.request, kept.statuses, kept.complaint) == (REQUEST, (200, 422), "HTTP 500")
    assert (kept.models / "tiny-v1" / "manifest.json").is_file()


@pytest.mark.parametrize(("allowed", "code"), [({200, 422}, 0), ({200}, 1)])
def test_a_replay_says_what_is_answered_now_and_fails_where_it_is_still_wrong(
    tmp_path: Path, package: Path, url: str, capsys: pytest.CaptureFixture[str], allowed: set[int], code: int
) -> None:
    file = record.keep(tmp_path / "out", REQUEST, allowed, "HTTP 500 instead of [422]", package).split()[-1]
    assert main([file, "--url", url]) == code
    out = capsys.readouterr().out
    assert "then: HTTP 500 instead of [422]" in out
    assert "now: HTTP 422 multipart/form-data; boundary=x" in out


def test_a_replay_without_an_answer_fails_with_the_reason(
    tmp_path: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = record.keep(tmp_path / "out", REQUEST, {200}, "HTTP 500", package).split()[-1]
    assert main([file, "--url", "http://127.0.0.1:9"]) == 1
    assert "Connection refused" in capsys.readouterr().out
