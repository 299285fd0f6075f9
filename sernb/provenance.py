"""What made a result or a page: versions, commit, machine, time. No names of people, machines or folders."""

import os
import platform
import subprocess
import time
from functools import lru_cache
from importlib.metadata import version

import pandas as pd

from sernb import __version__
from sernb.config import ROOT

TRACKED = ("tensorflow", "keras", "librosa", "scikit-learn", "numpy", "scipy", "soxr")


def provenance(*, seconds: float) -> dict:
    """Return what made a result that took so many seconds."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    return {
        "sernb": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in TRACKED},
        "backend": backend,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "seconds": round(seconds, 1),
        "finished": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def provenance_table(**about: object) -> pd.DataFrame:
    """Return what made a page, for its last lines: ``about``, then versions and machine."""
    made = provenance(seconds=0)
    packages = ", ".join(f"{name} {number}" for name, number in made["packages"].items())
    rows = {
        **about,
        "commit": made["commit"],
        "software": f"sernb {made['sernb']}, Python {made['python']}, {packages}",
        "machine": made["machine"],
        "finished": made["finished"],
    }
    return pd.DataFrame({"What": list(rows), "Value": [str(value) for value in rows.values()]})


@lru_cache
def commit() -> str:
    """Return the commit of the workbook, with ``+`` if files differ from it; ``unknown`` outside a checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
