"""`sernb train`: check that a system can be a final model, train it, and write the folder of the model."""

from collections.abc import Callable
from pathlib import Path

from sernb.config import DataError
from sernb.corpora.pool import Pool, parse_pool
from sernb.encoders.registry import ENCODERS
from sernb.prediction.loading import NETWORKS
from sernb.prediction.model_folder import FILES, TrainedModel, refuse_taken, write_model_folder
from sernb.prediction.training_corpus import members_of
from sernb.systems.base import System
from sernb.systems.registry import get_system

COMMAND = "sernb train"
LINEAR = ("functionals-ridge", "embedding-ridge", "embedding-functionals", "embedding-pair")
KNOWN = (
    f"{', '.join(LINEAR)}, embedding-pair-functionals, {', '.join(NETWORKS)}; for unseen conditions append -robust to "
    "a linear one other than embedding-pair; for another encoder of a linear one write embedding-ridge@whisper-base"
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
    """Train, calibrate and evaluate a system on a corpus, and write the folder of the model.

    Args:
        system_name: a linear system, an ensemble of such, or a network that can be restored from arrays
        corpus_name: an expression, see :mod:`sernb.corpora.pool`
        folder: new or empty
        foreign_name: a further corpus for evaluation only; empty: none
        profile: of networks, ``full`` or ``quick``
        replace: replace an earlier model in the folder
        jobs: processes that train folds in parallel; -1: one per core
        announce: called with a sentence on each limitation of the corpus

    Returns:
        the content of ``model.json`` without checksum and provenance

    Raises:
        DataError: if the system cannot be a final model, the corpus does not suffice, or the folder is in use
    """
    from sernb.prediction.final_model import make_for_one_speaker, make_linear_model
    from sernb.prediction.final_network import make_network_model

    refuse_taken(folder, replace=replace, files=FILES, made_by=COMMAND)
    system = get_system(system_name)
    is_linear_system = is_linear(system)
    if not is_linear_system and system.name not in NETWORKS:
        raise DataError(f"{system_name}: cannot be a final model; known: {KNOWN}")
    if unknown_encoders := [name for name in system.encoders if name not in ENCODERS]:
        raise DataError(
            f"{unknown_encoders[0]}: a final model needs an encoder of the registry; known: {', '.join(ENCODERS)}"
        )
    pool = parse_pool(corpus_name)
    has_one_speaker = pool.index.speaker.nunique() < 2
    for sentence in find_limitations(pool):
        announce(sentence)
    if has_one_speaker and not is_linear_system:
        raise DataError(f"{pool.name}: has one speaker, {system.name} needs at least two; use functionals-ridge")
    if has_one_speaker and foreign_name:
        raise DataError(f"{pool.name}: has one speaker, so that its model cannot be calibrated; leave --foreign out")
    if has_one_speaker:
        model = make_for_one_speaker(system, corpus_name)
    elif is_linear_system:
        model = make_linear_model(system, corpus_name, foreign_name)
    else:
        model = make_network_model(system, corpus_name, foreign_name, profile=profile, jobs=jobs)
    model = TrainedModel(
        {**model.metadata, **_command_record(system_name, pool, foreign_name, profile)}, model.arrays, model.provenance
    )
    write_model_folder(model, folder)
    return model.metadata


def is_linear(system: System) -> bool:
    """Return whether a system is a linear classifier, or an ensemble of such."""
    from sernb.systems import embedding_ridge, functionals_ridge

    return all(each.fit in (embedding_ridge.fit, functionals_ridge.fit) for each in members_of(system))


def find_limitations(pool: Pool) -> list[str]:
    """Return a sentence on each limitation due to the clips of a corpus or its licence."""
    clips = pool.index[pool.index.emotion != ""]
    speakers, counts = clips.speaker.nunique(), clips.emotion.value_counts()
    speakers_of = clips.groupby("emotion").speaker.nunique()
    sentences = []
    if speakers < 2:
        sentences.append("there is one speaker: performance for others is unknown, and nothing is calibrated")
    elif speakers < 9:
        sentences.append(
            f"there are {speakers} speakers: prediction sets of 90 % contain all emotions, and intervals are wide; "
            "smaller sets need 9 speakers"
        )
    single_speaker = [name for name in counts.index if speakers_of[name] < 2] if speakers > 1 else []
    if no_derivatives := [part.corpus.title for part in pool.parts if "ND" in part.corpus.licence]:
        sentences.append(
            f"the licence of {' and '.join(no_derivatives)} forbids sharing derived works: keep the model to yourself"
        )
    if single_speaker:
        sentences.append(f"emotions of one speaker only: {', '.join(single_speaker)}; their recall cannot be measured")
    return sentences


def _command_record(system_name: str, pool: Pool, foreign_name: str, profile: str) -> dict[str, str]:
    """Return the command that made a model; local corpora appear by their title, not by their path."""
    options = {
        "--system": system_name,
        "--profile": profile if profile != "full" else "",
        "--foreign": _display_name(parse_pool(foreign_name)) if foreign_name else "",
    }
    arguments = "".join(f" {name} {value}" for name, value in options.items() if value)
    return {"made_by": COMMAND, "made_with": f"{COMMAND} {_display_name(pool)}{arguments} --to FOLDER"}


def _display_name(pool: Pool) -> str:
    return "+".join(part.corpus.title if part.corpus.home else part.name for part in pool.parts)
