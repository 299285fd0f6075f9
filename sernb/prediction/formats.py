"""Predictions → what people and programs read: lines, JSON, CSV, Praat TextGrid, Audacity labels."""

import csv
import html
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from itertools import count, pairwise
from pathlib import Path

import numpy as np

from sernb.audio.recordings import printable
from sernb.config import DataError, in_one_line
from sernb.prediction.domain_check import VERDICTS
from sernb.prediction.predict import COVERAGE, NOT_SURE, Prediction, Window, is_reliable

TIER = "emotion"
UNRELIABLE = "not to be relied on"
NUMBERS = {"seconds", "start", "end", "confidence", "speaker_clips"}  # columns of numbers that are no scores of a class


def lines(prediction: Prediction, *, coverage: float = COVERAGE, timeline: bool = False) -> list[str]:
    """Return a prediction for people."""
    top = ", ".join(f"{name} {100 * share:.0f} %" for name, share in prediction.top())
    found = [f"{in_one_line(printable(prediction.path))}  {clock(prediction.seconds)}  {prediction.answer}  ({top})"]
    if prediction.answer == NOT_SURE:
        found.append(f"    not sure: {'; '.join(prediction.doubts)}")
    if prediction.stated_set:
        found.append(f"    one of, at {100 * coverage:g} % coverage: {', '.join(prediction.stated_set)}")
    if prediction.votes is not None:
        found.append(f"    views that agree: {100 * prediction.votes:.0f} %")
    found += [f"    note: {note}" for note in prediction.notes]
    if prediction.readiness:
        found.append(f"    recording: {prediction.readiness.verdict}")
        found += [f"        {reason}" for reason in prediction.readiness.reasons]
    if not prediction.windows:
        return found
    if len(prediction.windows) > 1:
        voiced = sum(window.voiced for window in prediction.windows)
        found.append(f"    windows with voice: {voiced} of {len(prediction.windows)}")
    for window in prediction.windows if timeline else ():
        share = "" if window.scores is None else f"  {100 * window.scores.max():.0f} %"
        found.append(f"    {clock(window.start)} to {clock(window.end)}  {prediction.said(window)}{share}")
    return found


def summarise(found: Sequence[tuple[Path, Prediction | DataError]]) -> str:
    """Return one line about many recordings: how many of each answer, of each verdict, and failed."""
    predictions = [each for _, each in found if isinstance(each, Prediction)]
    answers = Counter(each.answer for each in predictions)
    unsure = answers.pop(NOT_SURE, 0)
    counts = [f"{number} {name}" for name, number in answers.most_common()] + [f"{unsure} {NOT_SURE}"] * bool(unsure)
    verdicts = Counter(each.readiness.verdict for each in predictions if each.readiness)
    parts = [", ".join(counts), ", ".join(f"{verdicts[name]} {name}" for name in VERDICTS if verdicts[name])]
    if failed := len(found) - len(predictions):
        parts.append(f"{failed} not predicted, see above")
    return f"{len(found)} recordings: {'; '.join(filter(None, parts))}"


def clock(seconds: float) -> str:
    """Return a time in words of a clock.

    Examples:
        >>> clock(3.7), clock(3725.2)
        ('0:03.7', '1:02:05.2')
    """
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def as_data(prediction: Prediction, *, coverage: float = COVERAGE) -> dict[str, object]:
    """Return a prediction as JSON knows it."""
    ready, stated = prediction.readiness, prediction.stated_set
    return {
        "file": printable(prediction.path),
        "seconds": round(prediction.seconds, 3),
        "model": prediction.model,
        "answer": prediction.answer,
        "not_sure_because": list(prediction.doubts),
        "reliable": prediction.reliable,
        "speaker_clips": prediction.speaker_clips,
        "probabilities": _by_class(prediction, prediction.scores),
        "set": {"coverage": coverage, "emotions": list(stated)} if stated else None,
        "views_that_agree": prediction.votes,
        "recording": ready and {"verdict": ready.verdict, "reasons": list(ready.reasons), "measures": ready.measures},
        "notes": list(prediction.notes),
        "windows": [
            {
                "start": round(window.start, 3),
                "end": round(window.end, 3),
                "says": prediction.said(window),
                "probabilities": None if window.scores is None else _by_class(prediction, window.scores),
            }
            for window in prediction.windows
        ],
    }


def _by_class(prediction: Prediction, scores: np.ndarray) -> dict[str, float]:
    return {name: round(float(share), 7) for name, share in zip(prediction.classes, scores, strict=True)}


def as_json(found: Sequence[tuple[Path, Prediction | DataError]], *, coverage: float = COVERAGE) -> str:
    """Return predictions and what went wrong as JSON text."""
    listed = [
        {"file": printable(path), "error": printable(each)}
        if isinstance(each, DataError)
        else as_data(each, coverage=coverage)
        for path, each in found
    ]
    return json.dumps(listed, indent=1)  # in ASCII: a terminal may know no other letters


def as_csv(predictions: Sequence[Prediction], *, timeline: bool = False) -> str:
    """Return one row a recording, or with ``timeline`` one a window, as CSV text; probabilities in a column a class."""
    rows = []
    classes = predictions[0].classes if predictions else ()
    for each in predictions:
        name, verdict = printable(each.path), each.readiness.verdict if each.readiness else ""
        said = [([each.seconds], each.answer, _set_cell(each.stated_set, each.answer), each.scores)]
        if timeline:
            none = [""] * len(classes)
            said = [((at.start, at.end), each.said(at), "", at.scores if at.voiced else none) for at in each.windows]
        for times, text, chosen, scores in said:
            clock_times = [f"{time:.3f}" for time in times]
            trust = _trust(text, verdict, each.speaker_clips)
            rows.append([name, *clock_times, text, chosen, verdict, *scores, *trust])
    return _csv(["start", "end"] if timeline else ["seconds"], classes, rows)


def rows_of(path: Path, found: Prediction | DataError, *, classes: Sequence[str]) -> list[dict[str, object]]:
    """Return a recording as the row of a table, in the columns of :func:`as_csv` and some more; also what went wrong.

    Args:
        classes: a column each
    """
    row = _row(path, found)
    if isinstance(found, Prediction):
        row |= {"seconds": found.seconds, "answer": found.answer, "set": _set_cell(found.stated_set, found.answer)}
        row |= {"prediction": found.best, "confidence": found.confidence, "reliable": found.reliable}
        row |= dict(zip(classes, found.scores.tolist(), strict=True))
    return [row]


def window_rows(path: Path, found: Prediction | DataError, *, classes: Sequence[str]) -> list[dict[str, object]]:
    """Return each window of a recording as the row of a table, as :func:`rows_of`."""
    row = _row(path, found)
    if isinstance(found, DataError):
        return [row]
    rows = []
    for window in found.windows:
        span = {"start": window.start, "end": window.end, "answer": found.said(window)}
        span["reliable"] = is_reliable(span["answer"], row["recording"])
        if window.scores is not None:
            best = int(window.scores.argmax())
            span |= {"prediction": classes[best], "confidence": float(window.scores[best])}
            span |= dict(zip(classes, window.scores.tolist(), strict=True))
        rows.append(row | span)
    return rows


def _row(path: Path, found: Prediction | DataError) -> dict[str, object]:
    row = {"file": printable(path), **dict.fromkeys(("answer", "set", "recording", "prediction", "notes", "error"), "")}
    row["reliable"] = False
    if isinstance(found, DataError):
        return row | {"error": printable(found)}
    reasons = found.readiness.reasons if found.readiness else ()
    verdict = found.readiness.verdict if found.readiness else ""
    return row | {"recording": verdict, "notes": "; ".join((*found.doubts, *reasons, *found.notes))}


def kept_as_csv(kept: Sequence[dict], classes: Sequence[str]) -> str:
    """Return what was said of recordings at the time, as :func:`as_data` told it, in the columns of :func:`as_csv`.

    Args:
        classes: of the model at hand; those of other models, whose recordings were kept too, follow
    """
    classes = list(dict.fromkeys([*classes, *(name for each in kept for name in each["probabilities"])]))
    rows = []
    for each in kept:
        shares = each["probabilities"]
        chosen = _set_cell(each["set"]["emotions"] if each["set"] else (), each["answer"])
        verdict = each["recording"]["verdict"] if each["recording"] else ""
        scores = [shares.get(name, "") for name in classes]
        rows.append(
            [
                each["file"],
                f"{each['seconds']:.3f}",
                each["answer"],
                chosen,
                verdict,
                *scores,
                *_trust(each["answer"], verdict, each["speaker_clips"]),
            ]
        )
    return _csv(["seconds"], classes, rows)


def _csv(times: Sequence[str], classes: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["file", *times, "answer", "set", "recording", *classes, "reliable", "speaker_clips"])
    for row in rows:
        writer.writerow([as_cell(each) if isinstance(each, str) else f"{each:.7g}" for each in row])
    return written.getvalue()


def kept_as_html(kept: Sequence[dict]) -> str:
    """Return what was said of recordings at the time as a page of its own, in the words of the page of the app."""

    def cell(*lines: str) -> str:
        return f"<td>{'<br>'.join(html.escape(line) for line in lines if line)}</td>"

    rows = []
    for each in kept:
        verdict, stated = each["recording"] or {"verdict": "", "reasons": []}, each["set"]
        shares = sorted(each["probabilities"].items(), key=lambda pair: -pair[1])
        kind = "" if each["reliable"] else ' class="unsure"'
        rows.append(
            f'<tr{kind}><th scope="row">{html.escape(each["file"])}</th>'
            + cell(clock(each["seconds"]))
            + cell(each["answer"], "" if each["reliable"] else UNRELIABLE, *each["not_sure_because"])
            + cell(verdict["verdict"], *verdict["reasons"], *each["notes"])
            + cell(f"{100 * stated['coverage']:g} %: {', '.join(stated['emotions'])}" if stated else "")
            + cell(*(f"{name} {100 * share:.0f} %" for name, share in shares))
            + cell(each["model"])
            + "</tr>"
        )
    names = (
        "Recording",
        "Length",
        "Answer",
        "Like those the model knows?",
        "One of, at coverage",
        "Probabilities",
        "Model",
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>sernb: kept recordings</title><style>'
        "body { font: 1rem/1.5 system-ui, sans-serif; } table { border-collapse: collapse; } "
        "th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; } "
        ".unsure td { color: #5c636b; }</style><main><h1>Kept recordings</h1>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></main></html>\n"
    )


def _trust(answer: str, verdict: str, clips: int) -> tuple[str, int]:
    return "yes" if is_reliable(answer, verdict) else "no", clips


def _set_cell(stated: Sequence[str], answer: str) -> str:
    return " ".join(stated) or ("" if answer == NOT_SURE else answer)  # no emotion where none was answered


def as_cell(text: str) -> str:
    """Return text as a cell of a CSV file: a spreadsheet takes what begins in some ways for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def stretches(prediction: Prediction) -> list[tuple[float, float, str]]:
    """Return what is said of stretches that follow each other without gap or overlap: start, end, text.

    Praat's tiers know no overlap: half-way between the middles of two windows one ends and the next begins.
    """
    windows: Sequence[Window] = prediction.windows or (Window(0.0, prediction.seconds, prediction.scores),)
    middles = [(window.start + window.end) / 2 for window in windows]
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(middles)), prediction.seconds]
    found: list[tuple[float, float, str]] = []
    for (start, end), window in zip(pairwise(edges), windows, strict=True):
        text = prediction.said(window)
        begun = found.pop()[0] if found and found[-1][2] == text else start
        found.append((begun, end, text))
    return found


def as_textgrid(prediction: Prediction) -> str:
    """Return the timeline as a Praat TextGrid, one interval tier, long format."""
    parts, end = stretches(prediction), f"{prediction.seconds:.6f}"
    rows = [
        'File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end}", "tiers? <exists>",
        "size = 1", "item []:", "    item [1]:", '        class = "IntervalTier"', f'        name = "{TIER}"',
        "        xmin = 0", f"        xmax = {end}", f"        intervals: size = {len(parts)}",
    ]  # fmt: skip
    for number, (start, stop, text) in enumerate(parts, start=1):
        rows += [
            f"        intervals [{number}]:",
            f"            xmin = {start:.6f}",
            f"            xmax = {stop:.6f}",
            f'            text = "{text}"',
        ]
    return "\n".join(rows) + "\n"


def as_labels(prediction: Prediction) -> str:
    """Return the timeline as an Audacity label track: start, end, text, with tabs."""
    return "".join(f"{start:.6f}\t{end:.6f}\t{text}\n" for start, end, text in stretches(prediction))


def write_timelines(predictions: Sequence[Prediction], folder: Path, form: str) -> list[Path]:
    """Write each timeline as a file named after its recording; of equal names the later ones get a number.

    Args:
        form: ``TextGrid`` or ``txt``, for Praat or Audacity

    Raises:
        DataError: if the folder cannot be written, or a file of this name there is none of ours, such as a transcript
    """
    from sernb.runtime.files import atomic

    written: list[Path] = []
    for each in predictions:
        names = (f"{each.path.stem}{f'-{number}' * (number > 1)}.{form}" for number in count(1))
        path = next(folder / name for name in names if folder / name not in written)
        if path.is_file() and not _is_timeline(path):
            raise DataError(f"{path}: is there already and is no timeline of sernb; name another folder")
        with atomic(path) as unfinished:
            unfinished.write_text(as_textgrid(each) if form == "TextGrid" else as_labels(each), "utf-8")
        written.append(path)
    return written


def _is_timeline(path: Path) -> bool:
    """Return whether a file begins as those of :func:`as_textgrid` and :func:`as_labels` do."""
    with path.open("rb") as file:
        begin = file.read(1000)
    return f'name = "{TIER}"'.encode() in begin or re.match(rb"0\.0{6}\t\d+\.\d{6}\t[^\t\n]+\n", begin) is not None
