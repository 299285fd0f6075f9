"""A report: the sequence of notebooks on one corpus, their pages, and the index with the results first."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from sernb.config import NOTEBOOKS, REPORTS, DataError
from sernb.corpora import Corpus
from sernb.experiment import Experiment, plan, prepare_for, read_runs, watched
from sernb.notebooks import NotebookFailed, parameters_of, run
from sernb.pages import Page, describe, neighbours, table_html, write_index
from sernb.pools import Pool, pool_named
from sernb.provenance import provenance
from sernb.results import caption, results_table
from sernb.splits import SIDE_BY_SIDE
from sernb.systems import SHOWN, system_named

TRAINING = "30_train"
NO_EVIDENCE = "The clips are synthetic: these pages show the machinery and are no evidence about emotion."


def sequence(corpora: Sequence[Corpus], *, studies: bool = False) -> list[Path]:
    """Return the notebooks of a report in reading order; one's own recordings have no preparation page.

    Args:
        studies: the studies of gender, noise, speakers and leaks, too, and for several corpora that of foreign ones
    """
    prepared = sorted(path.stem for corpus in corpora for path in NOTEBOOKS.glob(f"1?_prepare_{corpus.name}.ipynb"))
    foreign = ["41_test_foreign_corpus"] * (studies and len(corpora) > 1)
    studied = sorted(path.stem for path in NOTEBOOKS.glob("5?_study_*.ipynb")) if studies else []
    last = "60_compare_systems"
    names = ("00_start_here", *prepared, "19_explore_corpora", TRAINING, "40_test", *foreign, *studied, last)
    return [NOTEBOOKS / f"{name}.ipynb" for name in names]


def report(
    corpus: str = "demo",
    *,
    systems: Sequence[str] = SHOWN,
    profile: str = "quick",
    studies: bool = False,
    data: str = "",
    seed: int = 0,
    out: Path | None = None,
    announce=lambda line: None,
) -> Path:
    """Run every notebook of a report and write its index.

    Pages of notebooks that fail are written too, marked, and the index lists them; notebooks after a failed one run.

    Args:
        corpus: an expression, see :mod:`sernb.pools`
        studies: with the study pages, see :func:`sequence`
        announce: called with one line before and after each notebook

    Returns:
        the index page

    Raises:
        DataError: if a name is unknown or the recordings cannot be used
        NotebookFailed: the first failure, after everything else has run
    """
    import time

    record = pool_named(corpus, data)
    corpus = record.name  # which names a folder of one's own from wherever a notebook runs
    for name in systems:
        system_named(name)
    experiments = plan(systems, corpus, SIDE_BY_SIDE, profile=profile, seeds=[seed], data=data)
    prepare_for(experiments, data=data, progress=True)  # unusable recordings are said here, before any page
    out = Path(out) if out else REPORTS / record.folder
    sources = sequence([part.corpus for part in record.parts], studies=studies)
    pages = [describe(source, out / f"{source.stem}.html") for source in sources]
    index, title = out / "index.html", f"Speech emotion recognition on {record.title}"
    given = {"corpus": corpus, "systems": list(systems), "profile": profile, "data": data, "seed": seed}
    command = f"sernb report --corpus {corpus} --profile {profile} --systems {','.join(systems)} --seed {seed}"
    command += " --studies" * studies
    failures: list[NotebookFailed] = []
    for position, (source, page) in enumerate(zip(sources, pages, strict=True)):
        started = time.perf_counter()
        announce(f"[{position + 1}/{len(sources)}] {source.stem} …")
        known = parameters_of(source)
        values = {name: value for name, value in given.items() if name in known}
        # Nothing of what a notebook prints reaches the terminal; its trainings can be watched from here.
        training = watched(experiments) if source.stem == TRAINING else contextlib.nullcontext()
        try:
            with training:
                run(source, page.path, values, navigation=neighbours(pages, position, index, title))
        except NotebookFailed as failure:
            failures.append(failure)
            pages[position] = describe(source, page.path, failed=True)
            announce(f"      failed: {failure}")
        else:
            announce(f"      done in {time.perf_counter() - started:.0f} s")
    _write_index(index, title, record, experiments, pages, command, seed)
    if failures:
        raise failures[0]
    return index


def _write_index(
    index: Path,
    title: str,
    corpus: Pool,
    experiments: list[Experiment],
    pages: list[Page],
    command: str,
    seed: int,
) -> None:
    try:
        results = table_html(results_table(experiments), caption(experiments))
    except DataError:
        results = None  # a failed page says why
    lead = f"{corpus.about} Licence: {corpus.licence}. {corpus.citation}"
    if not corpus.evidence:
        lead = f"{NO_EVIDENCE} {lead}"
    made = provenance(seconds=0)
    seconds = sum(run_.provenance["seconds"] for run_ in read_runs(experiments)) if results else 0
    about = {
        "Command": command,
        "Commit": made["commit"],
        "Software": f"sernb {made['sernb']}, Python {made['python']}, "
        + ", ".join(f"{name} {number}" for name, number in made["packages"].items()),
        "Machine": made["machine"],
        "Trainings behind the table": f"{len(experiments)} runs, {seconds:.0f} s of one core",
        "Recordings": f"fingerprint {experiments[0].config['recordings']}, checked one by one against the published "
        "sha256" if corpus.evidence else f"fingerprint {experiments[0].config['recordings']}",
        "Seed": seed,
        "Finished": made["finished"],
    }  # fmt: skip
    write_index(index, title=title, lead=lead, results=results, pages=pages, provenance=about)
