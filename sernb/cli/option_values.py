"""Values of options, checked at the door: text of the command line → a value, or one line on what was expected."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import click

from sernb.config import LARGEST_SEED

MOST_NUMBERS = 1000  # that a range may name
WHOLE, DECIMAL = r"-?[0-9]{1,12}", r"[0-9]{1,12}(?:\.[0-9]*)?|\.[0-9]+"


def as_absolute(folder: str) -> str:
    """Return a folder that stays the same wherever the program goes on; nothing stays nothing."""
    return os.path.abspath(os.path.expanduser(folder)) if folder else ""


def as_file(text: str) -> Path:
    """Return a path; it must name something."""
    if not text.strip():
        raise click.BadParameter("a name is expected, not nothing")
    return Path(os.path.expanduser(text))  # which, unlike that of Path, knows no error


def as_table(text: str) -> Path:
    """Return the path of a table to write; never that of a recording, as a shell makes it of ``--csv *.wav``."""
    from sernb.audio.recordings import KNOWN

    path = as_file(text)
    if path.suffix.lower() in KNOWN:
        raise click.BadParameter(f"{text!r} is called as a recording is; name a table, such as said.csv")
    return path


def as_names(text: str) -> list[str]:
    """Return names that stand between commas, at least one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise click.BadParameter(f"{text!r} names nothing")
    return names


def as_numbers(text: str) -> list[int]:
    """Return numbers and ranges such as ``0-4,7``, each number once."""
    numbers: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,10})(?:-([0-9]{1,10}))?\s*", part)
        chosen = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
        if not chosen:
            raise click.BadParameter(f"{part!r} is no number or range such as 0-4")
        if len(numbers) + len(chosen) > MOST_NUMBERS:
            raise click.BadParameter(f"{part!r} makes more than {MOST_NUMBERS} numbers")
        numbers |= dict.fromkeys(chosen)
    return list(numbers)


def as_seeds(text: str) -> list[int]:
    """Return seeds, as :func:`as_numbers`."""
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
    "a number of processes: 1 or more, or -1 for one a core", WHOLE, lambda value: value == -1 or 1 <= value < 10**6
)
as_port = _number("a port: 1 to 65535, or 0 for any that is free", WHOLE, lambda value: 0 <= value <= 65535)
as_points = _number("a number of points: 0 or more", DECIMAL, lambda value: value <= 100)
as_share = _number("a share: more than 0 and less than 1, such as 0.9", DECIMAL, lambda value: 0 < value < 1)
