"""The preparation page of a corpus: source, comparison of the copy with the published corpus, features, examples."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from sernb import figures
from sernb.corpora.availability import Availability
from sernb.corpora.check import check, findings_table
from sernb.corpora.preparation import prepare
from sernb.corpora.record import DIMENSIONS, Corpus
from sernb.features import Level, LogMel
from sernb.studies import examples
from sernb.studies.exploration import extremes, loudness, one_clip_per_emotion, rated

PLAYED = 5  # clips


def facts_table(corpus: Corpus) -> pd.DataFrame:
    """Return contents, citation, licence and download instructions of a corpus."""
    facts = {
        "About": corpus.about,
        "Citation": corpus.citation,
        "Licence": corpus.licence,
        "How to get it": corpus.on_request or corpus.get,
        "Home": corpus.homepage,
    }
    return pd.DataFrame({"": list(facts), corpus.title: list(facts.values())})


def quirks_table(corpus: Corpus) -> pd.DataFrame:
    """Return the known quirks of the corpus, one row each."""
    return pd.DataFrame({"Quirk": corpus.quirks})


def check_copy(available: Availability) -> tuple[str, pd.DataFrame]:
    """Decode every file and compare it with its published checksum.

    Returns:
        the outcome in a sentence, and one row per kind of finding: level, kind, number of files, and the first file
        with its detail
    """
    if available.folder is None:
        return "There are no files to check.", pd.DataFrame()
    findings = findings_table(check(available.corpus, available.folder))
    problems, missing = (findings["level"] == "problem").sum(), (findings["kind"] == "missing").sum()
    others = f"{missing} missing, {problems - missing} other problems" if missing else f"{problems} problems"
    kinds = findings.groupby(["level", "kind"], sort=False)
    return (
        f"{len(available.clips)} of {available.corpus.clips} published clips: {others}, "
        f"{len(findings) - problems} notes",
        kinds.agg(files=("path", "size"), first=("path", "first"), detail=("detail", "first")).reset_index(),
    )


def headline(available: Availability, outcome: str, findings: pd.DataFrame) -> list[str]:
    """State whether this copy is the published corpus, and describe its contents, in sentences.

    Args:
        outcome, findings: of :func:`check_copy`
    """
    corpus, clips = available.corpus, available.clips
    first = " ".join(available.summary.splitlines())
    if available.folder is not None:
        problems = set(findings["kind"][findings["level"] == "problem"]) if len(findings) else set()
        complete = not problems and len(available.clips) == corpus.clips
        verdict = "Yes" if complete else "Yes, but incomplete" if problems <= {"missing"} else "No"
        reference = "its published checksum" if corpus.committed else "the published names and counts"
        first = f"{verdict}: {corpus.title} has {outcome}, each file compared with {reference}."
    return [first, *_describe_contents(clips[clips.emotion != ""])] if len(clips) else [first]


def _describe_contents(clips: pd.DataFrame) -> Iterator[str]:
    counts = clips.emotion.value_counts()
    if len(counts):
        equal = counts.min() == counts.max()
        each = f"{counts.max()} clips each" if equal else f"{counts.min()} ({counts.index[-1]}) to {counts.max()} clips"
        yield (
            f"{len(clips)} clips of {clips.speaker.nunique()} speakers, {clips.seconds.sum() / 60:.0f} minutes, "
            f"{len(counts)} emotions with {each}. Chance levels: {100 * counts.max() / len(clips):.1f} % WAR, "
            f"{100 / len(counts):.1f} % UAR, for a constant prediction{'' if equal else f' ({counts.index[0]})'}."
        )


def plot_counts(available: Availability) -> Iterator[figures.Drawing]:
    """Plot the number of clips by emotion and gender; nothing without labels."""
    if len(available.clips):
        yield figures.class_counts(available.clips, f"{available.corpus.title}: clips by emotion and gender")


def plot_durations(available: Availability) -> Iterator[figures.Drawing]:
    """Plot durations by emotion; nothing without clips."""
    if len(available.clips):
        yield figures.durations(available.clips, f"{available.corpus.title}: durations")


def plot_ratings(available: Availability) -> Iterator[figures.Drawing]:
    """Plot valence, arousal and dominance by emotion; nothing without ratings."""
    if len(clips := rated(available.clips)):
        yield figures.ratings(clips, DIMENSIONS, f"{available.corpus.title}: ratings")


def durations_table(available: Availability) -> pd.DataFrame:
    """Return number, minimum, mean and maximum of the durations in seconds; empty without clips."""
    return extremes({available.corpus.title: available.clips.seconds} if len(available.clips) else {})


def log_mels(available: Availability, data: str | Path | None = None) -> dict[str, np.ndarray]:
    """Return the log-mel spectrogram of each clip by name, shape ``(frames, bands)``, computed once and cached."""
    return prepare(available.pool, LogMel(), data=data) if available.pool else {}


def describe_size(spectrograms: Mapping[str, np.ndarray]) -> str:
    """Return the size of the features of all clips, as text."""
    if not spectrograms:
        return "Features need the recordings."
    frames = sum(map(len, spectrograms.values()))
    megabytes = sum(each.nbytes for each in spectrograms.values()) / 1e6
    return f"{len(spectrograms)} clips, {frames:,} frames of {LogMel().bands} mel bands, {megabytes:.0f} MB"


def plot_examples(
    available: Availability, spectrograms: Mapping[str, np.ndarray], data: str | Path | None = None
) -> Iterator[figures.Drawing]:
    """Plot one speaker in every emotion, as log-mel spectrograms and as MFCC; nothing without recordings."""
    if available.pool:
        chosen = one_clip_per_emotion(available.clips)
        yield examples.plot_log_mels(chosen, spectrograms)
        yield examples.plot_mfcc(available.pool, chosen, data)


def example_sounds(available: Availability, data: str | Path | None = None) -> Iterator[examples.Sound]:
    """Yield the first of these clips, to play; nothing without recordings."""
    if available.pool:
        yield from examples.sounds(available.pool, one_clip_per_emotion(available.clips).head(PLAYED), data)


def levels_table(available: Availability, data: str | Path | None = None) -> pd.DataFrame:
    """Return the level of clips in dBFS by emotion, quietest first; empty without recordings."""
    if not available.pool:
        return pd.DataFrame()
    levels = prepare(available.pool, Level(), data=data)
    clips = available.clips.assign(decibels=[loudness(levels[clip]) for clip in available.clips["clip"]])
    table = clips.groupby("emotion").decibels.describe(percentiles=[0.05, 0.5, 0.95])[["5%", "50%", "95%"]]
    return table.round(1).sort_values("50%").set_axis(["5 % of clips below", "median", "95 % below"], axis=1)
