"""``immich-dogs predict``: photos through a running service, its answers held against the contract."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import orjson

from ..client import http_session, predict, upright_bytes
from ..contract import DogAnswer
from ..errors import DogPluginError, PhotoError
from ..model_package import DEFAULT_PACKAGE
from ..parallel import attempt
from . import arguments

STDIN = Path("/dev/stdin")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("predict", help="send photos to a patched Immich ML service and check its answers")
    parser.add_argument("photos", nargs="+", type=_photo, metavar="PHOTO", help="a file; - reads the standard input")
    parser.add_argument("--url", required=True, help="the service, such as http://localhost:3003")
    parser.add_argument("--model", default=DEFAULT_PACKAGE, help="model package (default: %(default)s)")
    parser.add_argument(
        "--min-score", type=arguments.score, metavar="SCORE", help="least score of a dog, 0 to 1 (default: the model's)"
    )
    parser.add_argument(
        "--timeout",
        type=arguments.seconds,
        default=120,
        metavar="SECONDS",
        help="for one answer (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per photo and line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 1 where a photo failed or an answer breaks the contract; the others are still sent."""
    failed = 0
    with http_session() as http:

        def ask(photo: Path) -> DogAnswer:
            image = upright_bytes(_standard_input() if photo == STDIN else photo, str(photo))
            return predict(http, args.url, image, args.model, args.min_score, args.timeout)

        for photo in args.photos:
            try:
                answer: DogAnswer | DogPluginError = attempt(ask, photo)
            except DogPluginError as error:  # the service's, not the photo's; the next photo may fare better
                answer = error
            if isinstance(answer, DogPluginError):
                failed += 1
                _report_failure(photo, answer, as_json=args.json)
            else:
                print(_json(photo, answer) if args.json else _text(photo, answer))
    return 1 if failed else 0


def _photo(argument: str) -> Path:
    return STDIN if argument == "-" else Path(argument)


def _standard_input() -> bytes:
    """All of it, read once: a pipe cannot be read again, as a file is."""
    content = sys.stdin.buffer.read() if sys.stdin else b""  # there is none where it was closed
    if not content:
        raise PhotoError(
            "Nothing came through the standard input", "Send a photo: … - < PHOTO; docker exec needs -i to hand it on"
        )
    return content


def _text(photo: Path, answer: DogAnswer) -> str:
    count = f"{len(answer.dogs)} {'dog' if len(answer.dogs) == 1 else 'dogs'}" if answer.dogs else "no dog"
    lines = [f"{photo} ({answer.image_width} x {answer.image_height}): {count}"]
    for number, dog in enumerate(answer.dogs, 1):
        box = dog.bounding_box
        lines.append(
            f"  {number}  box {box.x1} {box.y1} {box.x2} {box.y2}  score {dog.score:.3f}  crop {dog.crop}  "
            f"embedding {len(dog.vector)} numbers"
        )
    return "\n".join(lines)


def _json(photo: Path, answer: DogAnswer) -> str:
    return _dump({"photo": str(photo), **answer.model_dump(by_alias=True)})


def _report_failure(photo: Path, error: DogPluginError, *, as_json: bool) -> None:
    if as_json:
        print(_dump({"photo": str(photo), "error": str(error)}))
    # most of the errors of a photo name it themselves
    print(error if str(photo) in error.cause else f"{photo}: {error}", file=sys.stderr)


def _dump(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()
