"""HTML pages for a person: one file without any outside reference."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import MissingPackageError
from .files import whole_file

TEMPLATES = Path(__file__).parent / "templates"  # a page's own template may include these


def require_jinja2(purpose: str) -> None:
    """Raises MissingPackageError: jinja2 is not installed."""
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise MissingPackageError("jinja2", purpose) from error


def write_page(path: Path, template: Path, content: Mapping[str, Any]) -> None:
    """Write a page, a piece at a time, so that pictures need not be in memory together.

    Args:
        path: of the page.
        template: a Jinja file; it may include those of ``TEMPLATES``.
        content: the names it uses; one that it lacks is an error.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, TEMPLATES]),
        autoescape=True,  # a file name can hold anything
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["data_uri"] = data_uri
    with whole_file(path) as temporary:
        page = environment.get_template(template.name).stream(content)
        page.enable_buffering(64)
        page.dump(str(temporary), encoding="utf-8")


def data_uri(content: bytes, kind: str = "image/jpeg") -> str:
    """A picture as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
