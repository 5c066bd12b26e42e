"""Sends bytes as they are over a connection that is kept, one for each thread."""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from .form import RawRequest

TIMEOUT = 60
NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. The status ``NO_ANSWER`` says that none came, and the body why."""

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
        """``POST /predict``."""
        connection: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if connection is None:
            connection = self._kept.connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT)
            self._opened.append(connection)
        elif connection.sock is not None:
            # The service closes an idle connection, and one on which it failed, without a word: then once more, anew.
            reply = self._exchange(connection, request)
            if reply.status != NO_ANSWER:
                return reply
        return self._exchange(connection, request)

    @staticmethod
    def _exchange(connection: http.client.HTTPConnection, request: RawRequest) -> Reply:
        try:
            connection.request("POST", "/predict", request.body, {"Content-Type": request.content_type})
            response = connection.getresponse()
            return Reply(response.status, response.getheader("content-type", ""), response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return Reply(NO_ANSWER, "", repr(error).encode())
