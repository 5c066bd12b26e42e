"""What the commands that go through a folder of photos share: a progress bar, on stderr so that results can be piped,
and an end in good order when they are told to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def photo_progress(total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function to call after each of ``total`` photos with how many have failed so far."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("[red]{task.fields[failed]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("Photos", total=total, failed="")

        def track(failed: int) -> None:
            progress.update(task, advance=1, failed=f"{failed} failed" if failed else "")

        yield track


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Take the signals of a shutdown (SIGTERM) and of a terminal that was closed (SIGHUP) as Ctrl-C.

    Without it they end the process at once, and the photos in work would look as if it had died over them.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for taken_too in taken:  # a shutdown sends several, and one is enough
            signal.signal(taken_too, signal.SIG_IGN)
        raise KeyboardInterrupt

    # A run under nohup keeps its SIGHUP ignored.
    taken = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
