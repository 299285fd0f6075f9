"""`sernb train`: which systems can be final models, and how each of them becomes the folder of one."""

from collections.abc import Callable
from pathlib import Path

from sernb.config import DataError
from sernb.corpora.pool import Pool, parse_pool
from sernb.encoders.registry import ENCODERS
from sernb.prediction.model_folder import FILES, Made, refuse_taken, write_model_folder
from sernb.prediction.training_corpus import members_of
from sernb.systems.base import System
from sernb.systems.registry import get_system

COMMAND = "sernb train"
NETWORKS = ("sernet",)  # that predict from their arrays
LINEAR = ("functionals-ridge", "embedding-ridge", "embedding-functionals", "embedding-pair")
KNOWN = (
    f"{', '.join(LINEAR)}, embedding-pair-functionals, {', '.join(NETWORKS)}; for strangers with -robust behind the "
    "first three; on another encoder as embedding-ridge@whisper-base"
)


def make_model(
    system_name: str,
    corpus_name: str,
    folder: Path,
    *,
    foreign_name: str = "",
    profile: str = "full",
    replace: bool = False,
    jobs: int = -1,
    announce: Callable[[str], None] = print,
) -> dict:
    """Train a system on all clips of a corpus, calibrate and measure it, and write the folder of the model.

    Args:
        corpus_name: an expression, see :mod:`sernb.corpora.pool`
        foreign_name: a corpus to measure on; nothing is chosen there. Empty: none
        profile: of networks, ``full`` or ``quick``
        replace: a model that was made so before is replaced
        announce: gets a sentence on each thing that these recordings do not allow

    Returns:
        what ``model.json`` says

    Raises:
        DataError: if the system cannot be a final model, the recordings do not allow it, or the folder is taken
    """
    from sernb.prediction.final_model import make_for_one_speaker, make_linear_model
    from sernb.prediction.final_network import make_network_model

    refuse_taken(folder, replace=replace, files=FILES, made_by=COMMAND)
    system = get_system(system_name)
    linear = is_linear(system)
    if not linear and system.name not in NETWORKS:
        raise DataError(f"{system_name}: cannot be kept as a final model; those that can: {KNOWN}")
    if own := [name for name in system.encoders if name not in ENCODERS]:
        raise DataError(f"{own[0]}: a final model reads an encoder of the registry; known: {', '.join(ENCODERS)}")
    pool = parse_pool(corpus_name)
    alone = pool.index.speaker.nunique() < 2
    for sentence in lacks(pool):
        announce(sentence)
    if alone and not linear:
        raise DataError(f"{pool.name}: has one speaker, and {system.name} needs two at least; take functionals-ridge")
    if alone and foreign_name:
        raise DataError(f"{pool.name}: has one speaker, of whose model nothing is known elsewhere; leave --foreign out")
    if alone:
        made = make_for_one_speaker(system, corpus_name)
    elif linear:
        made = make_linear_model(system, corpus_name, foreign_name)
    else:
        made = make_network_model(system, corpus_name, foreign_name, profile=profile, jobs=jobs)
    made = Made({**made.about, **_made_with(system_name, pool, foreign_name, profile)}, made.arrays, made.provenance)
    write_model_folder(made, folder)
    return made.about


def is_linear(system: System) -> bool:
    """Return whether a system is one linear classifier, or a product of such."""
    from sernb.systems import embedding_ridge, functionals_ridge

    return all(each.fit in (embedding_ridge.fit, functionals_ridge.fit) for each in members_of(system))


def lacks(pool: Pool) -> list[str]:
    """Return a sentence on each thing that the clips of a corpus, or its licence, do not allow."""
    clips = pool.index[pool.index.emotion != ""]
    speakers, counts = clips.speaker.nunique(), clips.emotion.value_counts()
    voices = clips.groupby("emotion").speaker.nunique()
    found = []
    if speakers < 2:
        found.append("there is one speaker: nothing can be known of strangers, so that nothing is calibrated")
    elif speakers < 9:
        found.append(
            f"there are {speakers} speakers: sets of 90 % hold all emotions, and intervals are wide; 9 speakers are "
            "needed for smaller sets"
        )
    few = [name for name in counts.index if voices[name] < 2] if speakers > 1 else []
    if bound := [part.corpus.title for part in pool.parts if "ND" in part.corpus.licence]:
        found.append(f"the licence of {' and '.join(bound)} lets nothing derived be handed on: keep the model")
    if few:
        found.append(f"of one speaker only: {', '.join(few)}; for others it cannot be measured, and it is never right")
    return found


def _made_with(system_name: str, pool: Pool, foreign_name: str, profile: str) -> dict[str, str]:
    """Return what made a model; folders of one's own go by their name, not by their place."""
    options = {
        "--system": system_name,
        "--profile": profile if profile != "full" else "",
        "--foreign": _told(parse_pool(foreign_name)) if foreign_name else "",
    }
    given = "".join(f" {name} {value}" for name, value in options.items() if value)
    return {"made_by": COMMAND, "made_with": f"{COMMAND} {_told(pool)}{given} --to FOLDER"}


def _told(pool: Pool) -> str:
    return "+".join(part.corpus.title if part.corpus.home else part.name for part in pool.parts)
