"""A service that answers, wherever it runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from immich_dog_plugin.client import direct
from immich_dog_plugin.contract import DogAnswer, check_answer, request_entries
from immich_dog_plugin.errors import ServiceError
from immich_dog_plugin.model_package import DEFAULT_PACKAGE

_PAUSE = 0.2  # seconds between two looks at a service that starts
_SHOWN_OF_THE_LOG = 30  # lines


@dataclass(frozen=True)
class Service:
    """Immich's ML service behind a URL.

    Attributes:
        url: where it listens, without a slash at the end.
    """

    url: str

    @property
    def log(self) -> str:
        """Everything it printed so far."""
        return f"(what {self.url} prints cannot be seen from here)"

    def answers(self) -> bool:
        """Whether the health check does."""
        try:
            return requests.get(f"{self.url}/ping", timeout=5, proxies=direct(self.url)).text == "pong"
        except requests.RequestException:
            return False

    def predict(
        self,
        entries: Mapping[str, Any] | str,
        *,
        image: bytes | None = None,
        text: str | None = None,
        timeout: float = 60,
    ) -> requests.Response:
        """Send one request as Immich's server does; ``entries`` as a string goes as it is, valid or not."""
        # (None, value) is a form field: a request without an image must be multipart too
        form: dict[str, Any] = {"entries": (None, entries if isinstance(entries, str) else json.dumps(entries))}
        if text is not None:
            form["text"] = (None, text)
        if image is not None:
            form["image"] = image
        return requests.post(f"{self.url}/predict", files=form, timeout=timeout, proxies=direct(self.url))

    def wait_until_it_answers(self, deadline: float, ended: Callable[[], str | None] = lambda: None) -> None:
        """Wait for the health check.

        Args:
            deadline: seconds.
            ended: says how the service ended, or ``None`` while it runs.

        Raises:
            ServiceError: it ended or did not answer in time; with the end of its log.
        """
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            if how := ended():
                raise self._failure(how)
            if self.answers():
                return
            time.sleep(_PAUSE)
        raise self._failure(f"did not answer within {deadline:.0f} s")

    def require_dogs(self, photo: bytes, model: str = DEFAULT_PACKAGE) -> DogAnswer:
        """Ask for the dogs of a photo that shows one: the service is ready for dogs when this returns.

        Raises:
            ServiceError: it answers an error, breaks the contract, or finds no dog; with the end of its log.
        """
        try:
            response = self.predict(request_entries(model), image=photo, timeout=120)  # the first answer loads models
        except requests.RequestException as error:
            raise self._failure(f"did not answer a request for dogs ({error})") from error
        if not response.ok:
            raise self._failure(f"answered a request for dogs with HTTP {response.status_code} ({response.text})")
        try:
            answer = check_answer(response.content)
        except ServiceError as error:
            raise self._failure(f"answered a request for dogs with something else ({error.cause})") from error
        if not answer.dogs:
            raise self._failure("finds no dog in a photo that shows one")
        return answer

    def _failure(self, what: str) -> ServiceError:
        tail = "\n".join(self.log.splitlines()[-_SHOWN_OF_THE_LOG:])
        return ServiceError(f"The service at {self.url} {what}; its log ends with:\n{tail}", self._cure)

    @property
    def _cure(self) -> str:
        return "See the log where the service runs"
