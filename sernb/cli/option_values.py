"""Types of command-line options: text → value, or one line on what was expected."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import click

from sernb.config import LARGEST_SEED, expand_home

MOST_NUMBERS = 1000  # in a list of ranges
WHOLE, DECIMAL = r"-?[0-9]{1,12}", r"[0-9]{1,12}(?:\.[0-9]*)?|\.[0-9]+"


def as_absolute(folder: str) -> str:
    """Return the absolute path of a folder; an empty text stays empty."""
    return os.path.abspath(expand_home(folder)) if folder else ""


def as_file(text: str) -> Path:
    """Return a path; the text must not be empty."""
    if not text.strip():
        raise click.BadParameter("a name is expected, not an empty text")
    return expand_home(text)


def as_table(text: str) -> Path:
    """Return the path of a table to write; a recording is refused, since a shell may expand ``--csv *.wav``."""
    from sernb.audio.recordings import AUDIO_SUFFIXES

    path = as_file(text)
    if path.suffix.lower() in AUDIO_SUFFIXES:
        raise click.BadParameter(f"{text!r} has the suffix of a recording; name a table, such as predictions.csv")
    return path


def as_names(text: str) -> list[str]:
    """Return names separated by commas, at least one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise click.BadParameter(f"{text!r} contains no name")
    return names


def as_numbers(text: str) -> list[int]:
    """Return the numbers of a list of numbers and ranges such as ``0-4,7``, each once."""
    numbers: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,10})(?:-([0-9]{1,10}))?\s*", part)
        span = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
        if not span:
            raise click.BadParameter(f"{part!r} is not a number or a range such as 0-4")
        if len(numbers) + len(span) > MOST_NUMBERS:
            raise click.BadParameter(f"{part!r}: more than {MOST_NUMBERS} numbers")
        numbers |= dict.fromkeys(span)
    return list(numbers)


def as_seeds(text: str) -> list[int]:
    """Return seeds, written as for :func:`as_numbers`."""
    return [as_seed(str(number)) for number in as_numbers(text)]


def _number(what: str, form: str, allowed: Callable[[float], bool]) -> Callable[[str], int | float]:
    def convert(text: str) -> int | float:
        if not re.fullmatch(form, text.strip()) or not allowed(float(text)):
            raise click.BadParameter(f"{text!r} is not {what}")
        return int(text) if form is WHOLE else float(text)

    return convert


as_seed = _number(f"a seed: a whole number from 0 to {LARGEST_SEED}", WHOLE, lambda value: 0 <= value <= LARGEST_SEED)
as_count = _number("a number of clips: 1 or more", WHOLE, lambda value: 1 <= value <= 10**9)
as_jobs = _number(
    "a number of processes: 1 or more, or -1 for one per core", WHOLE, lambda value: value == -1 or 1 <= value < 10**6
)
as_port = _number("a port: 1 to 65535, or 0 for any free port", WHOLE, lambda value: 0 <= value <= 65535)
as_points = _number("a number of points: 0 or more", DECIMAL, lambda value: value <= 100)
as_share = _number("a share: more than 0 and less than 1, such as 0.9", DECIMAL, lambda value: 0 < value < 1)
