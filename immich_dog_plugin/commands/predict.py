"""``immich-dogs predict``: photos through a running service, its answers held against the contract."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from PIL import Image

from ..contract import DogAnswer, check_answer, request_entries
from ..errors import DogPluginError, MissingPackageError, PhotoError, ServiceError
from ..imaging import read_photo
from ..model_package import DEFAULT_PACKAGE
from . import arguments

if TYPE_CHECKING:
    import requests

_EXIF_ORIENTATION = 0x0112
_SHOWN_OF_A_BODY = 300  # characters
_ERRORS_OF_THE_SERVICE = (400, 422, 500)  # it has no other, and answers none as a web page


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("predict", help="send photos to a patched Immich ML service and check its answers")
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
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
    try:
        import requests
    except ImportError as error:
        raise MissingPackageError("requests", "Asking a service") from error
    failed = 0
    with requests.Session() as http:
        for photo in args.photos:
            try:
                answer = predict(http, args.url, upright_bytes(photo), args.model, args.min_score, args.timeout)
            except DogPluginError as error:
                failed += 1
                _report_failure(photo, error, as_json=args.json)
            else:
                print(_json(photo, answer) if args.json else _text(photo, answer))
    return 1 if failed else 0


def predict(
    http: requests.Session, url: str, image: bytes, model: str, min_score: float | None = None, timeout: float = 120
) -> DogAnswer:
    """The service's answer for one image, checked.

    Raises:
        ServiceError: it cannot be reached, answers an error, or breaks the contract.
    """
    import requests

    entries = orjson.dumps(request_entries(model, min_score)).decode()
    endpoint = f"{url.rstrip('/')}/predict"
    try:
        response = http.post(endpoint, data={"entries": entries}, files={"image": image}, timeout=timeout)
    except requests.Timeout as error:
        raise ServiceError(
            f"{endpoint} did not answer within {timeout:g} s", "Raise --timeout; a first answer loads models"
        ) from error
    except requests.ConnectionError as error:
        raise ServiceError(
            f"{endpoint} cannot be reached ({_reason(error)})", "Check --url and that the service runs"
        ) from error
    except requests.RequestException as error:
        raise ServiceError(f"{endpoint} cannot be asked ({error})", "Check --url: http://HOST:3003") from error
    if not response.ok or _is_web_page(response):
        raise _http_error(endpoint, response)
    return check_answer(response.content)


def _reason(error: BaseException) -> str:
    """What the system said at the bottom of the chain, without the layers that requests and urllib3 wrap around it."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _is_web_page(response: requests.Response) -> bool:
    return bool(response.headers.get("Content-Type", "").startswith("text/html"))


def _http_error(endpoint: str, response: requests.Response) -> ServiceError:
    body = f"a web page ({response.reason})" if _is_web_page(response) else response.text.strip() or "(nothing)"
    cause = f"{endpoint} answered HTTP {response.status_code}: {body[:_SHOWN_OF_A_BODY]}"
    if _is_web_page(response) or response.status_code not in _ERRORS_OF_THE_SERVICE:
        return ServiceError(cause, "Check --url: it is no Immich ML service, whose port is 3003")
    if response.status_code == 500:
        # An unpatched service meets the unknown task with an exception of its own.
        return ServiceError(
            cause, "See the service's log; if it says 'Unknown model combination', the service is not patched"
        )
    if "Invalid request format" in response.text:  # nothing is wrong with it, but from v3.3 on with an unknown task
        return ServiceError(cause, "From Immich v3.3 on this is how it answers while the service is not patched")
    return ServiceError(cause, "The answer says what is wrong with the request")


def upright_bytes(photo: Path) -> bytes:
    """The photo as Immich's server would send it: upright and in a format that the service reads.

    A JPEG that lies upright goes as it is. Anything else is sent as PNG, which keeps every pixel, because the service
    neither turns a photo by its EXIF orientation nor reads HEIC.

    Raises:
        PhotoError: it cannot be read.
    """
    pixels = read_photo(photo)
    content = photo.read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        if image.format == "JPEG" and image.mode in ("RGB", "L") and image.getexif().get(_EXIF_ORIENTATION, 1) == 1:
            return content
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


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
    # a PhotoError names its photo itself
    print(error if isinstance(error, PhotoError) else f"{photo}: {error}", file=sys.stderr)


def _dump(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()
