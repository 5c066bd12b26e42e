"""A multipart form as bytes, well-formed or not: what the usual clients refuse to send."""

from __future__ import annotations

from dataclasses import dataclass

BOUNDARY = "dog-abuse-boundary"


@dataclass(frozen=True, slots=True)
class RawRequest:
    """The body of a ``POST /predict`` and the header that says what it is."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form; with a ``filename``, even an empty one, it is a file."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """A form as a client sends it.

    Attributes:
        parts: in order; names may repeat.
        charset: parameter of the header ``Content-Type``, by which the service decodes names and texts.
    """

    parts: tuple[Part, ...]
    charset: str | None = None

    def encode(self) -> RawRequest:
        """The form as RFC 7578 has it."""
        charset = "" if self.charset is None else f"; charset={self.charset}"
        delimiter = f"--{BOUNDARY}".encode()
        body = b"".join(delimiter + b"\r\n" + _encode(part) + b"\r\n" for part in self.parts)
        return RawRequest(f"multipart/form-data; boundary={BOUNDARY}{charset}", body + delimiter + b"--\r\n")


def _encode(part: Part) -> bytes:
    header = f'Content-Disposition: form-data; name="{part.name}"'
    if part.filename is not None:
        header += f'; filename="{part.filename}"'
    if part.content_type is not None:
        header += f"\r\nContent-Type: {part.content_type}"
    return header.encode() + b"\r\n\r\n" + part.content
