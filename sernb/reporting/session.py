"""Parameters that pages share: one cell of ``00_start_here`` sets them for every page that leaves them empty.

They are kept in the work folder, so that notebooks in JupyterLab and ``sernb run`` use the same ones. Parameters given
to a page, as those of a report, take precedence.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from sernb.config import PROFILES, DataError, work_folder
from sernb.runtime.bounded import json_in
from sernb.runtime.files import atomic

DEFAULTS = {"corpus": "demo", "systems": [], "protocols": [], "profile": "quick"}


def set_session(**parameters: str | list[str]) -> None:
    """Set shared parameters, keep those not named, and print all; an empty value restores the default.

    Args:
        parameters: corpus, systems, protocols, profile

    Raises:
        DataError: if a name or value is unknown
    """
    if parameters:
        values = {name: value for name, value in (_read() | _resolve(parameters)).items() if value}
        with atomic(_path()) as unfinished:
            unfinished.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"Pages use {_describe(DEFAULTS | _read())}, unless their parameters say otherwise.")


def shared(**given: str | list[str]) -> tuple[str | list[str], ...]:
    """Return parameters in the given order, with those of the session, or defaults, for empty ones.

    What comes from the session is printed.
    """
    session = _read()
    used = {name: session[name] for name, value in given.items() if not value and name in session}
    if used:
        print(f"From the session: {_describe(used)}.")
    return tuple(value or session.get(name, DEFAULTS[name]) for name, value in given.items())


def session_parameters(parameters: Mapping[str, object]) -> dict[str, str | list[str]]:
    """Return the parameters of the session that a notebook has.

    Args:
        parameters: the notebook's, with defaults; one with a ``target`` has systems and protocols of its own
    """
    names = {"corpus", "profile"} if "target" in parameters else set(DEFAULTS)
    return {name: value for name, value in _read().items() if name in names and name in parameters}


def _path() -> Path:
    return work_folder() / "session.json"


def _read() -> dict[str, str | list[str]]:
    if not _path().exists():
        return {}
    try:
        _check(values := json_in(_path()))
        return values
    except DataError as error:
        raise DataError(f"{_path()}: cannot be used ({str(error).splitlines()[0]}); delete it") from error


def _check(parameters: Mapping[str, object]) -> None:
    for name, value in parameters.items():
        if name not in DEFAULTS:
            raise DataError(f"no shared parameter is named {name!r}; known: {', '.join(DEFAULTS)}")
        is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
        if not (is_list if isinstance(DEFAULTS[name], list) else isinstance(value, str)):
            raise DataError(f"{name}: {value!r} is not {'a list of names' if DEFAULTS[name] == [] else 'a text'}")


def _resolve(parameters: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    """Check all names; return the parameters with a corpus that is valid from any working folder."""
    from sernb.corpora.pool import parse_pool
    from sernb.protocols.protocol import get_protocol
    from sernb.systems.registry import get_system

    _check(parameters)
    for name in parameters.get("systems", ()):
        get_system(name)
    for name in parameters.get("protocols", ()):
        get_protocol(name)
    if parameters.get("profile", "quick") not in ("", *PROFILES):
        raise DataError(f"no profile is named {parameters['profile']!r}; known: {', '.join(PROFILES)}")
    corpus = parameters.get("corpus")
    return {**parameters, **({"corpus": parse_pool(corpus).name} if corpus else {})}


def _describe(parameters: Mapping[str, object]) -> str:
    texts = {name: value if isinstance(value, str) else ", ".join(value) for name, value in parameters.items()}
    return "; ".join(f"{name} {text or 'as each page chooses'}" for name, text in texts.items())
