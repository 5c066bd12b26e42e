"""``immich-dogs``: the command line. Each subcommand lives in its own module of ``commands``."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from . import __version__
from .commands import bench, check, evaluate, identify, models, patch, predict
from .errors import DogPluginError
from .settings import setting_error

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
    except DogPluginError as error:
        print(f"immich-dogs: {error}", file=sys.stderr)
        return EXIT_FAILED
    except ValidationError as error:
        print(f"immich-dogs: {setting_error(error)}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("immich-dogs: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (say `head`) went away: point stdout elsewhere, so that the flush at exit does not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        print(
            f"immich-dogs: {error.filename or 'the output'} cannot be written or read: {error.strerror}",
            file=sys.stderr,
        )
        return EXIT_FAILED


if __name__ == "__main__":
    raise SystemExit(main())
