"""Values of options, checked at the door: text of the command line → a value, or one line on what was expected."""

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path

MOST_NUMBERS = 1000  # that a range may name
LARGEST_SEED = 2**32 - 1


def as_absolute(folder: str) -> str:
    """Return a folder that stays the same wherever the program goes on; nothing stays nothing."""
    return os.path.abspath(os.path.expanduser(folder)) if folder else ""


def as_file(text: str) -> Path:
    """Return a path; it must name something."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a name is expected, not nothing")
    return Path(text).expanduser()


def as_folder(text: str) -> str:
    """Return the absolute path of a folder; it must name something."""
    return as_absolute(str(as_file(text)))


def as_names(text: str) -> list[str]:
    """Return names that stand between commas, at least one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing")
    return names


def as_numbers(text: str) -> list[int]:
    """Return numbers and ranges such as ``0-4,7``, each number once."""
    numbers: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,10})(?:-([0-9]{1,10}))?\s*", part)
        chosen = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
        if not chosen:
            raise argparse.ArgumentTypeError(f"{part!r} is no number or range such as 0-4")
        if len(numbers) + len(chosen) > MOST_NUMBERS:
            raise argparse.ArgumentTypeError(f"{part!r} makes more than {MOST_NUMBERS} numbers")
        numbers |= dict.fromkeys(chosen)
    return list(numbers)


def as_seeds(text: str) -> list[int]:
    """Return seeds, as :func:`as_numbers`."""
    return [as_seed(str(number)) for number in as_numbers(text)]


def as_seed(text: str) -> int:
    """Return a seed that every library takes."""
    return int(_number(text, f"a seed: a whole number from 0 to {LARGEST_SEED}", lambda value: value <= LARGEST_SEED))


def as_count(text: str) -> int:
    """Return a number of clips."""
    return int(_number(text, "a number of clips: 1 or more", lambda value: 1 <= value <= 10**9))


def as_port(text: str) -> int:
    """Return the number of a port."""
    return int(_number(text, "a port: 1 to 65535, or 0 for any that is free", lambda value: value <= 65535))


def as_points(text: str) -> float:
    """Return a tolerance in points."""
    return _number(text, "a number of points: 0 or more", lambda value: value <= 100, whole=False)


def as_share(text: str) -> float:
    """Return a share between 0 and 1."""
    return _number(text, "a share: more than 0 and less than 1, such as 0.9", lambda value: 0 < value < 1, whole=False)


def _number(text: str, what: str, allowed: Callable[[float], bool], *, whole: bool = True) -> float:
    form = r"\s*[0-9]{1,12}\s*" if whole else r"\s*(?:[0-9]{1,12}(?:\.[0-9]*)?|\.[0-9]+)\s*"
    if not re.fullmatch(form, text) or not allowed(float(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return float(text)


def as_jobs(text: str) -> int:
    """Return a number of processes."""
    if not re.fullmatch(r"-1|[1-9][0-9]{0,5}", text.strip()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes: 1 or more, or -1 for one a core")
    return int(text)
