"""Predictions → text, JSON, CSV, Praat TextGrid and Audacity labels."""

import csv
import html
import io
import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import count, pairwise
from pathlib import Path

import numpy as np

from sernb.audio.recordings import printable
from sernb.config import DataError, in_one_line
from sernb.prediction.domain_check import VERDICTS
from sernb.prediction.predict import COVERAGE, NO_SPEECH, NOT_SURE, Prediction, Window, is_reliable

TIER = "emotion"
LARGEST_TIMELINE = 2**24  # bytes
UNRELIABLE = "unreliable"
NUMBERS = {"seconds", "start", "end", "confidence", "speaker_clips"}  # numeric columns besides the class probabilities


def format_lines(prediction: Prediction, *, coverage: float = COVERAGE, timeline: bool = False) -> list[str]:
    """Return a prediction as lines of text."""
    top = ", ".join(f"{name} {100 * share:.0f} %" for name, share in prediction.top())
    path = in_one_line(printable(prediction.path))
    lines = [f"{path}  {format_clock(prediction.seconds)}  {prediction.answer}  ({top})"]
    if prediction.answer == NOT_SURE:
        lines.append(f"    not sure: {'; '.join(prediction.doubts)}")
    if prediction.prediction_set:
        lines.append(f"    one of, at {100 * coverage:g} % coverage: {', '.join(prediction.prediction_set)}")
    if prediction.agreement is not None:
        lines.append(f"    TTA views that agree: {100 * prediction.agreement:.0f} %")
    lines += [f"    note: {note}" for note in prediction.notes]
    if prediction.domain_check:
        lines.append(f"    recording: {prediction.domain_check.verdict}")
        lines += [f"        {reason}" for reason in prediction.domain_check.reasons]
    if not prediction.windows:
        return lines
    if len(prediction.windows) > 1:
        voiced = sum(window.has_voice for window in prediction.windows)
        lines.append(f"    windows with voice: {voiced} of {len(prediction.windows)}")
    for window in prediction.windows if timeline else ():
        share = "" if window.scores is None else f"  {100 * window.scores.max():.0f} %"
        lines.append(
            f"    {format_clock(window.start)} to {format_clock(window.end)}  {prediction.label_window(window)}{share}"
        )
    return lines


def summarise(results: Sequence[tuple[Path, Prediction | DataError]]) -> str:
    """Return one line with counts of answers, verdicts and failures over many recordings."""
    predictions = [each for _, each in results if isinstance(each, Prediction)]
    answers = Counter(each.answer for each in predictions)
    unsure = answers.pop(NOT_SURE, 0)
    counts = [f"{number} {name}" for name, number in answers.most_common()] + [f"{unsure} {NOT_SURE}"] * bool(unsure)
    verdicts = Counter(each.domain_check.verdict for each in predictions if each.domain_check)
    parts = [", ".join(counts), ", ".join(f"{verdicts[name]} {name}" for name in VERDICTS if verdicts[name])]
    if failed := len(results) - len(predictions):
        parts.append(f"{failed} not predicted, see above")
    return f"{len(results)} recordings: {'; '.join(filter(None, parts))}"


def format_clock(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours where there are any.

    Examples:
        >>> format_clock(3.7), format_clock(3725.2)
        ('0:03.7', '1:02:05.2')
    """
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def as_dict(prediction: Prediction, *, coverage: float = COVERAGE) -> dict[str, object]:
    """Return a prediction as a dictionary of JSON values."""
    domain, emotions = prediction.domain_check, prediction.prediction_set
    return {
        "file": printable(prediction.path),
        "seconds": round(prediction.seconds, 3),
        "model": prediction.model,
        "answer": prediction.answer,
        "not_sure_because": list(prediction.doubts),
        "reliable": prediction.reliable,
        "speaker_clips": prediction.speaker_clips,
        "probabilities": _probabilities(prediction, prediction.scores),
        "set": {"coverage": coverage, "emotions": list(emotions)} if emotions else None,
        "views_that_agree": prediction.agreement,
        "recording": domain
        and {"verdict": domain.verdict, "reasons": list(domain.reasons), "measures": domain.measures},
        "notes": list(prediction.notes),
        "windows": [
            {
                "start": round(window.start, 3),
                "end": round(window.end, 3),
                "says": prediction.label_window(window),
                "probabilities": None if window.scores is None else _probabilities(prediction, window.scores),
            }
            for window in prediction.windows
        ],
    }


def _probabilities(prediction: Prediction, scores: np.ndarray) -> dict[str, float]:
    return {name: round(float(share), 7) for name, share in zip(prediction.classes, scores, strict=True)}


def as_json(results: Sequence[tuple[Path, Prediction | DataError]], *, coverage: float = COVERAGE) -> str:
    """Return predictions and errors as JSON text."""
    entries = [
        {"file": printable(path), "error": printable(result)}
        if isinstance(result, DataError)
        else as_dict(result, coverage=coverage)
        for path, result in results
    ]
    return json.dumps(entries, indent=1)  # in ASCII: a terminal may be unable to show other characters


def as_csv(predictions: Sequence[Prediction], *, timeline: bool = False) -> str:
    """Return CSV text, a row per recording or, with ``timeline``, per window, which has no prediction set."""
    rows = []
    classes = predictions[0].classes if predictions else ()
    for prediction in predictions:
        name, verdict = printable(prediction.path), prediction.domain_check.verdict if prediction.domain_check else ""
        entries = [
            (
                [f"{prediction.seconds:.3f}"],
                [prediction.answer, _set_cell(prediction.prediction_set, prediction.answer)],
                prediction.scores,
            )
        ]
        if timeline:
            entries = [
                ([f"{window.start:.3f}", f"{window.end:.3f}"], [prediction.label_window(window)], window.scores)
                for window in prediction.windows
            ]
        for times, answer, scores in entries:
            values = [""] * len(classes) if scores is None else scores
            best = ["", ""] if scores is None else [classes[int(scores.argmax())], scores.max()]
            reliability = _reliability_cells(answer[0], verdict, prediction.speaker_clips)
            rows.append([name, *times, *answer, verdict, *best, *values, *reliability])
    return _write_csv(["start", "end", "answer"] if timeline else ["seconds", "answer", "set"], classes, rows)


def recording_rows(path: Path, result: Prediction | DataError, *, classes: Sequence[str]) -> list[dict[str, object]]:
    """Return the table row of a recording, with the columns of :func:`as_csv` and more.

    Args:
        path: of the recording
        result: its prediction, or the error that prevented one
        classes: one column each
    """
    row = _base_row(path, result) | {"set": ""}
    if isinstance(result, Prediction):
        row |= {
            "seconds": result.seconds,
            "answer": result.answer,
            "set": _set_cell(result.prediction_set, result.answer),
        }
        row |= {"prediction": result.best, "confidence": result.confidence, "reliable": result.reliable}
        row |= dict(zip(classes, result.scores.tolist(), strict=True))
    return [row]


def window_rows(path: Path, result: Prediction | DataError, *, classes: Sequence[str]) -> list[dict[str, object]]:
    """Return one table row per window of a recording, as :func:`recording_rows`."""
    row = _base_row(path, result)
    if isinstance(result, DataError):
        return [row]
    rows = []
    for window in result.windows:
        entry = {"start": window.start, "end": window.end, "answer": result.label_window(window)}
        entry["reliable"] = is_reliable(entry["answer"], row["recording"])
        if window.scores is not None:
            best = int(window.scores.argmax())
            entry |= {"prediction": classes[best], "confidence": float(window.scores[best])}
            entry |= dict(zip(classes, window.scores.tolist(), strict=True))
        rows.append(row | entry)
    return rows


def _base_row(path: Path, result: Prediction | DataError) -> dict[str, object]:
    row = {"file": printable(path), **dict.fromkeys(("answer", "recording", "prediction", "notes", "error"), "")}
    row["reliable"] = False
    if isinstance(result, DataError):
        return row | {"error": printable(result)}
    reasons = result.domain_check.reasons if result.domain_check else ()
    verdict = result.domain_check.verdict if result.domain_check else ""
    return row | {"recording": verdict, "notes": "; ".join((*result.doubts, *reasons, *result.notes))}


def archive_as_csv(entries: Sequence[dict], classes: Sequence[str]) -> str:
    """Return kept predictions as CSV text with the columns of :func:`as_csv`.

    Args:
        entries: of the archive, as :func:`as_dict` made them when the recordings were predicted
        classes: of the current model; further classes of the models that made the predictions follow
    """
    classes = list(dict.fromkeys([*classes, *(name for entry in entries for name in entry["probabilities"])]))
    rows = []
    for entry in entries:
        probabilities = entry["probabilities"]
        prediction_set = _set_cell(entry["set"]["emotions"] if entry["set"] else (), entry["answer"])
        verdict = entry["recording"]["verdict"] if entry["recording"] else ""
        best = max(probabilities, key=probabilities.get, default="")
        rows.append(
            [
                entry["file"],
                f"{entry['seconds']:.3f}",
                entry["answer"],
                prediction_set,
                verdict,
                best,
                probabilities.get(best, ""),
                *(probabilities.get(name, "") for name in classes),
                *_reliability_cells(entry["answer"], verdict, entry["speaker_clips"]),
            ]
        )
    return _write_csv(["seconds", "answer", "set"], classes, rows)


def _write_csv(first: Sequence[str], classes: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    about = ["recording", "prediction", "confidence"]
    writer.writerow(["file", *first, *about, *classes, "reliable", "speaker_clips"])
    for row in rows:
        writer.writerow([as_cell(value) if isinstance(value, str) else f"{value:.7g}" for value in row])
    return buffer.getvalue()


def archive_as_html(entries: Sequence[dict]) -> str:
    """Return kept predictions as a self-contained HTML page, worded like the page of the app."""

    def cell(*lines: str) -> str:
        return f"<td>{'<br>'.join(html.escape(line) for line in lines if line)}</td>"

    rows = []
    for entry in entries:
        domain, prediction_set = entry["recording"] or {"verdict": "", "reasons": []}, entry["set"]
        probabilities = sorted(entry["probabilities"].items(), key=lambda pair: -pair[1])
        style = "" if entry["reliable"] else ' class="unsure"'
        rows.append(
            f'<tr{style}><th scope="row">{html.escape(entry["file"])}</th>'
            + cell(format_clock(entry["seconds"]))
            + cell(entry["answer"], "" if entry["reliable"] else UNRELIABLE, *entry["not_sure_because"])
            + cell(domain["verdict"], *domain["reasons"], *entry["notes"])
            + cell(
                f"{100 * prediction_set['coverage']:g} %: {', '.join(prediction_set['emotions'])}"
                if prediction_set
                else ""
            )
            + cell(*(f"{name} {100 * share:.0f} %" for name, share in probabilities))
            + cell(entry["model"])
            + "</tr>"
        )
    columns = (
        "Recording",
        "Length",
        "Answer",
        "Domain check",
        "Prediction set, at coverage",
        "Probabilities",
        "Model",
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>sernb: kept recordings</title><style>'
        "body { font: 1rem/1.5 system-ui, sans-serif; } table { border-collapse: collapse; } "
        "th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; } "
        ".unsure td { color: #5c636b; }</style><main><h1>Kept recordings</h1>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></main></html>\n"
    )


def _reliability_cells(answer: str, verdict: str, clips: int) -> tuple[str, int]:
    return "yes" if is_reliable(answer, verdict) else "no", clips


def _set_cell(emotions: Sequence[str], answer: str) -> str:
    return " ".join(emotions) or ("" if answer == NOT_SURE else answer)  # no emotion if the answer is "not sure"


def as_cell(text: str) -> str:
    """Return text as a CSV cell; an apostrophe keeps spreadsheets from evaluating formulas."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def label_intervals(prediction: Prediction) -> list[tuple[float, float, str]]:
    """Return the labels of contiguous, non-overlapping intervals: start, end, text.

    Praat's interval tiers allow no overlap, so neighbouring windows meet halfway between their centres. Neighbouring
    intervals with the same label are merged.
    """
    windows: Sequence[Window] = prediction.windows or (Window(0.0, prediction.seconds, prediction.scores),)
    middles = [(window.start + window.end) / 2 for window in windows]
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(middles)), prediction.seconds]
    intervals: list[tuple[float, float, str]] = []
    for (start, end), window in zip(pairwise(edges), windows, strict=True):
        text = prediction.label_window(window)
        interval_start = intervals.pop()[0] if intervals and intervals[-1][2] == text else start
        intervals.append((interval_start, end, text))
    return intervals


def as_textgrid(prediction: Prediction) -> str:
    """Return the timeline as a Praat TextGrid in long format, with one interval tier."""
    intervals, end = label_intervals(prediction), f"{prediction.seconds:.6f}"
    lines = [
        'File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end}", "tiers? <exists>",
        "size = 1", "item []:", "    item [1]:", '        class = "IntervalTier"', f'        name = "{TIER}"',
        "        xmin = 0", f"        xmax = {end}", f"        intervals: size = {len(intervals)}",
    ]  # fmt: skip
    for number, (start, stop, text) in enumerate(intervals, start=1):
        lines += [
            f"        intervals [{number}]:",
            f"            xmin = {start:.6f}",
            f"            xmax = {stop:.6f}",
            f'            text = "{text}"',
        ]
    return "\n".join(lines) + "\n"


def as_labels(prediction: Prediction) -> str:
    """Return the timeline as an Audacity label track: start, end and text, separated by tabs."""
    return "".join(f"{start:.6f}\t{end:.6f}\t{text}\n" for start, end, text in label_intervals(prediction))


def write_timelines(predictions: Sequence[Prediction], folder: Path, form: str) -> list[Path]:
    """Write each timeline to a file named after its recording, numbered if names collide.

    Args:
        predictions: with timelines
        folder: created if missing
        form: ``TextGrid`` for Praat or ``txt`` for Audacity

    Returns:
        paths of the files

    Raises:
        DataError: if the folder is not writable, or has a file of that name that is not a timeline, as a transcript
    """
    from sernb.runtime.files import atomic

    written: list[Path] = []
    for prediction in predictions:
        names = (f"{prediction.path.stem}{f'-{number}' * (number > 1)}.{form}" for number in count(1))
        path = next(folder / name for name in names if folder / name not in written)
        if path.is_file() and not _is_timeline(path, {*prediction.classes, NOT_SURE, NO_SPEECH}):
            raise DataError(f"{path}: exists and is not a timeline of sernb; choose another folder")
        with atomic(path) as unfinished:
            unfinished.write_text(as_textgrid(prediction) if form == "TextGrid" else as_labels(prediction), "utf-8")
        written.append(path)
    return written


def _is_timeline(path: Path, labels: Collection[str]) -> bool:
    """Return whether a file is as :func:`as_textgrid` or :func:`as_labels` writes it, with these labels only."""
    with path.open("rb") as file:
        text = file.read(LARGEST_TIMELINE).decode("utf-8", "replace")
    if f'\n        name = "{TIER}"\n' in text:  # Praat itself ends its lines with a space
        found = re.findall(r'^            text = "(.*)"$', text, re.MULTILINE)
    else:
        lines = [re.fullmatch(r"\d+\.\d{6}\t\d+\.\d{6}\t(.+)", line) for line in text.splitlines()]
        found = [line and line[1] for line in lines]
    return bool(found) and set(found) <= set(labels)
