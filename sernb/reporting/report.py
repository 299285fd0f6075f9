"""Reports: the sequence of notebooks on a corpus, their pages, and the index with the results first."""

import contextlib
import dataclasses
import itertools
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sernb import figures
from sernb.config import NOTEBOOKS, REPORTS, DataError, Infeasible
from sernb.corpora.pool import Pool, parse_pool
from sernb.corpora.record import Corpus
from sernb.encoders.registry import DEFAULT, ENCODERS
from sernb.protocols.protocol import COMPARED
from sernb.reporting.execution import FAILED, NotebookFailed, read_parameters, run
from sernb.reporting.html import Navigation, link
from sernb.reporting.index import (
    Page,
    describe,
    has_changed,
    link_neighbours,
    summarise_page,
    write_index,
    write_overview,
)
from sernb.reporting.page import encode_png
from sernb.reporting.processes import begin, outcomes
from sernb.reporting.tables import table_html
from sernb.results.result import collect_results
from sernb.results.summary import describe_best, summary_caption, summary_table
from sernb.results.tables import comparison_table
from sernb.runs.experiment import Plan
from sernb.runs.monitor import watch
from sernb.runs.planning import default_systems, plan_report
from sernb.runs.runner import prepare_for, read_runs
from sernb.runs.split_audit import refuse_leaks_of
from sernb.runtime.files import atomic
from sernb.runtime.provenance import provenance
from sernb.systems.registry import get_system

TRAINING = "30_train"
SUMMARY = "report.json"  # the entry of a report in the overview of all reports
BEFORE, DURING, AFTER = range(3)
AT_ONCE = min(2, os.cpu_count() or 1)  # parallel pages; each may train on all cores
NO_EVIDENCE = "The clips are synthetic: these pages show the machinery and are no evidence about emotion."


def sequence(corpora: Sequence[Corpus], *, development: bool = False, studies: bool = False) -> list[Path]:
    """Return the notebooks of a report in reading order; your own recordings have no preparation page.

    Args:
        development: include model development: features, architecture, augmentation
        studies: include the studies of gender, noise, speakers and leaks, and for several corpora cross-corpus tests
    """
    prepared = sorted(path.stem for corpus in corpora for path in NOTEBOOKS.glob(f"1?_prepare_{corpus.name}.ipynb"))
    developed = sorted(path.stem for path in NOTEBOOKS.glob("2?_develop_*.ipynb")) if development else []
    if not ENCODERS[DEFAULT].path.is_file():  # the page on encoders needs the weights
        developed = [name for name in developed if name != "24_develop_encoders"]
    foreign = ["41_test_foreign_corpus"] * (studies and len(corpora) > 1)
    studied = sorted(path.stem for path in NOTEBOOKS.glob("5?_study_*.ipynb")) if studies else []
    last = "60_compare_systems"
    first = ("00_start_here", *prepared, "19_explore_corpora", *developed)
    names = (*first, TRAINING, "40_test", *foreign, *studied, last)
    return [NOTEBOOKS / f"{name}.ipynb" for name in names]


def report(
    corpus: str = "demo",
    *,
    systems: Sequence[str] = (),
    profile: str = "quick",
    development: bool = False,
    studies: bool = False,
    data: str = "",
    seed: int = 0,
    out: Path | None = None,
    announce=lambda line: None,
) -> Path:
    """Run every notebook of a report and write its index.

    Pages of failed notebooks are also written, and marked in the index; the notebooks after them still run.

    Args:
        corpus: an expression, see :mod:`sernb.corpora.pool`
        systems: names; empty: :func:`sernb.runs.planning.default_systems`
        development: include the pages of model development, see :func:`sequence`
        studies: include the study pages
        announce: called with a line before and after each notebook

    Returns:
        the index page

    Raises:
        DataError: if a name is unknown or the recordings cannot be used
        NotebookFailed: the first failure, after all other notebooks have run
    """
    record = parse_pool(corpus, data)
    systems = systems or default_systems(record, profile)
    corpus = record.name  # valid from any working directory, even for a folder of your own
    for name in systems:
        get_system(name)
    begin()
    try:
        experiments = plan_report(systems, corpus, profile=profile, seeds=[seed], data=data)
    except Infeasible as error:  # nothing can be trained: the pages give the reason, and show the rest
        experiments = Plan()
        experiments.left_out = error.args
    prepare_for(experiments, data=data, progress=True)  # unusable recordings raise an error here, before any page
    refuse_leaks_of(experiments)
    out = Path(out) if out else REPORTS / record.folder
    sources = sequence([part.corpus for part in record.parts], development=development, studies=studies)
    pages = [describe(source, out / f"{source.stem}.html") for source in sources]
    index, title = out / "index.html", f"Speech emotion recognition on {record.title}"
    # With the protocols of the index, and not those of the session.
    given = {"corpus": corpus, "systems": list(systems), "protocols": list(COMPARED), "profile": profile}
    given |= {"data": data, "seed": seed}
    command = f"sernb report --corpus {corpus} --profile {profile} --systems {','.join(systems)} --seed {seed}"
    command += " --development" * development + " --studies" * studies
    tasks = []
    for position, source in enumerate(sources):
        known = read_parameters(source)
        values = {name: value for name, value in given.items() if name in known}
        tasks.append(
            _Task(position, source, pages[position].path, values, link_neighbours(pages, position, index, title))
        )
    failures: list[NotebookFailed] = []
    for stage, group in itertools.groupby(tasks, key=_stage):
        # The output of notebooks does not reach the terminal, so the progress of trainings is shown from here.
        with watch(experiments) if stage == DURING else contextlib.nullcontext():
            for task, outcome in outcomes(
                _make,
                group,
                at_once=AT_ONCE,
                started=lambda task: announce(f"[{task.position + 1}/{len(tasks)}] {task.source.stem} …"),
            ):
                if isinstance(outcome, ChildProcessError):
                    outcome = NotebookFailed(task.page, "", "the process died", str(outcome))
                if isinstance(outcome, NotebookFailed):
                    failures.append(outcome)
                    pages[task.position] = dataclasses.replace(pages[task.position], failed=True, path=outcome.page)
                    announce(f"      failed: {outcome}")
                elif isinstance(outcome, Exception):
                    raise outcome
                else:
                    announce(f"      {task.source.stem}: done in {outcome:.0f} s")
    pages = [summarise_page(page, source) for page, source in zip(pages, sources, strict=True)]
    above = (
        Navigation((link(out.parent / "index.html", index), "All reports")) if out.resolve().parent == REPORTS else None
    )
    _write_index(index, title, record, experiments, pages, command, seed, above)
    if above:
        write_overview(out.parent / "index.html", reports_in(out.parent))
    if failures:
        raise min(failures, key=lambda failure: failure.page)
    return index


@dataclass(frozen=True)
class _Task:
    position: int  # in the report
    source: Path
    page: Path
    parameters: dict[str, object]
    navigation: Navigation


def _stage(task: _Task) -> int:
    """Return the stage of a page; pages of one stage are independent, and those after training read its runs."""
    name = task.source.stem
    return DURING if name == TRAINING else BEFORE if name < TRAINING else AFTER


def _make(task: _Task) -> float:
    """Make a page, in its own process; return the duration in seconds."""
    started = time.perf_counter()
    # Pages of the same stage share the terminal; training shows a bar of its own.
    progress = "" if _stage(task) == DURING else "lines"
    run(task.source, task.page, task.parameters, navigation=task.navigation, progress=progress)
    return time.perf_counter() - started


def _write_index(
    index: Path,
    title: str,
    corpus: Pool,
    experiments: Plan,
    pages: list[Page],
    command: str,
    seed: int,
    above: Navigation | None,
) -> None:
    table = figure = None
    lead = "".join(f"Left out: {sentence}. " for sentence in experiments.left_out)
    finding = ""
    with contextlib.suppress(DataError):  # a failed page shows the reason
        results = collect_results(experiments)
        lead = finding = describe_best(results)
        table = table_html(summary_table(results), summary_caption(results))
        drawing = figures.comparison(comparison_table(experiments), f"UAR with 95 % intervals, {corpus.title}")
        figure = encode_png(drawing.figure), drawing.alt
    if not corpus.evidence:
        lead = f"{lead} {NO_EVIDENCE}".strip()
    made = provenance(seconds=0)
    seconds = sum(run_.provenance["seconds"] for run_ in read_runs(experiments)) if table else 0
    about = {
        "Corpus": corpus.about,
        "Citation": corpus.citation,
        "Licence": corpus.licence,
        "Command": command,
        "Commit": made["commit"],
        "Software": f"sernb {made['sernb']}, Python {made['python']}, "
        + ", ".join(f"{name} {number}" for name, number in made["packages"].items()),
        "Machine": made["machine"],
        "Trainings behind the table": f"{len(experiments)} runs, {seconds:.0f} s of one core",
        "Recordings": f"fingerprint {corpus.recordings}, checked one by one against the published "
        "sha256" if corpus.evidence else f"fingerprint {corpus.recordings}",
        "Seed": seed,
        "Finished": made["finished"],
    }  # fmt: skip
    given = {"results": table, "figure": figure, "pages": pages, "provenance": about, "navigation": above}
    write_index(index, title=title, lead=lead, **given)
    summary = {"title": title, "headline": finding, "made": f"{made['finished']}: {command}"}
    listed = [
        {"path": page.path.name, "title": page.title, "question": page.question, "failed": page.failed}
        for page in pages
    ]  # fmt: skip
    with atomic(index.with_name(SUMMARY)) as unfinished:
        unfinished.write_text(json.dumps(summary | {"pages": listed}, indent=1, ensure_ascii=False), encoding="utf-8")


def reports_in(folder: Path) -> list[dict]:
    """Return the entries of the reports in a folder for `write_overview`, latest first."""
    reports = []
    for summary in folder.glob(f"*/{SUMMARY}"):
        try:
            entry = json.loads(summary.read_text(encoding="utf-8"))
        except ValueError:  # of another version, or damaged: the report's own index still exists
            continue
        paths = [summary.with_name(page["path"]) for page in entry["pages"]]
        pages = [
            Page(
                **{**page, "path": path}, stale=has_changed(path, NOTEBOOKS / f"{path.stem.removesuffix(FAILED)}.ipynb")
            )
            for page, path in zip(entry["pages"], paths, strict=True)
        ]
        reports.append({**entry, "index": summary.with_name("index.html"), "pages": pages})
    return sorted(reports, key=lambda entry: entry["made"], reverse=True)
