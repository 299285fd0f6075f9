"""Commands that apply a trained model to recordings."""

import sys
from pathlib import Path

import click

from sernb.cli.option_values import as_absolute, as_file, as_names, as_port, as_share, as_table
from sernb.cli.options import PROBLEMS, command, discard_output, json_option, option, say
from sernb.config import DataError, in_one_line

MODEL = "Folder of a model or of a run (default: the bundled model)."
model_option = option("--model", type=as_absolute, default="", metavar="DIR", help=MODEL)


@command()
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", help="Files, folders, or patterns as 'recordings/*.wav'."
)
@model_option
@option("--timeline", is_flag=True, help="Predict emotion over time, in overlapping windows.")
@option(
    "--views", is_flag=True, help="Average over quieter, slower and faster copies of short recordings; 4 times slower."
)
@option(
    "--coverage",
    type=as_share,
    default="0.9",
    metavar="SHARE",
    help="Coverage of the prediction sets: 0.8, 0.9 or 0.95.",
)
@option(
    "--speaker-clips",
    metavar="DIR",
    help="Unlabelled recordings of the same speaker, in several emotions, to adapt to.",
)
@option("--classes", type=as_names, metavar="A,B", help="Restrict the classes; without prediction sets.")
@json_option
@option("--csv", type=as_table, metavar="FILE", help="Write one row per recording, or window, to FILE.")
@option("--textgrid", type=as_file, metavar="DIR", help="Write timelines for Praat into DIR.")
@option("--labels", type=as_file, metavar="DIR", help="Write timelines for Audacity into DIR.")
def predict(
    files, model, timeline, views, coverage, speaker_clips, classes, as_json, csv, textgrid, labels
) -> int | None:
    """Predict the emotion in your recordings, with confidence and domain check.

    A recording that fails does not stop the others.
    """
    from sernb.audio.recordings import list_sources
    from sernb.prediction import formats
    from sernb.prediction.loading import load_model
    from sernb.prediction.predict import Prediction, adapt_to_speaker, predict_all
    from sernb.runtime.files import atomic_or_through

    sources = {source.path: source for source in list_sources(files)}.values()
    if model and _is_number_run(model):
        if timeline or views or speaker_clips or classes or textgrid or labels:
            raise DataError(f"{model}: predicts a number per recording; of the options, only --json and --csv apply")
        return _predict_numbers(sources, model, as_json=as_json, csv=csv)
    loaded = load_model(model)
    loaded.threshold(coverage)
    if classes:
        separate = [name for name in files if name in loaded.classes and not Path(name).exists()]
        if separate:  # the shell ends the value at a space
            raise click.UsageError(f"--classes needs commas between names: --classes {','.join([*classes, *separate])}")
        loaded = loaded.only(classes)
    adapted = adapt_to_speaker(loaded, speaker_clips) if speaker_clips else None
    if adapted:
        print(f"sernb: adapted to the speaker with {adapted[1]} clips", file=sys.stderr)
    windows = bool(timeline or textgrid or labels)

    def show(text: str) -> None:
        try:
            say(text)
        except BrokenPipeError:  # as in `sernb predict … --csv FILE | head -1`
            if not (csv or textgrid or labels):
                raise
            discard_output()

    results = []
    for path, result in predict_all(loaded, sources, timeline=windows, views=views, coverage=coverage, adapted=adapted):
        results.append((path, result))
        if isinstance(result, DataError):
            say(f"sernb: {in_one_line(result)}", file=sys.stderr)
        elif not as_json:
            show("\n".join(formats.format_lines(result, coverage=coverage, timeline=windows)))
    if as_json:
        show(formats.as_json(results, coverage=coverage))
    predictions = [result for _, result in results if isinstance(result, Prediction)]
    if len(results) > 1 and not as_json:
        show(formats.summarise(results))
    if predictions and not as_json:
        show(loaded.introduction)
    if csv:
        with atomic_or_through(csv) as unfinished:
            unfinished.write_text(formats.as_csv(predictions, timeline=timeline), "utf-8", "backslashreplace")
    for folder, suffix in ((textgrid, "TextGrid"), (labels, "txt")):
        if folder:
            formats.write_timelines(predictions, folder, suffix)
    return None if len(predictions) == len(results) else PROBLEMS


def _is_number_run(folder: str) -> bool:
    if not (Path(folder) / "config.json").is_file():
        return False
    from sernb.prediction.number_run import is_number_run

    return is_number_run(folder)


def _predict_numbers(sources, model, *, as_json, csv) -> int | None:
    from sernb.prediction import number_run
    from sernb.runtime.files import atomic_or_through

    results = []
    for path, result in number_run.predict_numbers(number_run.load_number_run(Path(model)), sources):
        results.append((path, result))
        if isinstance(result, DataError):
            say(f"sernb: {in_one_line(result)}", file=sys.stderr)
        elif not as_json:
            say("\n".join(number_run.format_lines(result)))
    if as_json:
        say(number_run.as_json(results))
    predictions = [result for _, result in results if not isinstance(result, DataError)]
    if csv:
        with atomic_or_through(csv) as unfinished:
            unfinished.write_text(number_run.as_csv(predictions), "utf-8", "backslashreplace")
    return None if len(predictions) == len(results) else PROBLEMS


@command()
@model_option
@option("--port", type=as_port, default="8765", metavar="N", help="Port; 0: any free port.")
@option("--keep", type=as_file, default="~/sernb-recordings", metavar="DIR", help="Folder for kept recordings.")
def app(model, port, keep) -> None:
    """Serve a local web page to record or upload speech; no data leaves this computer."""
    from sernb.prediction.app import serve
    from sernb.prediction.loading import load_model

    serve(load_model(model), keep.absolute(), port, announce=say)
