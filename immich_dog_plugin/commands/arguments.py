"""Types of the arguments that several commands take: text in, value out, or an error that argparse shows."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

_DAY = 86_400  # seconds; sockets refuse a timeout above 24 days


def add_names(parser: argparse.ArgumentParser, choices: Sequence[str]) -> None:
    """``--names``: whether subfolders are named after dogs."""
    parser.add_argument(
        "--names",
        choices=choices,
        default=choices[0],
        help="auto: take subfolders' names for dogs' names where they look like them, not 2021 or DCIM; folder: take "
        "them all" + ("; none: take none" if "none" in choices else "") + " (default: %(default)s)",
    )


def score(text: str) -> float:
    """A number from 0 to 1."""
    value = _number(text)
    if value is None or not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def seconds(text: str) -> float:
    """More than 0 and at most a day."""
    value = _number(text)
    if value is None or not 0 < value <= _DAY:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0 and up to {_DAY}")
    return value


def count(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def add_workers(parser: argparse.ArgumentParser) -> None:
    """``--workers``, the same for every command that goes through a folder of photos."""
    parser.add_argument(
        "--workers",
        type=count,
        metavar="NUMBER",
        help="photos to work on at once (default: as many as keep all cores busy); the results are the same",
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
