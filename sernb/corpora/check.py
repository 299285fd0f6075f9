"""The check of a copy: every file against what was published, and what is odd about those that are whole."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sernb.config import DataError
from sernb.corpora.csv_table import near_equal
from sernb.corpora.files import bare_names, doubles_of, find_files, folded, list_names, why_missing
from sernb.corpora.index import ODD, audio_files, list_clips, list_unused
from sernb.corpora.local_index import missing_advice, own_advice
from sernb.corpora.record import DIMENSIONS, Corpus
from sernb.runtime.files import checksum
from sernb.runtime.threads import map_in_order

if TYPE_CHECKING:
    import pandas as pd

LISTED = 10  # findings of one kind that are printed one by one


@dataclass(frozen=True)
class Finding:
    """Something to say about one file of a corpus; a problem must be mended, a note need not."""

    level: str  # "problem" or "note"
    kind: str  # missing, changed, unexpected, empty, truncated, …; stereo, duplicate, alike, spelling, …
    path: str
    detail: str


@dataclass(frozen=True)
class _Clip:
    """One row of the index, and what its file turned out to be."""

    path: str
    speaker: str
    emotion: str
    finding: Finding | None = None
    sha256: str = ""
    channels: int = 0
    sound: np.ndarray | None = None  # its fingerprint; nothing where it cannot be heard
    sampling_rate: int = 0

    @property
    def whole(self) -> bool:
        return bool(self.sha256)


def check(corpus: Corpus, folder: Path, *, progress: bool = False) -> list[Finding]:
    """Compare every file of a copy with the published checksums, or with the labels that the copy brings.

    Problems: missing, changed or unreadable files (with the reason), unexpected ones, counts that are not the published
    ones; where the labels are the copy's own, equal recordings under two emotions, or of two speakers who are tested
    apart. Notes: oddities of the published
    files, such as stereo sound, silence, and recordings that are there twice, byte for byte or by ear (log-mel
    fingerprints); other spellings of names; second copies and files that are left out.

    Returns:
        problems first, then notes; empty if all is as published and nothing is odd

    Raises:
        DataError: if labels cannot be read
    """
    from threadpoolctl import threadpool_limits

    from sernb.runtime.progress import progress_bar

    index = list_clips(corpus, folder)
    if index.empty:
        raise DataError(f"{folder}: holds no labels of {corpus.title}; complete the copy")
    files = find_files(corpus, folder, index)
    doubles = doubles_of(corpus, folder, index) if len(files) < len(index) else {}
    # Synthetic voices repeat themselves: that two of their clips sound alike says nothing.
    by_ear = corpus.evidence and not corpus.heard
    clips = []
    with (
        threadpool_limits(1),
        closing(map_in_order(partial(_listen, corpus, files, doubles, by_ear), index.itertuples())) as listened,
        progress_bar(len(index), f"check {corpus.name}", "clip", shown=progress) as shown,
    ):
        for clip in listened:
            shown.update()
            clips.append(clip)
    whole = [clip for clip in clips if clip.whole]
    findings = [clip.finding for clip in clips if clip.finding]
    findings += _others(corpus, folder, index, files)
    findings += _spelt_otherwise(folder, index, files)
    findings += _near_speakers(corpus, index)
    findings += _stereo(whole)
    findings += _twins(whole, corpus)
    findings += _numbers(corpus, index)
    if not (corpus.committed or corpus.own):
        findings += _releases(corpus, folder, index, files, whole)
    if corpus.doubts and len(index):
        findings += [Finding("problem", "counts", corpus.name, doubt) for doubt in corpus.doubts(index)]
    return sorted(findings, key=lambda finding: finding.level != "problem")


def _numbers(corpus: Corpus, index: "pd.DataFrame") -> Iterator[Finding]:
    names = [*DIMENSIONS, *(name for name, kind in corpus.columns if kind is float)] if corpus.own else []
    for name in names:
        values = index[name].dropna() if name in index else ()
        if len(values):
            span = f"{values.min():g} to {values.max():g}"
            yield Finding(
                "note", "numbers", corpus.labels_at[0], f"{name}: {len(values)} of {len(index)} clips, {span}; a target"
            )


def findings_table(findings: list[Finding]) -> "pd.DataFrame":
    """Return findings as a table: level, kind, path, detail."""
    import pandas as pd

    return pd.DataFrame(findings, columns=["level", "kind", "path", "detail"])


def format_findings(findings: list[Finding], clips: int) -> list[str]:
    """Return findings as lines for a reader: of a kind with more than ten, the first and their number.

    Args:
        clips: how many the corpus has
    """
    kinds = Counter((finding.level, finding.kind) for finding in findings)
    lines, told = [], set()
    for finding in findings:
        kind = finding.level, finding.kind
        if kinds[kind] <= LISTED:
            lines.append(f"{finding.level}: {finding.path}: {finding.detail}")
        elif kind not in told:
            told.add(kind)
            many = (
                f"{kinds[kind]} of {clips} clips are missing" if kind[1] == "missing" else f"{kinds[kind]} × {kind[1]}"
            )
            lines.append(f"{finding.level}: {many}; the first: {finding.path}: {finding.detail} (--json lists all)")
    return lines


def _listen(corpus: Corpus, files: dict[str, Path], doubles: dict[str, list[str]], by_ear: bool, row) -> _Clip:
    from sernb.audio.decoders import AudioError
    from sernb.audio.reading import describe, examine

    said = partial(_Clip, row.path, row.speaker, row.emotion)
    path = files.get(row.clip)
    if path is None:
        known = "keep one" if row.clip in doubles else "get the corpus again"
        advice = missing_advice(corpus) if corpus.own or not (row.sha256 or row.clip in doubles) else known
        return said(Finding("problem", "missing", row.path, f"{why_missing(doubles, row.clip)}; {advice}"))
    try:
        recording, problem = examine(path), None
    except AudioError as error:
        if error.kind == "missing":  # it is there and cannot be opened
            return said(Finding("problem", "unreadable", row.path, "cannot be opened; look at its rights and kind"))
        problem = error
    found = checksum(path)
    if row.sha256 and found != row.sha256 and not problem:
        detail = "is not the published file (sha256 differs); get it again"
        return said(Finding("problem", "changed", row.path, detail))
    if problem:
        detail = (own_advice if corpus.own else str)(str(problem).removeprefix(f"{path}: "))
        # A published file can itself be odd: that is for everyone to know, and nobody's to mend.
        if found == row.sha256:
            channels = describe(path)[2] if problem.kind in ODD else 0
            return said(Finding("note", problem.kind, row.path, f"as published: {detail}"), found, channels)
        return said(Finding("problem", problem.kind, row.path, detail))
    sound = _fingerprint(recording.signal, recording.sampling_rate) if by_ear else None
    odd = Finding("note", "odd", row.path, "; ".join(recording.notes)) if recording.notes else None
    return said(odd, found, recording.channels, sound, recording.sampling_rate)


def _fingerprint(signal: np.ndarray, rate: float) -> np.ndarray:
    from sernb.audio.reading import resample
    from sernb.audio.similarity import fingerprint
    from sernb.features import LogMel

    log_mel = LogMel()
    return fingerprint(log_mel(resample(signal, original_rate=rate, sampling_rate=log_mel.sampling_rate)))


def _others(corpus: Corpus, folder: Path, index: "pd.DataFrame", files: dict[str, Path]) -> Iterator[Finding]:
    used = set(files.values())
    others = sorted(path.relative_to(folder).as_posix() for path in audio_files(folder) if path not in used)
    names = {folded(name) for path in index.path for name in list_names(corpus, path)} if others else set()
    bare = {} if corpus.clips_of or not others else {name for alone in bare_names(corpus).values() for name in alone}
    second = [
        path for path in others if folded(path.partition("/")[2]) in names or folded(path.rpartition("/")[2]) in bare
    ]
    yield from _grouped(
        second,
        lambda path: path.partition("/")[0],
        "second copy",
        lambda inner, count: f"belongs to a second copy in {inner}; its {count} file(s) are not read",
    )
    left = sorted(set(others) - set(second))
    yield from _grouped(
        [path for path in left if list_unused(corpus, path)],
        lambda path: str(list_unused(corpus, path)),
        "unused",
        lambda what, count: f"is not used{f', with {count - 1} more like it' if count > 1 else ''}: {what}",
    )
    for path in left:
        if not list_unused(corpus, path):
            yield Finding("problem", "unexpected", path, f"is not part of {corpus.title}; remove it")


def _grouped(
    paths: list[str], key: Callable[[str], str], kind: str, detail: Callable[[str, int], str]
) -> Iterator[Finding]:
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(key(path), []).append(path)
    for group, members in groups.items():
        yield Finding("note", kind, members[0], detail(group, len(members)))


def _spelt_otherwise(folder: Path, index: "pd.DataFrame", files: dict[str, Path]) -> Iterator[Finding]:
    spelt = [
        (path, files[clip].relative_to(folder).as_posix())
        for clip, path in zip(index["clip"], index["path"], strict=True)
        if clip in files and files[clip].relative_to(folder).as_posix() != path
    ]
    if spelt:
        path, other = spelt[0]
        more = f", and {len(spelt) - 1} more lie under other names" if len(spelt) > 1 else ""
        yield Finding("note", "spelling", path, f"is there as {other}{more}; read all the same")


def _near_speakers(corpus: Corpus, index: "pd.DataFrame") -> Iterator[Finding]:
    prefix = f"{corpus.name}-"
    for group in near_equal(name.removeprefix(prefix) for name in index.speaker) if corpus.clips_of else ():
        detail = f"speakers {', '.join(group)} count as {len(group)} people; if they are one, write them alike"
        yield Finding("note", "near speakers", corpus.name, detail)


def _releases(
    corpus: Corpus, folder: Path, index: "pd.DataFrame", files: dict[str, Path], clips: list[_Clip]
) -> Iterator[Finding]:
    """Say that bytes cannot be compared, and look for files of another release, by their rates and by their folders."""
    detail = "no checksums are published: names, counts and sampling rates were compared, bytes were not"
    yield Finding("note", "no checksums", corpus.name, detail)
    for clip in clips:
        if corpus.rates and clip.sampling_rate not in corpus.rates:
            published = " or ".join(map(str, corpus.rates))
            detail = f"has {clip.sampling_rate} Hz, published are {published}: it is of another release; get it again"
            yield Finding("problem", "release", clip.path, detail)
    places = {
        path: files[clip].relative_to(folder).as_posix()
        for clip, path in zip(index["clip"], index.path, strict=True)
        if clip in files and path.isascii()  # some programs spoil other letters when they unpack
    }
    fits = [
        [folded(re.sub(pattern, other, path)) == folded(place) for path, place in places.items()]
        for pattern, other in ((r"(?!)", ""), *corpus.spellings)  # as published, then each other layout
    ]
    if places and any(fits[0]) and not any(map(all, fits)):
        first, other = (
            next(place for place, fit in zip(places.values(), fits[0], strict=True) if fit == kind)
            for kind in (True, False)
        )
        detail = f"lies as published, but {fits[0].count(False)} others do not, such as {other}: keep one release"
        yield Finding("problem", "mixed layouts", first, detail)


def _stereo(clips: list[_Clip]) -> Iterator[Finding]:
    counts = Counter(clip.channels for clip in clips)
    for clip in clips:
        if clip.channels != counts.most_common(1)[0][0]:
            left_out = clip.finding and clip.finding.kind == "odd" and "channel" in clip.finding.detail
            what = "not all are used" if left_out else "they are averaged"
            yield Finding("note", "stereo", clip.path, f"has {clip.channels} channels; {what}")


def _twins(clips: list[_Clip], corpus: Corpus) -> Iterator[Finding]:
    """Look for recordings that are there twice, byte for byte or by ear, of one speaker or of two.

    Two speakers who share recordings and are tested apart are a problem where the labels can be mended: an experiment
    refuses such a split.
    """
    from sernb.audio.similarity import find_similar

    mendable = bool(corpus.clips_of)
    by_bytes: dict[str, list[_Clip]] = {}
    for clip in clips:
        by_bytes.setdefault(clip.sha256, []).append(clip)
    shared: dict[tuple[str, str], list[tuple[_Clip, _Clip]]] = {}
    for group in by_bytes.values():
        if len(group) > 1:
            yield _twin("duplicate", "is byte for byte", group, mendable)
        firsts = list({clip.speaker: clip for clip in reversed(group)}.values())[::-1]
        for pair in combinations(firsts, 2):
            shared.setdefault((pair[0].speaker, pair[1].speaker), []).append(pair)
    heard = [first for first, *_ in by_bytes.values() if first.sound is not None]
    for numbers in find_similar(np.stack([clip.sound for clip in heard])) if heard else ():
        pair = tuple(heard[number] for number in numbers)
        if pair[0].speaker == pair[1].speaker:
            yield _twin("alike", "sounds like", list(pair), mendable)
        else:
            shared.setdefault((pair[0].speaker, pair[1].speaker), []).append(pair)
    yield from _shared(shared, corpus)


def _shared(shared: dict[tuple[str, str], list[tuple[_Clip, _Clip]]], corpus: Corpus) -> Iterator[Finding]:
    from sernb.corpora.similar_recordings import shared_between

    tested = {speaker: number for number, fold in enumerate(corpus.speaker_folds) for speaker in fold.test}
    together: dict[tuple[str, ...], list[tuple[_Clip, _Clip]]] = {}
    for names, pairs in shared.items():
        together.setdefault(tuple(sorted(names)), []).extend(pairs)
    for names, pairs in together.items():
        apart = tested.get(names[0]) != tested.get(names[1])
        first, second = pairs[0]
        detail = shared_between(
            tuple(name.removeprefix(f"{corpus.name}-") for name in names),
            len(pairs),
            (first.path, second.path),
            own=corpus.own,
        )
        yield Finding("problem" if apart and corpus.clips_of else "note", "shared", first.path, detail)


def _twin(kind: str, likeness: str, clips: list[_Clip], mendable: bool) -> Finding:
    contradictory = len({clip.emotion for clip in clips}) > 1
    first, *others = clips
    twins = ", ".join(other.path for other in others)
    level = "problem" if contradictory and mendable else "note"
    advice = "; correct the labels, or leave one out" if level == "problem" else ""
    detail = f"{likeness} {twins} ({'CONTRADICTORY' if contradictory else 'same'} emotion){advice}"
    return Finding(level, kind, first.path, detail)
