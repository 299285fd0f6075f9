"""Provenance of results and pages: versions, commit, machine, time; no names of people, hosts or folders."""

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
CODE = Path(__file__).resolve().parents[2]  # the folder of the package: a checkout, or where it is installed
DECIDING = ("sernb", "pyproject.toml", "requirements.lock")  # files of a checkout that determine results
UNCOMMITTED = "+"  # suffix of a commit if some of these files differ from it
UNCOMMITTED_CODE = "Uncommitted code"  # column of tables with such a row


def provenance(
    *, seconds: float, commits: Sequence[str] = (), members: Mapping[str, Sequence[str]] | None = None
) -> dict:
    """Return the provenance of a result.

    Args:
        seconds: computing time
        commits: commits at which its training was started and resumed; default: the current one
        members: for an ensemble, member → commits of its run
    """
    commits = list(commits) or [commit()]
    all_commits = [*commits, *(each for of_member in (members or {}).values() for each in of_member)]
    return {
        "sernb": __version__,
        "commit": commits[0],
        "commits": commits,
        **({"members": {name: list(each) for name, each in members.items()}} if members else {}),
        "clean": all(map(is_clean, all_commits)),
        "python": platform.python_version(),
        "packages": _packages(),
        "backend": backend(),
        "processor": processor(),
        **({"accelerator": name} if (name := accelerator()) else {}),
        "settings": recorded_settings(),  # environment variables that may change results
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "seconds": round(seconds, 1),
        "finished": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def commits_of(record: Mapping) -> list[str]:
    """Return all commits in the provenance of a run, including those of ensemble members."""
    commits = [*(record.get("commits") or [record.get("commit", "unknown")])]
    commits += [each for of_member in record.get("members", {}).values() for each in of_member]
    return list(dict.fromkeys(commits))


def is_clean(commit: str) -> bool:
    """Return whether the commit of a result is exactly the code that ran.

    Examples:
        >>> is_clean("0123456789ab"), is_clean("0123456789ab+"), is_clean("unknown")
        (True, False, False)
    """
    return commit != "unknown" and not commit.endswith(UNCOMMITTED)


def provenance_columns(records: Sequence[Mapping]) -> dict[str, str]:
    """Return the provenance of the runs behind a row of results, as columns that list all different values."""
    commits = sorted({commit for record in records for commit in commits_of(record)})
    versions = [
        {"sernb": record.get("sernb"), "python": record.get("python"), **record.get("packages", {})}
        for record in records
    ]
    return {
        "Commits": ", ".join(commits),
        "Clean": "yes" if all(map(is_clean, commits)) else "no",
        "Processor": _join_unique(record.get("accelerator") or record.get("processor") for record in records),
        "Versions": _join_unique(
            " ".join(f"{name} {number}" for name, number in each.items() if number) for each in versions
        ),
    }


def _join_unique(values: Iterable[str | None]) -> str:
    return "; ".join(dict.fromkeys(filter(None, values)))


def provenance_table(**details: object) -> pd.DataFrame:
    """Return the provenance of a page for its end: ``details``, then versions and machine."""
    record = provenance(seconds=0)
    packages = ", ".join(f"{name} {number}" for name, number in record["packages"].items())
    rows = {
        **details,
        "commit": record["commit"],
        "software": f"sernb {record['sernb']}, Python {record['python']}, {packages}",
        "machine": record["machine"],
        "finished": record["finished"],
    }
    return pd.DataFrame({"What": list(rows), "Value": [str(value) for value in rows.values()]})


def _packages() -> dict[str, str]:
    versions = {}
    for name in TRACKED:
        with contextlib.suppress(PackageNotFoundError):  # a backend that is not installed
            versions[name] = version(name)
    return versions


# -- Code -- #


@lru_cache
def commit() -> str:
    """Return the commit of the code at the first call in this process.

    A ``+`` follows if files under ``sernb/``, ``pyproject.toml`` or ``requirements.lock`` differ from it, including
    untracked files. For a package outside a checkout, the installed version is returned; ``unknown`` if git fails.
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
    """Return the files that determine results and differ from the commit."""
    changed = _git("diff", "--no-ext-diff", "--name-only", "-z", "HEAD", "--", *DECIDING)
    added = _git("ls-files", "--others", "--exclude-standard", "-z", "--", *DECIDING)
    ignored = _git("ls-files", "--others", "-z", "--", ":(glob)sernb/**/*.py")  # ignored files can be imported, too
    return sorted(set(filter(None, (changed + added + ignored).split("\0"))))


def _git(*arguments: str) -> str:
    # Variables such as GIT_DIR, which git sets for hooks, would point it to another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(CODE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30, env=environment).stdout  # noqa: S603


def refuse_uncommitted() -> None:
    """Stop if the current code differs from its commit, which results would report.

    Raises:
        DataError: with the files that are not committed
    """
    if is_clean(commit()):
        return
    if commit() == "unknown":
        raise DataError(f"{CODE}: git cannot determine the commit of this checkout; fix that, or give --dirty")
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
    """Return the name of the accelerator used by the backend in this process; empty without one."""
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
