"""Commands that train and test systems, reproduce committed results, and show progress."""

import json
import sys

import click

from sernb.cli.option_values import as_points, as_seed, as_table
from sernb.cli.options import PROBLEMS, command, data_option, jobs_option, json_option, option, plan_options, say
from sernb.config import DataError, work_folder

COLUMNS = ("System", "Protocol", "Options", "Seed", "UAR", "UAR floor", "WAR", "Top-3", "Clips", "Speakers", "Folds")


@command()
@plan_options(required=True)
@option("--csv", type=as_table, metavar="FILE", help="Write the results table with provenance to FILE.")
@option("--latex", type=as_table, metavar="FILE", help="Write the printed table and its caption to FILE, for LaTeX.")
@option("--emotions", is_flag=True, help="Also turn predicted numbers into emotions, and show what this loses.")
@option("--dirty", is_flag=True, help="Allow uncommitted code; its rows are marked.")
@jobs_option
@option("--cluster", metavar="ADDRESS", help="Dask scheduler that executes the runs, as tcp://127.0.0.1:8786.")
def experiment(csv, latex, emotions, dirty, jobs, cluster, **chosen) -> None:
    """Train and test systems; finished runs are not repeated."""
    from sernb.results.emotions_from_numbers import emotions_caption, emotions_table
    from sernb.results.latex import latex_table
    from sernb.results.numbers import numbers_caption, numbers_table
    from sernb.results.tables import caption, made_table, results_table, seeds_table
    from sernb.runs.planning import OPTIONS
    from sernb.runs.runner import run_many
    from sernb.runtime.files import atomic_or_through
    from sernb.runtime.provenance import UNCOMMITTED_CODE, refuse_uncommitted
    from sernb.studies.dimensions import plan_classifiers

    if (csv or latex) and not dirty:
        refuse_uncommitted()
    experiments = _plan(**chosen)
    for sentence in experiments.left_out:
        print(f"sernb: skipped: {sentence}", file=sys.stderr)
    numeric = experiments[0].labels.numeric
    if emotions and not numeric:
        raise DataError("--emotions turns predicted numbers into emotions; name them, as in --target arousal,valence")
    classifiers = plan_classifiers(experiments, **chosen) if emotions else []
    run_many([*experiments, *classifiers], jobs=jobs, cluster=cluster, data=chosen["data"])
    table = (numbers_table if numeric else results_table)(experiments)
    columns = tuple(table) if numeric else (*COLUMNS[:4], UNCOMMITTED_CODE, *COLUMNS[4:])
    if csv:
        provenance = made_table(experiments, dirty=dirty)
        with atomic_or_through(csv) as unfinished:
            options = {f"--{name.replace('_', '-')}": chosen[name] for name in OPTIONS}
            options = {name: value for name, value in options.items() if value not in (None, "", "natural")}
            table = table.assign(Corpus=chosen["corpus"], **options, **provenance)
            table.drop(columns=UNCOMMITTED_CODE, errors="ignore").to_csv(unfinished, index=False)
    caption_text = (numbers_caption if numeric else caption)(experiments)
    tables = [table[[column for column in columns if column in table]]]
    tables += [seeds_table(experiments)] if len(chosen["seeds"]) > 1 and not numeric else []
    if latex:
        with atomic_or_through(latex) as unfinished:
            full_caption = f"{experiments[0].corpus.title}. {caption_text}"
            provenance = [
                latex_table(shown_table, full_caption, label=label)
                for shown_table, label in zip(tables, ("results", "seeds"), strict=False)
            ]
            unfinished.write_text("% needs \\usepackage{booktabs}\n" + "\n".join(provenance), encoding="utf-8")
    for shown_table in tables:
        print(shown_table.to_string(index=False))
    print(caption_text)
    if emotions:
        compared = emotions_table(experiments, classifiers)
        print(f"\n{compared.to_string(index=False)}\n{emotions_caption(compared)}")


@command()
@click.argument("system", metavar="SYSTEM", help="System of a row in reports/reference.")
@click.argument("protocol", metavar="PROTOCOL", help="Protocol of the row.")
@option("--corpus", default="ravdess", metavar="C", help="Corpus of the row.")
@option("--seed", type=as_seed, default="0", metavar="N", help="Seed of the row.")
@option(
    "--tolerance", type=as_points, metavar="POINTS", help="Allowed difference (default: 0.5; with another backend 1)."
)
@jobs_option
@data_option
def verify(system, protocol, corpus, seed, tolerance, jobs, data) -> int | None:
    """Reproduce a committed result from the recordings, and compare."""
    from sernb.results.reproduce import find_row, format_command, reproduce, tolerance_for

    row = find_row(system, protocol, corpus, seed)
    say(f"reproducing {row.System} {row.Protocol} on {row.Corpus}, folds {row.Folds}: `{format_command(row)}`")
    usual, note = tolerance_for(row)
    if note:
        say(note)
    allowed = usual if tolerance is None else tolerance
    scores = reproduce(row, jobs=jobs, data=data)
    for each in scores:
        print(f"{each.name}: {each.committed:g} committed, {each.again:g} reproduced, difference {each.difference:+g}")
    missed = ", ".join(each.name for each in scores if abs(each.difference) > allowed)
    print(f"within {allowed:g} points: {f'differ by more: {missed}' if missed else 'all agree'}")
    return PROBLEMS if missed else None


@command()
@plan_options(required=False)
@json_option
def status(as_json, **chosen) -> None:
    """Show the finished, running, failed and remaining runs of an experiment, or of all."""
    from sernb.runs.status import find_runs, format_progress, read_progress, summarise

    selectors = [chosen[name] for name in ("systems", "corpus", "protocol")]
    if any(selectors) and not all(selectors):
        raise DataError("status needs --systems, --corpus and --protocol together, or none of them, for all runs")
    work = work_folder()
    runs = [each.folder for each in _plan(**chosen)] if all(selectors) else find_runs(work)
    progress = [read_progress(run, work) for run in runs]
    print(json.dumps(summarise(progress), indent=1) if as_json else "\n".join(format_progress(progress)))


def _plan(systems, encoder, corpus, protocol, **options):
    from sernb.runs.planning import plan

    return plan([f"{name}@{encoder}" if encoder else name for name in systems], corpus, protocol, **options)
