"""Types of the arguments that several commands take: text in, value out, or an error that argparse shows."""

from __future__ import annotations

import argparse

_DAY = 86_400  # seconds; sockets refuse a timeout above 24 days


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


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
