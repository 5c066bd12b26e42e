"""A photo to a patched ML service and its answer back, checked."""

from __future__ import annotations

import io
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
from PIL import Image

from .contract import DogAnswer, check_answer, request_entries
from .errors import MissingPackageError, ServiceError
from .imaging import open_photo

if TYPE_CHECKING:
    import requests

_SHOWN_OF_A_BODY = 300  # characters
_ERRORS_OF_THE_SERVICE = (400, 422, 500)  # it has no other, and answers none as a web page


def http_session() -> requests.Session:
    """A session for ``predict``; close it.

    Raises:
        MissingPackageError: requests is not installed.
    """
    try:
        import requests
    except ImportError as error:
        raise MissingPackageError("requests", "Asking a service") from error
    return requests.Session()


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
    proxies = direct(url)
    proxy = _proxy(http, endpoint, proxies)
    asked = f"{endpoint}, asked through the proxy {proxy}," if proxy else endpoint
    try:
        response = http.post(
            endpoint, data={"entries": entries}, files={"image": image}, timeout=timeout, proxies=proxies
        )
    except requests.Timeout as error:
        raise ServiceError(
            f"{asked} did not answer within {timeout:g} s", "Raise --timeout; a first answer loads models"
        ) from error
    except requests.ConnectionError as error:
        cure = "Check --url and that the service runs"
        if proxy:
            cure += ", or take its host out of the proxy by the variable NO_PROXY"
        raise ServiceError(f"{asked} cannot be reached ({_reason(error)})", cure) from error
    except requests.RequestException as error:
        raise ServiceError(f"{asked} cannot be asked ({error})", "Check --url: http://HOST:3003") from error
    if not response.ok or _is_web_page(response):
        raise _http_error(asked, response)
    return check_answer(response.content)


def direct(url: str) -> dict[str, Any]:
    """``proxies`` for requests: none for this machine itself, which no proxy can reach; else the environment's."""
    with suppress(ValueError):  # no URL: requests says so
        host = urlsplit(url).hostname or ""
        if host == "localhost" or host.endswith(".localhost") or ip_address(host).is_loopback:
            return {"http": None, "https": None, "all": None}
    return {}


def _proxy(http: requests.Session, endpoint: str, proxies: dict[str, Any]) -> str | None:
    """The proxy that requests will take, without its password."""
    from requests.utils import select_proxy

    try:
        chosen = select_proxy(
            endpoint, http.merge_environment_settings(endpoint, dict(proxies), None, None, None)["proxies"]
        )
        if not chosen:
            return None
        host = urlsplit(chosen if "://" in chosen else f"http://{chosen}")
        return f"{host.scheme}://{host.netloc.rpartition('@')[2]}"
    except ValueError:  # no URL: requests says so
        return None


def _reason(error: BaseException) -> str:
    """What the system said at the bottom of the chain, without the layers that requests and urllib3 wrap around it."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _is_web_page(response: requests.Response) -> bool:
    return bool(response.headers.get("Content-Type", "").startswith("text/html"))


def _http_error(asked: str, response: requests.Response) -> ServiceError:
    body = f"a web page ({response.reason})" if _is_web_page(response) else response.text.strip() or "(nothing)"
    cause = f"{asked} answered HTTP {response.status_code}: {body[:_SHOWN_OF_A_BODY]}"
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


def upright_bytes(photo: Path | bytes, name: str | None = None) -> bytes:
    """The photo as Immich's server would send it: upright and in a format that the service reads.

    A whole JPEG that lies upright goes as it is. Anything else is sent as PNG, which keeps every pixel, because the
    service neither turns a photo by its EXIF orientation nor reads HEIC.

    Args:
        photo: a file, or its content.
        name: what errors call the photo; the path by default.

    Raises:
        PhotoError: it cannot be read.
    """
    source = open_photo(photo, name)
    if source.format == "JPEG" and source.mode in ("RGB", "L") and source.orientation == 1:
        source.pixels(source.spans[-1])  # raises where it is damaged
        if source.note is None:  # the service refuses a file whose end is missing
            return source.content
    buffer = io.BytesIO()
    Image.fromarray(source.pixels()).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
