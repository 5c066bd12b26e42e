"""Sends bytes as they are over a connection that is kept, one for each thread."""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from .form import RawRequest

TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status: int
    content_type: str
    body: bytes


class Client:
    """Asks one service; may be shared by threads. As a context it closes its connections."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._kept = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._opened:
            connection.close()

    def predict(self, request: RawRequest) -> Reply:
        """``POST /predict``.

        Raises:
            OSError, http.client.HTTPException: the service does not answer, or not with HTTP.
        """
        connection: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if connection is None:
            connection = self._kept.connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT)
            self._opened.append(connection)
        elif connection.sock is not None:
            try:
                return self._exchange(connection, request)
            except (OSError, http.client.HTTPException):
                # The service closes an idle connection, and one on which it failed, without a word: once more, anew.
                connection.close()
        return self._exchange(connection, request)

    @staticmethod
    def _exchange(connection: http.client.HTTPConnection, request: RawRequest) -> Reply:
        connection.request("POST", "/predict", request.body, {"Content-Type": request.content_type})
        response = connection.getresponse()
        return Reply(response.status, response.getheader("content-type", ""), response.read())
