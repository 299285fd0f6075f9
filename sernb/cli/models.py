"""Commands that train and export models."""

import sys

import click

from sernb.cli.option_values import as_file
from sernb.cli.options import POOL, command, jobs_option, option, profile_option

replace_option = option("--replace", is_flag=True, help="Replace an earlier result of this command in DIR.")


@command()
@click.argument("corpus", metavar="CORPUS", help=POOL)
@option("--system", required=True, metavar="S", help="For example functionals-ridge, embedding-functionals or sernet.")
@option("--to", "folder", required=True, type=as_file, metavar="DIR", help="Folder of the model, new or empty.")
@option("--foreign", default="", metavar="C", help="A further corpus for evaluation only.")
@profile_option(default="full")
@replace_option
@jobs_option
def train(corpus, system, folder, foreign, profile, replace, jobs) -> None:
    """Train a model on all clips of a corpus, with calibration, evaluation and model card.

    Use its folder with `sernb predict --model` and `sernb app --model`.
    """
    from sernb.prediction.make_model import make_model

    def announce(sentence: str) -> None:
        print(f"sernb: {sentence}", file=sys.stderr)

    options = {"foreign_name": foreign, "profile": profile, "replace": replace, "jobs": jobs, "announce": announce}
    metadata = make_model(system, corpus, folder, **options)
    scores = metadata["figures"].get("held-out speakers") or metadata["figures"]["held-out clips"]
    clips = "unseen speakers" if metadata["sets"] else "clips of the same speaker"
    print(f"model: {folder}: UAR {scores['UAR']} % ({clips}; chance level {scores['UAR floor']}), see its README.md")


@command()
@click.argument("model", metavar="MODEL", help="Folder of a model or of a run, or the word bundled.")
@option("--format", "form", type=click.Choice(["onnx", "litert"]), required=True, help="File format.")
@option("--to", "folder", required=True, type=as_file, metavar="DIR", help="Folder of the export, new or empty.")
@replace_option
def export(model, form, folder, replace) -> None:
    """Export a model for another runtime, with its features if possible and a test example."""
    from sernb.prediction.export import export_model
    from sernb.prediction.loading import load_model

    metadata = export_model(load_model(None if model == "bundled" else model), form, folder, replace=replace)
    file, inputs, difference = folder / metadata["file"], ", ".join(metadata["inputs"]), metadata["off_at_most"]
    size = file.stat().st_size / 1e6
    print(f"{file}: {size:.1f} MB, input {inputs}; probabilities differ by up to {difference:.1g}")
