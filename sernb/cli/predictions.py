"""Commands that use a trained model on recordings."""

import sys
from pathlib import Path

import click

from sernb.cli.option_values import as_absolute, as_file, as_names, as_port, as_share, as_table
from sernb.cli.options import PROBLEMS, command, json_option, option, print_into_nothing, say
from sernb.config import DataError, in_one_line

MODEL = "Folder of a model or of a run (default: the bundled model)."
model_option = option("--model", type=as_absolute, default="", metavar="DIR", help=MODEL)


@command()
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", help="Files, folders, or patterns as 'takes/*.wav'."
)
@model_option
@option("--timeline", is_flag=True, help="Emotion over time, in windows that overlap.")
@option(
    "--views", is_flag=True, help="Use quieter, slower and faster copies of short recordings too: 4 times the work."
)
@option("--coverage", type=as_share, default="0.9", metavar="SHARE", help="Of the sets of emotions: 0.8, 0.9 or 0.95.")
@option("--speaker-clips", metavar="DIR", help="Recordings of the same voice, emotions unknown: adapt to it.")
@option("--classes", type=as_names, metavar="A,B", help="Choose among these only; no sets then.")
@json_option
@option("--csv", type=as_table, metavar="FILE", help="Write a row for each recording, or window, to FILE.")
@option("--textgrid", type=as_file, metavar="DIR", help="Write timelines for Praat into DIR.")
@option("--labels", type=as_file, metavar="DIR", help="Write timelines for Audacity into DIR.")
def predict(
    files, model, timeline, views, coverage, speaker_clips, classes, as_json, csv, textgrid, labels
) -> int | None:
    """Predict the emotion in your recordings with a trained model, and how sure it is.

    What is wrong with one recording does not keep the others from being predicted.
    """
    from sernb.audio.recordings import list_sources
    from sernb.prediction import formats
    from sernb.prediction.loading import load_model
    from sernb.prediction.predict import Prediction, adapt_to_speaker, predict_all
    from sernb.runtime.files import atomic_or_through

    sources = {each.path: each for each in list_sources(files)}.values()
    if model and _is_number_run(model):
        if timeline or views or speaker_clips or classes or textgrid or labels:
            raise DataError(f"{model}: predicts a number of each recording; leave out all options but --json and --csv")
        return _predict_numbers(sources, model, as_json=as_json, csv=csv)
    loaded = load_model(model)
    loaded.threshold(coverage)
    loaded = loaded.only(classes) if classes else loaded
    voice = adapt_to_speaker(loaded, speaker_clips) if speaker_clips else None
    if voice:
        print(f"sernb: adapted to the voice of {voice[1]} clips", file=sys.stderr)
    windows = bool(timeline or textgrid or labels)

    def show(text: str) -> None:
        try:
            say(text)
        except BrokenPipeError:  # as in `sernb predict … --csv FILE | head -1`
            if not (csv or textgrid or labels):
                raise
            print_into_nothing()

    found = []
    for path, each in predict_all(loaded, sources, timeline=windows, views=views, coverage=coverage, voice=voice):
        found.append((path, each))
        if isinstance(each, DataError):
            say(f"sernb: {in_one_line(each)}", file=sys.stderr)
        elif not as_json:
            show("\n".join(formats.lines(each, coverage=coverage, timeline=windows)))
    if as_json:
        show(formats.as_json(found, coverage=coverage))
    predictions = [each for _, each in found if isinstance(each, Prediction)]
    if len(found) > 1 and not as_json:
        show(formats.summarise(found))
    if predictions and not as_json:
        show(loaded.introduction)
    if csv:
        with atomic_or_through(csv) as unfinished:
            unfinished.write_text(formats.as_csv(predictions, timeline=timeline), "utf-8", "backslashreplace")
    for folder, form in ((textgrid, "TextGrid"), (labels, "txt")):
        if folder:
            formats.write_timelines(predictions, folder, form)
    return None if len(predictions) == len(found) else PROBLEMS


def _is_number_run(folder: str) -> bool:
    if not (Path(folder) / "config.json").is_file():
        return False
    from sernb.prediction.number_run import is_number_run

    return is_number_run(folder)


def _predict_numbers(sources, model, *, as_json, csv) -> int | None:
    from sernb.prediction import number_run
    from sernb.runtime.files import atomic_or_through

    found = []
    for path, each in number_run.predict_numbers(number_run.load_number_run(Path(model)), sources):
        found.append((path, each))
        if isinstance(each, DataError):
            say(f"sernb: {in_one_line(each)}", file=sys.stderr)
        elif not as_json:
            say("\n".join(number_run.as_lines(each)))
    if as_json:
        say(number_run.as_json(found))
    predictions = [each for _, each in found if not isinstance(each, DataError)]
    if csv:
        with atomic_or_through(csv) as unfinished:
            unfinished.write_text(number_run.as_csv(predictions), "utf-8", "backslashreplace")
    return None if len(predictions) == len(found) else PROBLEMS


@command()
@model_option
@option("--port", type=as_port, default="8765", metavar="N", help="0: any that is free.")
@option("--keep", type=as_file, default="~/sernb-recordings", metavar="DIR", help="For recordings that you keep.")
def app(model, port, keep) -> None:
    """Open a page on this computer: record or upload a voice; nothing leaves the computer."""
    from sernb.prediction.app import serve
    from sernb.prediction.loading import load_model

    serve(load_model(model), keep.absolute(), port, announce=say)
