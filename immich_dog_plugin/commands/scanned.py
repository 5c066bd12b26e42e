"""What a scan could not use, on the console: whoever reads a folder says it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from ..scan import Failure, LeftOut, in_words

_MAX_FAILURES = 10


def print_left_out(console: Console, left_out: Sequence[LeftOut]) -> None:
    """Files and folders that were not looked at, by kind."""
    if left_out:
        console.print(Text(f"Left out: {in_words(left_out)}"))


def print_failures(console: Console, failures: Sequence[Failure], where: str = "") -> None:
    """The first failures; ``where`` the others are listed."""
    for failure in failures[:_MAX_FAILURES]:
        console.print(Text(f"Failed: {failure.key}: {failure.reason}", style="red"))
    if len(failures) > _MAX_FAILURES:
        console.print(f"and {len(failures) - _MAX_FAILURES} more{where}", style="red")
