"""CSV that spreadsheets open right: UTF-8 with a byte order mark, and no text that they would take for a formula.

A cell that begins with ``= + - @``, a tab or a carriage return is a formula to Excel and LibreOffice, whatever the
quoting. Such text gets an apostrophe in front, as people type it there (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from .files import whole_file

ENCODING = "utf-8-sig"  # without the mark Excel takes UTF-8 for the code page of the machine
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_table(path: Path, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; text from outside goes through ``text_cell`` first, numbers as they are.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding=ENCODING) as file:
        table = csv.writer(file)
        table.writerow(headings)
        table.writerows(rows)


def text_cell(text: str) -> str:
    """Text for a cell that is no formula; ``cell_text`` reads it back.

    >>> text_cell("=1+1.jpg"), text_cell("Rex/=1.jpg"), text_cell("'=1.jpg")
    ("'=1+1.jpg", 'Rex/=1.jpg', "''=1.jpg")
    """
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def cell_text(cell: str) -> str:
    """The text that ``text_cell`` made a cell of.

    >>> [cell_text(text_cell(text)) for text in ("=1", "'=1", "'tis", "")]
    ['=1', "'=1", "'tis", '']
    """
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell
