"""``immich-dogs``: the command line. Each subcommand lives in its own module of ``commands``."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from . import __version__
from .commands import bench, check, evaluate, identify, models, patch, predict
from .errors import DogPluginError
from .settings import Settings, setting_error

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells expect


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="immich-dogs", description="Dog recognition for Immich.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (identify, evaluate, predict, bench, models, patch, check):
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit code 0: done; 1: nothing could be done, the reason is on stderr; 2: wrong usage."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name that the terminal cannot show ends no run
    args = build_parser().parse_args(argv)
    try:
        code: int = args.run(args)
        return code
    except KeyboardInterrupt:
        print("immich-dogs: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (say `head`) went away: point stdout elsewhere, so that the flush at exit does not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # what a user's files bring about must not end in a traceback
        print(f"immich-dogs: {_reason(error)}", file=sys.stderr)
    return EXIT_FAILED


def _reason(error: Exception) -> str:
    match error:
        case DogPluginError():
            return str(error)
        case ValidationError() if error.title == Settings.__name__:
            return setting_error(error)
        case MemoryError():
            return "there is not enough memory. End other programs, or use fewer --workers"
        case OSError():
            return f"{error.filename or 'the output'} cannot be written or read: {error.strerror or error}"
        case _:
            return _bug(error)


def _bug(error: Exception) -> str:
    """One line that says enough for a report of the bug: kind, text, and the innermost of our lines that led there."""
    ours = Path(__file__).parent
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if ours in Path(frame.filename).parents]
    where = f", at {Path(lines[-1].filename).relative_to(ours)}:{lines[-1].lineno}" if lines else ""
    text = " ".join(str(error).split())
    return f"this should not happen ({type(error).__name__}: {text}{where}). Report it as a bug, with this line"


if __name__ == "__main__":
    raise SystemExit(main())
