"""Check a copy of a corpus: compare every file with the published one and report oddities of the intact files."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sernb.config import DataError
from sernb.corpora.csv_table import near_equal
from sernb.corpora.files import explain_missing, find_ambiguous, find_files, list_names, normalise_name, unique_names
from sernb.corpora.index import ODD, audio_files, describe_unused, list_clips
from sernb.corpora.local_index import missing_advice, own_advice
from sernb.corpora.record import DIMENSIONS, Corpus
from sernb.runtime.files import checksum
from sernb.runtime.threads import map_in_order

if TYPE_CHECKING:
    import pandas as pd

LISTED = 10  # findings of one kind that are printed individually


@dataclass(frozen=True)
class Finding:
    """One finding about a file of a corpus; a problem must be fixed, a note need not."""

    level: str  # "problem" or "note"
    kind: str  # missing, changed, unexpected, empty, truncated, …; stereo, duplicate, alike, spelling, …
    path: str
    detail: str


@dataclass(frozen=True)
class _Clip:
    """One row of the index with the result of checking its file."""

    path: str
    speaker: str
    emotion: str
    finding: Finding | None = None
    sha256: str = ""
    channels: int = 0
    fingerprint: np.ndarray | None = None  # of its log-mel; None where it was not computed
    sampling_rate: int = 0

    @property
    def intact(self) -> bool:
        return bool(self.sha256)


def check(corpus: Corpus, folder: Path, *, progress: bool = False) -> list[Finding]:
    """Compare every file of a copy with the published checksums, or with the labels in the copy.

    Problems are missing, changed, unreadable or unexpected files and counts other than the published ones; where the
    labels come with the copy, also identical recordings with two emotions, or of two speakers tested in different
    folds. Notes are oddities of the published files (stereo, silence, byte-identical and near-duplicate audio by
    log-mel fingerprint), other spellings of file names, second copies, and unused files.

    Returns:
        problems first, then notes; empty if the copy is as published and nothing is odd

    Raises:
        DataError: if labels cannot be read
    """
    from threadpoolctl import threadpool_limits

    from sernb.runtime.progress import progress_bar

    index = list_clips(corpus, folder)
    if index.empty:
        raise DataError(f"{folder}: holds no labels of {corpus.title}; complete the copy")
    files = find_files(corpus, folder, index)
    ambiguous = find_ambiguous(corpus, folder, index) if len(files) < len(index) else {}
    # Synthetic voices repeat themselves: near-duplicates among their clips mean nothing.
    compare_sound = corpus.evidence and not corpus.near_duplicates_known
    clips = []
    with (
        threadpool_limits(1),
        closing(
            map_in_order(partial(_check_file, corpus, files, ambiguous, compare_sound), index.itertuples())
        ) as checked,
        progress_bar(len(index), f"check {corpus.name}", "clip", shown=progress) as shown,
    ):
        for clip in checked:
            shown.update()
            clips.append(clip)
    intact = [clip for clip in clips if clip.intact]
    findings = [clip.finding for clip in clips if clip.finding]
    findings += _unlisted_files(corpus, folder, index, files)
    findings += _other_spellings(folder, index, files)
    findings += _near_equal_speakers(corpus, index)
    findings += _stereo(intact)
    findings += _duplicates(intact, corpus)
    findings += _numeric_columns(corpus, index)
    if not (corpus.committed or corpus.own):
        findings += _releases(corpus, folder, index, files, intact)
    if corpus.find_deviations and len(index):
        findings += [Finding("problem", "counts", corpus.name, detail) for detail in corpus.find_deviations(index)]
    return sorted(findings, key=lambda finding: finding.level != "problem")


def _numeric_columns(corpus: Corpus, index: "pd.DataFrame") -> Iterator[Finding]:
    names = [*DIMENSIONS, *(name for name, kind in corpus.columns if kind is float)] if corpus.own else []
    for name in names:
        values = index[name].dropna() if name in index else ()
        if len(values):
            span = f"{values.min():g} to {values.max():g}"
            yield Finding(
                "note",
                "numbers",
                corpus.label_files[0],
                f"{name}: {len(values)} of {len(index)} clips, {span}; a target",
            )


def findings_table(findings: list[Finding]) -> "pd.DataFrame":
    """Return findings as a table: level, kind, path, detail."""
    import pandas as pd

    return pd.DataFrame(findings, columns=["level", "kind", "path", "detail"])


def format_findings(findings: list[Finding], clips: int) -> list[str]:
    """Format findings as lines; of a kind with more than ten, show the first one and the count.

    Args:
        clips: number of clips of the corpus
    """
    kinds = Counter((finding.level, finding.kind) for finding in findings)
    lines, summarised = [], set()
    for finding in findings:
        kind = finding.level, finding.kind
        if kinds[kind] <= LISTED:
            lines.append(f"{finding.level}: {finding.path}: {finding.detail}")
        elif kind not in summarised:
            summarised.add(kind)
            count = (
                f"{kinds[kind]} of {clips} clips are missing" if kind[1] == "missing" else f"{kinds[kind]} × {kind[1]}"
            )
            lines.append(f"{finding.level}: {count}; the first: {finding.path}: {finding.detail} (--json lists all)")
    return lines


def _check_file(
    corpus: Corpus, files: dict[str, Path], ambiguous: dict[str, list[str]], compare_sound: bool, row
) -> _Clip:
    from sernb.audio.decoders import AudioError
    from sernb.audio.reading import describe, examine

    clip = partial(_Clip, row.path, row.speaker, row.emotion)
    path = files.get(row.clip)
    if path is None:
        if corpus.own or not (row.sha256 or row.clip in ambiguous):
            advice = missing_advice(corpus)
        else:
            advice = "keep one" if row.clip in ambiguous else "get the corpus again"
        return clip(Finding("problem", "missing", row.path, f"{explain_missing(ambiguous, row.clip)}; {advice}"))
    try:
        recording, problem = examine(path), None
    except AudioError as error:
        if error.kind == "missing":  # it exists but cannot be opened
            return clip(Finding("problem", "unreadable", row.path, "cannot be opened; check its type and permissions"))
        problem = error
    sha256 = checksum(path)
    if row.sha256 and sha256 != row.sha256 and not problem:
        detail = "is not the published file (sha256 differs); get it again"
        return clip(Finding("problem", "changed", row.path, detail))
    if problem:
        detail = (own_advice if corpus.own else str)(str(problem).removeprefix(f"{path}: "))
        # A published file can itself be odd: worth a note, but the user cannot fix it.
        if sha256 == row.sha256:
            channels = describe(path)[2] if problem.kind in ODD else 0
            return clip(Finding("note", problem.kind, row.path, f"as published: {detail}"), sha256, channels)
        return clip(Finding("problem", problem.kind, row.path, detail))
    fingerprint = _fingerprint(recording.signal, recording.sampling_rate) if compare_sound else None
    odd = Finding("note", "odd", row.path, "; ".join(recording.notes)) if recording.notes else None
    return clip(odd, sha256, recording.channels, fingerprint, recording.sampling_rate)


def _fingerprint(signal: np.ndarray, rate: float) -> np.ndarray:
    from sernb.audio.reading import resample
    from sernb.audio.similarity import fingerprint
    from sernb.features import LogMel

    log_mel = LogMel()
    return fingerprint(log_mel(resample(signal, original_rate=rate, sampling_rate=log_mel.sampling_rate)))


def _unlisted_files(corpus: Corpus, folder: Path, index: "pd.DataFrame", files: dict[str, Path]) -> Iterator[Finding]:
    used = set(files.values())
    others = sorted(path.relative_to(folder).as_posix() for path in audio_files(folder) if path not in used)
    names = {normalise_name(name) for path in index.path for name in list_names(corpus, path)} if others else set()
    unique = (
        {} if corpus.read_clips or not others else {name for names in unique_names(corpus).values() for name in names}
    )
    second_copies = [
        path
        for path in others
        if normalise_name(path.partition("/")[2]) in names or normalise_name(path.rpartition("/")[2]) in unique
    ]
    yield from _group_findings(
        second_copies,
        lambda path: path.partition("/")[0],
        "second copy",
        lambda inner, count: f"belongs to a second copy in {inner}; its {count} file(s) are not read",
    )
    remaining = sorted(set(others) - set(second_copies))
    yield from _group_findings(
        [path for path in remaining if describe_unused(corpus, path)],
        lambda path: str(describe_unused(corpus, path)),
        "unused",
        lambda kind, count: f"is not used{f', like {count - 1} more files' if count > 1 else ''}: {kind}",
    )
    for path in remaining:
        if not describe_unused(corpus, path):
            yield Finding("problem", "unexpected", path, f"is not part of {corpus.title}; remove it")


def _group_findings(
    paths: list[str], key: Callable[[str], str], kind: str, detail: Callable[[str, int], str]
) -> Iterator[Finding]:
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(key(path), []).append(path)
    for group, members in groups.items():
        yield Finding("note", kind, members[0], detail(group, len(members)))


def _other_spellings(folder: Path, index: "pd.DataFrame", files: dict[str, Path]) -> Iterator[Finding]:
    respelled = [
        (path, files[clip].relative_to(folder).as_posix())
        for clip, path in zip(index["clip"], index["path"], strict=True)
        if clip in files and files[clip].relative_to(folder).as_posix() != path
    ]
    if respelled:
        path, other = respelled[0]
        more = f", and {len(respelled) - 1} more have other names" if len(respelled) > 1 else ""
        yield Finding("note", "spelling", path, f"was found as {other}{more}; read all the same")


def _near_equal_speakers(corpus: Corpus, index: "pd.DataFrame") -> Iterator[Finding]:
    prefix = f"{corpus.name}-"
    for group in near_equal(name.removeprefix(prefix) for name in index.speaker) if corpus.read_clips else ():
        detail = f"speakers {', '.join(group)} count as {len(group)} people; if they are one, use one spelling"
        yield Finding("note", "near speakers", corpus.name, detail)


def _releases(
    corpus: Corpus, folder: Path, index: "pd.DataFrame", files: dict[str, Path], clips: list[_Clip]
) -> Iterator[Finding]:
    """Note that bytes cannot be compared; find files of another release by their sampling rates and folders."""
    detail = "no checksums are published: names, counts and sampling rates were compared, bytes were not"
    yield Finding("note", "no checksums", corpus.name, detail)
    for clip in clips:
        if corpus.sampling_rates and clip.sampling_rate not in corpus.sampling_rates:
            published = " or ".join(map(str, corpus.sampling_rates))
            detail = f"has {clip.sampling_rate} Hz, not the published {published}: another release; get it again"
            yield Finding("problem", "release", clip.path, detail)
    places = {
        path: files[clip].relative_to(folder).as_posix()
        for clip, path in zip(index["clip"], index.path, strict=True)
        if clip in files and path.isascii()  # some unpacking programs garble other letters
    }
    matches = [
        [normalise_name(re.sub(pattern, other, path)) == normalise_name(place) for path, place in places.items()]
        for pattern, other in ((r"(?!)", ""), *corpus.spellings)  # as published, then each other layout
    ]
    if places and any(matches[0]) and not any(map(all, matches)):
        first, other = (
            next(place for place, match in zip(places.values(), matches[0], strict=True) if match == as_published)
            for as_published in (True, False)
        )
        detail = (
            f"is where it was published, but {matches[0].count(False)} others are not, such as {other}: "
            "keep one release"
        )
        yield Finding("problem", "mixed layouts", first, detail)


def _stereo(clips: list[_Clip]) -> Iterator[Finding]:
    counts = Counter(clip.channels for clip in clips)
    for clip in clips:
        if clip.channels != counts.most_common(1)[0][0]:
            partly_used = clip.finding and clip.finding.kind == "odd" and "channel" in clip.finding.detail
            treatment = "not all are used" if partly_used else "they are averaged"
            yield Finding("note", "stereo", clip.path, f"has {clip.channels} channels; {treatment}")


def _duplicates(clips: list[_Clip], corpus: Corpus) -> Iterator[Finding]:
    """Find byte-identical recordings and near-duplicate audio, within and between speakers.

    Two speakers who share recordings but are tested in different folds are a problem where the labels can be
    corrected: experiments refuse such a split.
    """
    from sernb.audio.similarity import find_similar

    by_bytes: dict[str, list[_Clip]] = {}
    for clip in clips:
        by_bytes.setdefault(clip.sha256, []).append(clip)
    shared: dict[tuple[str, str], list[tuple[_Clip, _Clip]]] = {}
    by_speaker = [list({clip.speaker: clip for clip in reversed(group)}.values())[::-1] for group in by_bytes.values()]
    for group, firsts in zip(by_bytes.values(), by_speaker, strict=True):
        if len(group) > 1:
            yield _duplicate("duplicate", "is byte-identical to", group, corpus)
        for pair in combinations(firsts, 2):
            shared.setdefault((pair[0].speaker, pair[1].speaker), []).append(pair)
    distinct = [firsts for firsts in by_speaker if firsts[0].fingerprint is not None]
    for one, other in find_similar(np.stack([first.fingerprint for first, *_ in distinct])) if distinct else ():
        for pair in product(distinct[one], distinct[other]):
            if pair[0].speaker == pair[1].speaker:
                yield _duplicate("alike", "is a near-duplicate of", list(pair), corpus)
            else:
                shared.setdefault((pair[0].speaker, pair[1].speaker), []).append(pair)
    yield from _shared_recordings(shared, corpus)


def _shared_recordings(shared: dict[tuple[str, str], list[tuple[_Clip, _Clip]]], corpus: Corpus) -> Iterator[Finding]:
    from sernb.corpora.similar_recordings import describe_shared

    test_fold = {speaker: number for number, fold in enumerate(corpus.speaker_folds) for speaker in fold.test}
    by_speakers: dict[tuple[str, ...], list[tuple[_Clip, _Clip]]] = {}
    for names, pairs in shared.items():
        by_speakers.setdefault(tuple(sorted(names)), []).extend(pairs)
    for names, pairs in by_speakers.items():
        tested_together = len({test_fold.get(name, name) for name in names}) == 1
        first, second = pairs[0]
        detail = describe_shared(
            tuple(name.removeprefix(f"{corpus.name}-") for name in names),
            len(pairs),
            (first.path, second.path),
            own=corpus.own,
            tested_together=tested_together,
        )
        level = "problem" if not tested_together and corpus.read_clips else "note"
        yield Finding(level, "shared", first.path, detail)


def _duplicate(kind: str, relation: str, clips: list[_Clip], corpus: Corpus) -> Finding:
    contradictory = len({clip.emotion for clip in clips}) > 1
    first, *others = clips
    paths = ", ".join(other.path for other in others)
    level = "problem" if contradictory and corpus.read_clips else "note"
    advice = "; correct the labels, or remove one" if corpus.own else "; get these files again"
    advice = advice if level == "problem" else ""
    detail = f"{relation} {paths} ({'CONTRADICTORY' if contradictory else 'same'} emotion){advice}"
    return Finding(level, kind, first.path, detail)
