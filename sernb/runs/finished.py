"""Refuse a page whose runs are missing, and name the finished ones that it could show instead."""

import contextlib
from collections.abc import Mapping, Sequence

from sernb.config import PROFILES, DataError, MissingRuns, work_folder
from sernb.corpora.pool import Pool
from sernb.runs.experiment import Experiment
from sernb.runs.planning import plan


def refuse_missing(experiments: Sequence[Experiment], given: dict[str, object], data: str = "") -> None:
    """Raise MissingRuns if an experiment of a page has not been run.

    Args:
        experiments: of one corpus
        given: systems, protocols, profile and seed of the page
        data: folder of the recordings
    """
    if missing := [experiment for experiment in experiments if not experiment.is_finished]:
        pool = missing[0].corpus
        finished, place = find_finished(pool, data), {"corpus": pool.name, "data": data}
        make = f"`sernb run 30_train {_format(place | given)}` makes them"
        show = f"; finished runs are shown with {_format(place | finished)}" if finished else ""
        count = f"{len(missing)} of the {len(experiments)} {given['profile']} runs of this page are missing"
        raise MissingRuns(f"{count}, such as {missing[0]}; {make}{show}")


def find_finished(pool: Pool, data: str = "") -> dict[str, object]:
    """Return the parameters of a page that select finished runs of a corpus; empty if there are none.

    They select the runs of the profile and seed with the most systems, all of which are finished under each protocol.
    Runs with options, such as ``--train-on``, are not considered, because parameters of pages do not select them.
    """
    finished: dict[tuple[str, int], dict[str, list[str]]] = {}  # (profile, seed) → protocol → systems
    for system, protocol, seed in _list_stored(pool):
        for profile in PROFILES:
            if _is_finished(system, pool, protocol, profile, seed, data):
                finished.setdefault((profile, seed), {}).setdefault(protocol, []).append(system)
    if not finished:
        return {}
    profile, seed = max(finished, key=lambda key: (max(map(len, finished[key].values())), key[0] == "full", -key[1]))
    by_protocol = finished[profile, seed]
    systems = max(by_protocol.values(), key=len)
    protocols = [name for name, its_systems in by_protocol.items() if set(systems) <= set(its_systems)]
    return {"systems": systems, "protocols": protocols, "profile": profile, "seed": seed}


def _format(parameters: Mapping[str, object]) -> str:
    """Return parameters as arguments of ``sernb run``, without empty ones."""
    texts = {name: value if isinstance(value, str | int) else ",".join(value) for name, value in parameters.items()}
    return " ".join(f"-p {name} {text}" for name, text in texts.items() if text != "")


def _list_stored(pool: Pool) -> list[tuple[str, str, int]]:
    """Return system, protocol and seed of all runs on disk."""
    folders = (work_folder() / "runs" / pool.folder).glob("*/*/fold-*-seed-*-*")
    return sorted({(*path.parts[-3:-1], int(path.name.split("-")[3])) for path in folders if path.is_dir()})


def _is_finished(system: str, pool: Pool, protocol: str, profile: str, seed: int, data: str) -> bool:
    """Return whether all runs of a system's own recipe are finished."""
    with contextlib.suppress(DataError):  # of another version of sernb, or with an option
        planned = plan([system], pool.name, [protocol], profile=profile, seeds=[seed], data=data)
        return all(each.is_finished for each in planned)
    return False
