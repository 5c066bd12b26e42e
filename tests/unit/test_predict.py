from __future__ import annotations

import contextlib
import io
import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.service import Service
from immich_dog_plugin.cli import main
from immich_dog_plugin.client import direct, upright_bytes
from immich_dog_plugin.errors import PhotoError
from tests.unit.test_contract import good_answer


class FakeService(ThreadingHTTPServer):
    """Answers each request with ``status``, ``body`` and ``content_type`` after ``delay`` seconds, and keeps it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body, self.delay = 200, json.dumps(good_answer()), 0.0
        self.content_type = "application/json"
        self.requests: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeService

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, content))
        time.sleep(self.server.delay)
        with contextlib.suppress(BrokenPipeError):  # the client may have given up
            self.send_response(self.server.status)
            self.send_header("Content-Type", self.server.content_type)
            self.end_headers()
            self.wfile.write(self.server.body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo.jpg"
    Image.new("RGB", (40, 30), "brown").save(file)
    return file


def test_each_dog_is_printed_with_box_score_crop_and_embedding_length(
    service: FakeService, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "--url", service.url + "/", str(photo)]) == 0
    out = capsys.readouterr().out
    assert "photo.jpg (40 x 30): 2 dogs" in out
    assert "1  box 0 0 40 30  score 0.900  crop face  embedding 512 numbers" in out


def test_the_three_entries_and_the_photo_as_it_is_are_sent(service: FakeService, photo: Path) -> None:
    assert main(["predict", "--url", service.url, "--model", "other-v2", "--min-score", "0.25", str(photo)]) == 0
    ((path, content),) = service.requests
    assert path == "/predict"
    assert photo.read_bytes() in content
    entries = json.loads(content[content.index(b'{"dog-identification"') :].split(b"\r\n")[0])
    assert entries == {
        "dog-identification": {
            "detection": {"modelName": "other-v2", "options": {"minScore": 0.25}},
            "keypoint": {"modelName": "other-v2"},
            "recognition": {"modelName": "other-v2"},
        }
    }


def test_json_is_one_object_per_photo(service: FakeService, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--url", service.url, "--json", str(photo), str(photo)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{"photo": str(photo), **good_answer()}] * 2


def test_one_bad_photo_does_not_stop_the_others(
    service: FakeService, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(photo.read_bytes()[:200])
    missing = tmp_path / "missing.jpg"
    assert main(["predict", "--url", service.url, "--json", str(bad), str(missing), str(photo)]) == 1
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert ["error" in line for line in lines] == [True, True, False]
    assert "bad.jpg" in captured.err
    assert "missing.jpg" in captured.err
    assert len(service.requests) == 1


@pytest.mark.parametrize("argument", ["-", "/dev/stdin"])
def test_a_photo_is_read_from_the_standard_input_once(
    service: FakeService,
    photo: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    argument: str,
) -> None:
    with photo.open() as standard_input:
        monkeypatch.setattr(sys, "stdin", standard_input)
        assert main(["predict", "--url", service.url, argument]) == 0
    assert "/dev/stdin (40 x 30): 2 dogs" in capsys.readouterr().out
    ((_, content),) = service.requests
    assert photo.read_bytes() in content


@pytest.mark.parametrize("content", [b"", b"no photo", None], ids=["nothing", "no photo", "closed"])
def test_what_is_no_photo_on_the_standard_input_is_said(
    service: FakeService,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    content: bytes | None,
) -> None:
    (tmp_path / "input").write_bytes(content or b"")
    with (tmp_path / "input").open() as standard_input:
        monkeypatch.setattr(sys, "stdin", None if content is None else standard_input)
        assert main(["predict", "--url", service.url, "-"]) == 1
    message = capsys.readouterr().err
    assert ("/dev/stdin is not an image" if content else "Nothing came through the standard input") in message
    assert ("docker exec needs -i" in message) is not bool(content)
    assert not service.requests


def test_a_file_called_like_the_sign_for_it_is_a_file(
    service: FakeService, photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photo.rename(photo.with_name("-"))
    monkeypatch.chdir(photo.parent)
    assert main(["predict", "--url", service.url, "./-"]) == 0
    assert capsys.readouterr().out.startswith("- (40 x 30)")


def test_an_answer_that_breaks_the_contract_fails(
    service: FakeService, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.body = json.dumps(good_answer() | {"imageWidth": 39})
    assert main(["predict", "--url", service.url, str(photo)]) == 1
    assert "a box reaches beyond the photo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (500, "Internal Server Error", "the service is not patched"),
        (422, '{"detail":"Invalid request format."}', "the service is not patched"),
        (400, '{"detail":"dog-identification needs an image"}', "The answer says what is wrong"),
        (422, '{"detail":"There is no dog model package"}', "The answer says what is wrong"),
        (404, '{"detail":"Not Found"}', "no Immich ML service"),
        (405, '{"detail":"Method Not Allowed"}', "no Immich ML service"),
        (501, "Unsupported method", "no Immich ML service"),
    ],
)
def test_an_http_error_is_shown_with_its_body(
    service: FakeService, photo: Path, capsys: pytest.CaptureFixture[str], status: int, body: str, hint: str
) -> None:
    service.status, service.body = status, body
    assert main(["predict", "--url", service.url, str(photo)]) == 1
    message = capsys.readouterr().err
    assert f"HTTP {status}: {body}" in message
    assert hint in message


@pytest.mark.parametrize("status", [200, 404, 500, 501])
def test_a_web_page_is_named_and_not_shown(
    service: FakeService, photo: Path, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    service.status, service.body, service.content_type = status, "<!DOCTYPE HTML>", "text/html;charset=utf-8"
    assert main(["predict", "--url", service.url, str(photo)]) == 1
    message = capsys.readouterr().err
    assert f"HTTP {status}: a web page (" in message
    assert "no Immich ML service" in message
    assert "DOCTYPE" not in message


def test_of_a_long_error_only_the_beginning_is_shown(
    service: FakeService, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.status, service.body = 422, "ab" * 1000
    assert main(["predict", "--url", service.url, str(photo)]) == 1
    message = capsys.readouterr().err
    assert "ab" * 150 in message
    assert "ab" * 150 + "a" not in message


def test_a_service_that_does_not_answer_in_time_is_reported(
    service: FakeService, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.delay = 0.3
    assert main(["predict", "--url", service.url, "--timeout", "0.05", str(photo)]) == 1
    assert "did not answer within 0.05 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://127.0.0.1:9", "/predict cannot be reached (Connection refused). "),
        ("localhost", "cannot be asked"),
        ("http://", "cannot be asked"),
    ],
)
def test_a_url_where_nothing_answers_is_reported(
    photo: Path, capsys: pytest.CaptureFixture[str], url: str, complaint: str
) -> None:
    assert main(["predict", "--url", url, str(photo)]) == 1
    message = capsys.readouterr().err
    assert complaint in message
    assert "--url" in message


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        *(("--timeout", value, "is not a number of seconds above 0") for value in ("0", "-5", "inf", "nan", "soon")),
        *(("--min-score", value, "is not a number from 0 to 1") for value in ("7", "-0.1", "nan", "abc")),
    ],
)
def test_a_value_out_of_range_is_wrong_usage(
    photo: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, complaint: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["predict", "--url", "http://127.0.0.1:9", option, value, str(photo)])
    assert caught.value.code == 2
    assert f"argument {option}: '{value}' {complaint}" in capsys.readouterr().err


@pytest.fixture
def no_proxy_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("no_proxy_yet")
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_not_asked_through_a_proxy(
    service: FakeService, photo: Path, monkeypatch: pytest.MonkeyPatch, variable: str, host: str
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert main(["predict", "--url", f"http://{host}:{service.server_port}", str(photo)]) == 0
    assert Service(f"http://{host}:{service.server_port}").predict({}, image=b"x").status_code == 200


@pytest.mark.usefixtures("no_proxy_yet")
def test_another_machine_is_asked_through_the_proxy_and_a_failure_says_so(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable, value in (
        ("http_proxy", "http://me:secret@127.0.0.1:9"),
        ("HTTP_PROXY", "127.0.0.1:9"),
        ("all_proxy", "http://127.0.0.1:9"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            assert main(["predict", "--url", "http://immich.example:3003", str(photo)]) == 1
        message = capsys.readouterr().err
        assert "/predict, asked through the proxy http://127.0.0.1:9, cannot be reached (Connection refused)" in message
        assert "NO_PROXY" in message
        assert "secret" not in message


@pytest.mark.usefixtures("no_proxy_yet")
def test_an_answer_that_the_proxy_gives_is_said_to_come_through_it(
    service: FakeService, photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("http_proxy", service.url)
    service.status, service.body = 403, "Forbidden"
    assert main(["predict", "--url", "http://immich.example:3003", str(photo)]) == 1
    assert f"asked through the proxy {service.url}, answered HTTP 403: Forbidden" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "is_direct"),
    [
        ("http://localhost:3003", True),
        ("http://ml.localhost:3003", True),
        ("http://127.8.9.10:3003", True),
        ("http://[::1]:3003", True),
        ("https://LOCALHOST", True),
        ("http://192.168.1.2:3003", False),
        ("http://localhost.example.org", False),
        ("http://immich-machine-learning:3003", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_what_counts_as_this_machine(url: str, is_direct: bool) -> None:
    assert bool(direct(url)) == is_direct


def test_whatever_a_photo_raises_the_others_are_sent(
    service: FakeService, photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(path: Path, name: str) -> bytes:
        if path.name == "odd.jpg":
            raise RuntimeError("a decoder's own error")
        return path.read_bytes()

    monkeypatch.setattr("immich_dog_plugin.commands.predict.upright_bytes", failing)
    assert main(["predict", "--url", service.url, "--json", "odd.jpg", str(photo)]) == 1
    captured = capsys.readouterr()
    assert [("error" in json.loads(line)) for line in captured.out.splitlines()] == [True, False]
    assert "odd.jpg: the photo could not be analysed (RuntimeError: a decoder's own error)" in captured.err


def test_without_requests_the_command_names_what_to_install(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    assert main(["predict", "--url", "http://localhost:3003", str(photo)]) == 1
    assert "Asking a service needs requests, which is not installed. Install it with: pip install requests" in (
        capsys.readouterr().err
    )


def test_a_photo_on_its_side_is_sent_upright(tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    Image.fromarray(np.zeros((20, 50, 3), dtype=np.uint8)).save(file, exif=exif)
    with Image.open(io.BytesIO(upright_bytes(file))) as sent:
        assert sent.size == (20, 50)
        assert sent.getexif().get(0x0112) is None


def test_a_photo_whose_end_is_missing_is_sent_whole(tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    Image.fromarray(np.zeros((20, 50, 3), dtype=np.uint8)).save(file)
    assert upright_bytes(file) == file.read_bytes()
    file.write_bytes(file.read_bytes()[:-2])  # which the service, as Pillow does, would refuse
    with Image.open(io.BytesIO(upright_bytes(file))) as sent:
        assert (sent.format, sent.size) == ("PNG", (50, 20))


@pytest.mark.parametrize("mode", ["CMYK", "I;16", "RGBA", "P"])
def test_a_photo_of_another_mode_is_sent_as_rgb(tmp_path: Path, mode: str) -> None:
    file = tmp_path / ("photo.tif" if mode != "P" else "photo.gif")
    Image.new(mode, (8, 6)).save(file)
    with Image.open(io.BytesIO(upright_bytes(file))) as sent:
        assert (sent.format, sent.mode, sent.size) == ("PNG", "RGB", (8, 6))


def test_a_photo_that_cannot_be_read_is_not_sent(tmp_path: Path) -> None:
    with pytest.raises(PhotoError):
        upright_bytes(tmp_path)
