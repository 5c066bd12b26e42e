"""The options of one entry of a request, however the service hands them over."""

from __future__ import annotations

from typing import Any


class RequestOptions(dict[str, Any]):
    """Options that ``take_entries`` read. No request can hold this type: up to v3.2, where options come as keywords, a
    request may name one of them "options", and it must not be taken for these."""


def as_keywords(options: dict[str, Any]) -> dict[str, Any]:
    """A model's options from the keywords of its call: up to v3.2 they are its options, from v3.3 on the one keyword
    ``options`` holds them."""
    given = options.get("options")
    return given if isinstance(given, RequestOptions) else options
