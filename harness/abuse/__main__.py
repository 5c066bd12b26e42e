"""Replays a request that broke a promise."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.service import running_service
from harness.upstream import checkout, install_plugin
from immich_dog_plugin.errors import DogPluginError

from .client import Client
from .record import REPLAY, Record, load


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=REPLAY, description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="the record that the failing test wrote")
    parser.add_argument("--url", help="of a service that runs (default: a patched one is started for the request)")
    parser.add_argument("--release", default="v3.0.3", help="of the service that is started (default: %(default)s)")
    args = parser.parse_args(argv)
    record = load(args.file)
    try:
        started = contextlib.nullcontext(args.url) if args.url else _started(record, args.release)
        with started as url, Client(url) as client:
            reply = client.predict(record.request)
    except DogPluginError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"then: {record.complaint}")
    print(f"now: HTTP {reply.status} {reply.content_type}, allowed: {', '.join(map(str, record.statuses))}")
    print(reply.body[:2000].decode("utf-8", "replace"))
    return 0 if reply.status in record.statuses else 1


@contextlib.contextmanager
def _started(record: Record, release: str) -> Iterator[str]:
    upstream = checkout(release)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tree = upstream.copy(folder / "tree", patched=True)
        plugin = install_plugin(folder / "plugin", upstream.python)
        settings = {"IMMICH_DOGS_MODELS": str(record.models.resolve())}
        with running_service(tree, upstream.python, folder / "run", plugin=plugin, settings=settings) as service:
            yield service.url


if __name__ == "__main__":
    raise SystemExit(main())
