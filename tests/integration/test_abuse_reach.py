"""A request can never make the dog models open a file that it names, or fetch one."""

from __future__ import annotations

import json
import sys
import sysconfig
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, islice, product
from pathlib import Path
from typing import Any

import pytest

from harness.abuse.client import Client
from harness.abuse.form import Form, Part, RawRequest
from harness.abuse.requests import HOSTILE_NAMES, HOSTILE_OPTIONS, abusive_requests
from harness.service import ProcessService
from harness.upstream import Upstream
from immich_dog_plugin.contract import TASK, request_entries
from immich_dog_plugin.manifest import StageName
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline
from tests.integration.abused import TINY, Judge, photo_form, watched
from tests.integration.conftest import NEWEST, StartService

pytestmark = pytest.mark.parametrize("upstream", [NEWEST], indirect=True)

GENERATED = 400
STAGES: tuple[StageName, ...] = ("detection", "keypoint", "recognition")


class Hub(ThreadingHTTPServer):
    """Stands where the service looks for models to fetch, and keeps what it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _NotFound)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _NotFound(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_error(404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the service opened and connected to; see ``harness/abuse/inside``."""
    return tmp_path_factory.mktemp("audit") / "events.jsonl"


@pytest.fixture(scope="module")
def watched_service(
    start: StartService,
    patched_tree: Path,
    plugin: Path,
    hub: Hub,
    audit: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ProcessService]:
    """A service that may fetch models, from the hub here."""
    online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.url, "NO_PROXY": "*", "HF_HUB_DISABLE_TELEMETRY": "1"}
    settings = watched(patched_tree, plugin, audit=audit) | online
    with start(tmp_path_factory.mktemp("watched"), settings=settings) as running:
        yield running


def events(audit: Path, after: int = 0) -> list[list[str]]:
    return [json.loads(line) for line in audit.read_text().splitlines()[after:]]


def named_paths(events: list[list[str]]) -> set[Path]:
    """Everything in the events that is a path: the first argument, and of two paths the second."""
    return {
        Path(argument)
        for event, *arguments in events
        if not event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "urllib."))
        for argument in arguments[: 2 if event in ("os.rename", "os.link", "os.symlink", "shutil.move") else 1]
        if argument != "None"
    }


def hostile_requests(photo: bytes) -> Iterator[RawRequest]:
    """Every hostile name for each stage, every hostile option with paths and URLs, and such images."""
    for name, stage in product(HOSTILE_NAMES, STAGES):
        entries: dict[str, Any] = request_entries(TINY)
        entries[TASK][stage]["modelName"] = name.replace("{model}", TINY)
        yield photo_form(entries, photo)
    places = ("/etc/passwd", "../../../../etc", "http://127.0.0.1:9/model", "hf://immich-app/buffalo_l")
    for option, place, stage in product(HOSTILE_OPTIONS, places, STAGES):
        entries = request_entries(TINY)
        entries[TASK][stage]["options"] = {option: place}
        yield photo_form(entries, photo)
    entry = Part("entries", json.dumps(request_entries(TINY)).encode())
    svg = f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{places[2]}"/><image href="file:///etc/passwd"/></svg>'
    for content in (*(place.encode() for place in places), svg.encode()):
        yield Form((entry, Part("image", content))).encode()
        yield Form((entry, Part("image", content, places[0], "image/svg+xml"))).encode()
        yield Form((entry, Part("text", content))).encode()
    yield Form((entry, Part("image", photo, "/etc/passwd"))).encode()


def test_no_request_opens_a_file_elsewhere_or_connects_anywhere(
    watched_service: ProcessService,
    upstream: Upstream,
    patched_tree: Path,
    plugin: Path,
    hub: Hub,
    audit: Path,
    tiny_package: ModelPackage,
    tiny_pipeline: DogPipeline,
) -> None:
    judge = Judge(tiny_pipeline, tiny_package)
    with Client(watched_service.url) as client:
        good, wanted = judge.good_request(0)
        assert judge.complaint(client.predict(good), wanted) is None
        started = len(events(audit))
        assert watched_service.cache / TASK / TINY / "manifest.json" in named_paths(events(audit))
        generated = (abuse.sent for abuse in islice(abusive_requests(1, judge.known), GENERATED))
        sent = [client.predict(request) for request in chain(hostile_requests(judge.known.photos[0]), generated)]
        assert judge.complaint(client.predict(good), wanted) is None
    happened = events(audit, started)
    outward = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "urllib.")
    assert [event for event in happened if event[0].startswith(outward)] == []
    assert hub.asked == []
    homes = [
        watched_service.cache,
        tiny_package.path.parent,
        patched_tree,
        plugin,
        upstream.python.parents[1],
        *map(Path, (sys.base_prefix, sysconfig.get_path("stdlib"))),
    ]
    strangers = {path for path in named_paths(happened) if not any(path.is_relative_to(home) for home in homes)}
    print(f"\n{len(sent)} requests, {len(happened)} events; elsewhere: {strangers or 'none'}")
    assert strangers == set()


def test_the_trap_catches_a_model_that_immich_itself_fetches(
    watched_service: ProcessService, hub: Hub, audit: Path, tiny_package: ModelPackage, tiny_pipeline: DogPipeline
) -> None:
    before = len(events(audit))
    photo = Judge(tiny_pipeline, tiny_package).known.photos[0]
    with Client(watched_service.url) as client:
        client.predict(photo_form({"clip": {"visual": {"modelName": "ViT-L-14__openai"}}}, photo))
    assert any("ViT-L-14__openai" in path for path in hub.asked)
    assert any(event == "socket.connect" for event, *_ in events(audit, before))
