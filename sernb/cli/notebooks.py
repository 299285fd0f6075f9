"""Commands that run notebooks."""

import sys

import click

from sernb.cli.option_values import as_absolute, as_file, as_names, as_seed
from sernb.cli.options import POOL, announce, command, data_option, option, profile_option
from sernb.config import NOTEBOOKS, REPORTS, DataError

out_option = option("--out", type=as_file, metavar="DIR", help="Folder of the pages (default: reports/<corpus>).")


@command()
@click.argument(
    "notebook", metavar="NOTEBOOK", type=as_file, help="A file, or the name of a notebook here, as 30_train."
)
@option(
    "-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter; separate list items by commas."
)
@out_option
def run(notebook, parameters, out) -> None:
    """Execute one notebook; write the executed notebook and an HTML page."""
    from sernb.corpora.pool import folder_name, parse_pool
    from sernb.reporting.execution import NotebookFailed, parse_parameters, read_parameters
    from sernb.reporting.execution import run as run_notebook
    from sernb.reporting.session import DEFAULTS, session_parameters

    source = notebook if notebook.is_file() else NOTEBOOKS / f"{notebook.name.removesuffix('.ipynb')}.ipynb"
    known = ", ".join(path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb")))
    if not source.is_file():
        raise DataError(f"{notebook}: no such notebook; known: {known}")
    try:
        defaults = read_parameters(source)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # nbformat may raise anything
        raise DataError(f"{source}: is not a readable notebook; known: {known}") from error
    try:
        values = parse_parameters(source, list(parameters))
    except ValueError as error:
        raise DataError(str(error)) from error
    # Given as parameters, so that the page says how to make it again.
    values |= {name: value for name, value in session_parameters(defaults).items() if not values.get(name)}
    if values.get("data"):
        values["data"] = as_absolute(str(values["data"]))
    if values.get("corpus"):  # makes the path of a local corpus absolute: notebooks run in their own folder
        values["corpus"] = parse_pool(str(values["corpus"]), values.get("data")).name
    corpus = values.get("corpus") or defaults.get("corpus") or DEFAULTS["corpus"]
    try:
        page = (out or REPORTS / folder_name(str(corpus))) / f"{source.stem}.html"
        print(run_notebook(source, page, values, progress="bar"))
    except NotebookFailed as failure:
        raise DataError(str(failure)) from failure


@command()
@option("--corpus", default="demo", metavar="C", help=POOL)
@data_option
@profile_option(default="quick")
@option("--systems", type=as_names, metavar="A,B", help="Systems (default: one per publication, and ours).")
@option("--development", is_flag=True, help="Add the selection of features, architecture and augmentation.")
@option("--studies", is_flag=True, help="Add the studies of gender, noise, speakers and leaks.")
@option("--seed", type=as_seed, default="0", metavar="N", help="Random seed.")
@out_option
def report(corpus, data, systems, **settings) -> None:
    """Run all notebooks on a corpus and write a report with an index page."""
    from sernb.encoders.fetching import hint
    from sernb.reporting.execution import NotebookFailed
    from sernb.reporting.report import report as make_report

    try:
        index = make_report(corpus, systems=systems or (), data=data or "", announce=announce, **settings)
    except NotebookFailed as failure:
        raise DataError(str(failure)) from failure
    print(f"report: {index}")
    if advice := hint():
        print(f"sernb: {advice}", file=sys.stderr)
