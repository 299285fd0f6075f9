"""Commands that make models, and bring them elsewhere."""

import sys

import click

from sernb.cli.option_values import as_file
from sernb.cli.options import POOL, command, jobs_option, option, profile_option

replace_option = option("--replace", is_flag=True, help="An earlier result of this command in DIR is replaced.")


@command()
@click.argument("corpus", metavar="CORPUS", help=POOL)
@option("--system", required=True, metavar="S", help="As functionals-ridge, embedding-functionals or sernet.")
@option("--to", "folder", required=True, type=as_file, metavar="DIR", help="Folder of the model, new or empty.")
@option("--foreign", default="", metavar="C", help="A corpus to measure on once more; nothing is chosen there.")
@profile_option(default="full")
@replace_option
@jobs_option
def train(corpus, system, folder, foreign, profile, replace, jobs) -> None:
    """Train a model on all clips of a corpus: calibrated, measured, with its card.

    The folder is then what `sernb predict --model` and `sernb app --model` read.
    """
    from sernb.prediction.make_model import make_model

    def announce(sentence: str) -> None:
        print(f"sernb: {sentence}", file=sys.stderr)

    options = {"foreign_name": foreign, "profile": profile, "replace": replace, "jobs": jobs, "announce": announce}
    about = make_model(system, corpus, folder, **options)
    scores = about["figures"].get("held-out speakers") or about["figures"]["held-out clips"]
    whom = "speakers that were not trained on" if about["sets"] else "clips of the same speaker"
    print(f"model: {folder}: UAR {scores['UAR']} % ({whom}; chance level {scores['UAR floor']}), see its README.md")


@command()
@click.argument("model", metavar="MODEL", help="Folder of a model or of a run, or the word bundled.")
@option("--format", "form", type=click.Choice(["onnx", "litert"]), required=True, help="Of the file.")
@option("--to", "folder", required=True, type=as_file, metavar="DIR", help="Folder of the export, new or empty.")
@replace_option
def export(model, form, folder, replace) -> None:
    """Write a model for another runtime, with features where these can be part of it, and a known answer."""
    from sernb.prediction.export import export_model
    from sernb.prediction.loading import load_model

    about = export_model(load_model(None if model == "bundled" else model), form, folder, replace=replace)
    size = (folder / about["file"]).stat().st_size
    reads = ", ".join(about["inputs"])
    off = about["off_at_most"]
    print(
        f"{folder / about['file']}: {size / 1e6:.1f} MB, reads {reads}; differs from the workbook by {off:.1g} at most"
    )
