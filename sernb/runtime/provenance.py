"""What made a result or a page: versions, commit, machine, time. No names of people, machines or folders."""

import contextlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from sernb import __version__
from sernb.config import REPORTED, DataError
from sernb.runtime.environment import backend, recorded_settings

TRACKED = ("tensorflow", "jax", "keras", "librosa", "scikit-learn", "numpy", "scipy", "soxr")
CODE = Path(__file__).resolve().parents[2]  # the folder that holds the package: a checkout, or where it is installed
DECIDING = ("sernb", "pyproject.toml", "requirements.lock")  # in a checkout: what decides results
UNCOMMITTED = "+"  # ends a commit that some of it differs from
UNCOMMITTED_CODE = "Uncommitted code"  # column of tables that have such a row


def provenance(
    *, seconds: float, commits: Sequence[str] = (), members: Mapping[str, Sequence[str]] | None = None
) -> dict:
    """Return what made a result that took so many seconds.

    Args:
        commits: at which its training was begun and, where it was interrupted, resumed; by default this one
        members: of an ensemble, name → commits of its run
    """
    commits = list(commits) or [commit()]
    every = [*commits, *(each for of_member in (members or {}).values() for each in of_member)]
    return {
        "sernb": __version__,
        "commit": commits[0],
        "commits": commits,
        **({"members": {name: list(each) for name, each in members.items()}} if members else {}),
        "clean": all(map(is_clean, every)),
        "python": platform.python_version(),
        "packages": _packages(),
        "backend": backend(),
        "processor": processor(),
        **({"accelerator": name} if (name := accelerator()) else {}),
        "settings": recorded_settings(),  # of the user's environment, that decide results
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "seconds": round(seconds, 1),
        "finished": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def commits_of(made: Mapping) -> list[str]:
    """Return all commits that a run's provenance names, its members' included."""
    named = [*(made.get("commits") or [made.get("commit", "unknown")])]
    named += [each for of_member in made.get("members", {}).values() for each in of_member]
    return list(dict.fromkeys(named))


def is_clean(commit: str) -> bool:
    """Return whether a commit, as a result names it, is the code that ran.

    Examples:
        >>> is_clean("0123456789ab"), is_clean("0123456789ab+"), is_clean("unknown")
        (True, False, False)
    """
    return commit != "unknown" and not commit.endswith(UNCOMMITTED)


def provenance_columns(made: Sequence[Mapping]) -> dict[str, str]:
    """Return what made the runs of a row of results, as columns; where they differ, each is named."""
    commits = sorted({commit for each in made for commit in commits_of(each)})
    versions = [{"sernb": each.get("sernb"), "python": each.get("python"), **each.get("packages", {})} for each in made]
    return {
        "Commits": ", ".join(commits),
        "Clean": "yes" if all(map(is_clean, commits)) else "no",
        "Processor": _each(each.get("accelerator") or each.get("processor") for each in made),
        "Versions": _each(" ".join(f"{name} {number}" for name, number in each.items() if number) for each in versions),
    }


def _each(values: Iterable[str | None]) -> str:
    return "; ".join(dict.fromkeys(filter(None, values)))


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


def _packages() -> dict[str, str]:
    found = {}
    for name in TRACKED:
        with contextlib.suppress(PackageNotFoundError):  # of a backend that is not used
            found[name] = version(name)
    return found


# -- Code -- #


@lru_cache
def commit() -> str:
    """Return the commit of the code, as it was when this process first asked.

    With ``+`` where files under ``sernb/``, ``pyproject.toml`` or ``requirements.lock`` differ from it, files not yet
    added included; the installed version where the package lies outside a checkout; ``unknown`` where git cannot tell.
    """
    try:
        _git("ls-files", "--error-unmatch", "sernb/runtime/provenance.py")
    except (OSError, subprocess.SubprocessError):
        return "unknown" if (CODE / ".git").exists() else f"version {__version__}"
    try:
        return _git("rev-parse", "--short=12", "HEAD").strip() + UNCOMMITTED * bool(uncommitted())
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def uncommitted() -> list[str]:
    """Return the files of the checkout that decide results and are not as committed."""
    changed = _git("diff", "--no-ext-diff", "--name-only", "-z", "HEAD", "--", *DECIDING)
    added = _git("ls-files", "--others", "--exclude-standard", "-z", "--", *DECIDING)
    ignored = _git("ls-files", "--others", "-z", "--", ":(glob)sernb/**/*.py")  # it can be imported even so
    return sorted(set(filter(None, (changed + added + ignored).split("\0"))))


def _git(*arguments: str) -> str:
    # Variables such as GIT_DIR, which git sets for hooks, would lead it to another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(CODE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30, env=environment).stdout  # noqa: S603


def refuse_uncommitted() -> None:
    """Stop where results would name a commit that is not the code that makes them.

    Raises:
        DataError: naming the files that are not committed
    """
    if is_clean(commit()):
        return
    if commit() == "unknown":
        raise DataError(f"{CODE}: git does not tell the commit of this checkout; mend that, or give --dirty")
    files = uncommitted() or ["files that were committed since this process began"]
    named = ", ".join(files[:REPORTED]) + f" and {len(files) - REPORTED} more" * (len(files) > REPORTED)
    raise DataError(f"not committed: {named}; commit first, or give --dirty, which marks every row")


# -- Machine -- #


@lru_cache
def processor() -> str:
    """Return the name of the processor, such as ``Intel(R) Xeon(R) CPU @ 2.20GHz``."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def accelerator() -> str:
    """Return the name of the accelerator that the backend of this process computes on; nothing on processors."""
    if not (keras := sys.modules.get("keras")):
        return ""
    if keras.backend.backend() == "jax":
        (first, *_) = sys.modules["jax"].devices()
        return first.device_kind if first.platform != "cpu" else ""
    if keras.backend.backend() == "tensorflow":
        config = sys.modules["tensorflow"].config
        for device in config.list_physical_devices("GPU"):
            return config.experimental.get_device_details(device).get("device_name", device.name)
    return ""
