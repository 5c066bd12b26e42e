"""Which kind of service proves most on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

AUTO = "auto"


class Kind(StrEnum):
    """Where a service runs, the strongest proof first."""

    CONTAINER = "container"
    PROCESS = "process"
    HTTP = "http"


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind of service.

    Attributes:
        kind: where it runs.
        reason: why this one.
        url: where it listens; only of ``HTTP``.
    """

    kind: Kind
    reason: str
    url: str | None = None

    def __str__(self) -> str:
        return f"{self.url or self.kind} ({self.reason})"


def choose(wanted: str, missing_for_container: Callable[[], str | None]) -> Choice:
    """Choose a kind.

    Args:
        wanted: a kind, a URL, or ``auto`` for the strongest there is.
        missing_for_container: says what keeps a container from being started; called only for ``auto``.

    Raises:
        ValueError: ``wanted`` is none of these.

    >>> str(choose("auto", lambda: "Docker does not answer"))
    'process (no container: Docker does not answer)'
    >>> str(choose("http://nas:3003/", lambda: None))
    'http://nas:3003 (asked for)'
    """
    if wanted.startswith(("http://", "https://")):
        return Choice(Kind.HTTP, "asked for", wanted.rstrip("/"))
    if wanted in (Kind.CONTAINER, Kind.PROCESS):
        return Choice(Kind(wanted), "asked for")
    if wanted != AUTO:
        raise ValueError(f"{wanted!r} is no kind of service: container, process, http://… or auto")
    if missing := missing_for_container():
        return Choice(Kind.PROCESS, f"no container: {missing}")
    return Choice(Kind.CONTAINER, "the strongest proof, and everything for it is here")
