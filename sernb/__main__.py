"""The ``sernb`` command. Everything heavy is imported by the subcommand that needs it: ``--help`` stays instant."""

import argparse
import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sernb import __version__
from sernb.cli.option_values import (
    as_absolute,
    as_count,
    as_file,
    as_folder,
    as_jobs,
    as_names,
    as_numbers,
    as_points,
    as_port,
    as_seed,
    as_seeds,
    as_share,
)
from sernb.config import NOTEBOOKS, PROFILES, ROOT, DataError, fault_line
from sernb.runtime.environment import find_home

if TYPE_CHECKING:
    from sernb.runs.experiment import Plan

DONE, PROBLEMS, USAGE = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; return 0: done, 1: the input or the data has problems, 2: wrong usage."""
    _let_any_letter_be_printed()
    try:
        try:
            for name in ("SERNB_DATA", "SERNB_ENCODERS", "SERNB_WORK"):  # notebooks run in their own folder
                if os.environ.get(name):
                    os.environ[name] = as_absolute(os.environ[name])
            find_home()
            options = _parser().parse_args(arguments)
            if options.command not in (corpora, encoders, audit, predict, app) and not NOTEBOOKS.is_dir():
                raise DataError("the notebooks of the workbook are not here: give this command in its checkout")
            return options.command(options)
        finally:
            sys.stdout.flush()  # here, where it can still be caught that nobody reads
    except DataError as error:
        for line in error.args:
            print(f"sernb: {line}", file=sys.stderr)
        return PROBLEMS
    except KeyboardInterrupt:
        print("\nsernb: stopped; what is finished stays, the same command goes on from there", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone, as in `sernb corpora | head -1`
        _print_into_nothing()
        return DONE
    except MemoryError:
        advice = "close other programs, or take fewer processes (--jobs 1) or clips; what is finished stays"
        print(f"sernb: memory ran out: {advice}", file=sys.stderr)
        return PROBLEMS
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        print(f"sernb: {named}{error.strerror or error}{_next_step(error)}", file=sys.stderr)
        return PROBLEMS
    except Exception as error:  # a fault of ours: `python -X dev -m sernb …` shows where it comes from
        if sys.flags.dev_mode:
            raise
        print(f"sernb: {fault_line(error)}: this is a fault of sernb; please report it with this line", file=sys.stderr)
        return PROBLEMS


def _print_into_nothing() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _let_any_letter_be_printed() -> None:
    """Print what a terminal cannot show as an escape; where there is no terminal and no file, print into nothing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the whole process
        elif stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _next_step(error: OSError) -> str:
    if error.errno == errno.ENOMEM:
        return "; close other programs, or take fewer processes (--jobs 1)"
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or "temporary directory" in str(error):
        place = "" if error.filename else f" in {os.environ.get('TMPDIR', 'the folder for temporary files')}"
        return f"{place}; free space, or name another folder in TMPDIR, then give the same command again"
    return ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sernb", description="A research workbook for speech emotion recognition.")
    parser.add_argument("--version", action="version", version=f"sernb {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, action, about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        sub.set_defaults(command=action)
        return sub

    data = "folder with the recordings (default: $SERNB_DATA, else data/raw)"
    pool = "a corpus, several as in ravdess+tess, or some clips as in ravdess:gender=female and tess:available"

    command("corpora", corpora, "list the corpora: what is on disk, licence, where to get them")

    command("encoders", encoders, "list pretrained speech encoders: what is known of them, what is on disk")

    sub = command("fetch", fetch, "download a corpus or an encoder from its publishers, or say how to ask for it")
    sub.add_argument("corpus", metavar="NAME", help="a corpus, or an encoder such as whisper-tiny.en")
    sub.add_argument("--into", type=as_absolute, metavar="DIR",
                     help="folder of the files (default: in $SERNB_DATA or $SERNB_ENCODERS, else data)")  # fmt: skip
    sub.add_argument("--url", default="", metavar="URL", help="another address of the archive or folder of files")

    sub = command("check", check, "compare every file of a corpus with the published checksums")
    sub.add_argument("corpus", metavar="CORPUS")
    sub.add_argument("--data", type=as_absolute, metavar="DIR", help=data)
    sub.add_argument("--json", action="store_true", help="print the findings as JSON")

    sub = command("audit", audit, "look for leaks in a split that anybody made, given as a CSV file")
    sub.add_argument("split", metavar="SPLIT.csv", type=as_file,
                     help="one row a clip: clip or path, part or fold; if known also speaker, emotion, intensity, "
                     "sentence, take, origin, segment, sha256, statistics")  # fmt: skip
    sub.add_argument("--corpus", metavar="C", help="fill what the file leaves open from the index of this corpus")
    sub.add_argument("--data", type=as_absolute, metavar="DIR",
                     help="folder of the recordings, to compare sound (default: the folder of SPLIT.csv)")  # fmt: skip
    sub.add_argument("--allow-speakers", action="store_true",
                     help="speakers are shared on purpose: count them and their other takes as notes")  # fmt: skip
    sub.add_argument("--json", action="store_true", help="print the findings as JSON")

    sub = command("prepare", prepare, "compute and cache the features of a corpus")
    sub.add_argument("corpus", metavar="CORPUS", help=pool)
    sub.add_argument("--data", type=as_absolute, metavar="DIR", help=data)
    sub.add_argument("--system", metavar="S", help="features of this system, all its views (default: log-mel)")
    sub.add_argument("--features", metavar="ENCODER", help="embeddings by a pretrained encoder, see `sernb encoders`")
    sub.add_argument("--layers", default="all", metavar="L", help="of the encoder: all (default), one as 2, 1-3")
    sub.add_argument("--pooling", default="mean+std", metavar="P", help="mean, mean+std (default) or frames")
    sub.add_argument("--csv", type=as_file, metavar="FILE",
                     help="write the features of the recordings, one row a clip; FILE.gz is compressed")  # fmt: skip
    sub.add_argument("--table", type=as_file, metavar="FILE",
                     help="write them for other tools, as the name ends: .npz, .csv, .csv.gz or .parquet")  # fmt: skip

    sub = command("run", run, "run one notebook without a screen: executed notebook and HTML page")
    sub.add_argument("notebook", metavar="NOTEBOOK", type=as_file)
    sub.add_argument("-p", dest="parameters", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
                     help="set a parameter of the notebook; lists with commas")  # fmt: skip
    sub.add_argument("--out", metavar="DIR", type=as_file, help="folder of the page (default: reports/<corpus>)")

    sub = command("report", report, "run all notebooks on a corpus and write a report with an index page")
    sub.add_argument("--corpus", default="demo", metavar="C", help=pool)
    sub.add_argument("--data", type=as_absolute, default="", metavar="DIR", help=data)
    sub.add_argument("--profile", default="quick", choices=PROFILES,
                     help="quick: fewer epochs and two folds of each protocol (default)")  # fmt: skip
    sub.add_argument("--systems", type=as_names, metavar="A,B", help="default: one of each publication, and ours")
    sub.add_argument("--development", action="store_true",
                     help="with the choice of features, architecture and augmentation")  # fmt: skip
    sub.add_argument("--studies", action="store_true", help="with the studies of gender, noise, speakers and leaks")
    sub.add_argument("--seed", type=as_seed, default=0, metavar="N")
    sub.add_argument("--out", type=as_file, metavar="DIR", help="default: reports/<corpus>")

    sub = command("experiment", experiment, "train and test systems; what is done is not done again")
    _add_plan(sub, pool, data, needed=True)
    sub.add_argument("--csv", type=as_file, metavar="FILE",
                     help="write the results table to FILE, what made each row included")  # fmt: skip
    sub.add_argument("--dirty", action="store_true", help="write it even so; rows of uncommitted code are marked")
    sub.add_argument("--jobs", type=as_jobs, default=-1, metavar="N", help="processes (default: one a core)")
    sub.add_argument("--cluster", metavar="ADDRESS",
                     help="scheduler of a Dask cluster that does the runs, such as tcp://127.0.0.1:8786")  # fmt: skip

    sub = command("verify", verify, "make a committed result again, from the recordings, and compare")
    sub.add_argument("system", metavar="SYSTEM")
    sub.add_argument("protocol", metavar="PROTOCOL")
    sub.add_argument("--corpus", default="ravdess", metavar="C", help="default: ravdess")
    sub.add_argument("--seed", type=as_seed, default=0, metavar="N", help="of the row (default: 0)")
    sub.add_argument("--tolerance", type=as_points, metavar="POINTS",
                     help="by which a score may differ (default: 0.5; of another backend 1)")  # fmt: skip
    sub.add_argument("--jobs", type=as_jobs, default=-1, metavar="N", help="processes (default: one a core)")
    sub.add_argument("--data", type=as_absolute, metavar="DIR", help=data)

    model = "folder of a model or of a run (default: the model that ships)"
    sub = command("predict", predict, "say what a trained model hears in recordings of one's own, and how sure it is")
    sub.add_argument("files", nargs="+", metavar="FILE", help="recordings, folders, or patterns such as 'takes/*.wav'")
    sub.add_argument("--model", type=as_absolute, default="", metavar="DIR", help=model)
    sub.add_argument("--timeline", action="store_true", help="emotion over time, in windows that overlap")
    sub.add_argument("--views", action="store_true",
                     help="hear short recordings quieter, slower and faster as well: four times the work")  # fmt: skip
    sub.add_argument("--coverage", type=as_share, default=0.9, metavar="SHARE",
                     help="of the sets of emotions: 0.8, 0.9 (default) or 0.95")  # fmt: skip
    sub.add_argument("--speaker-clips", metavar="DIR",
                     help="recordings of the same voice, emotions unknown: adapt to it")  # fmt: skip
    sub.add_argument("--json", action="store_true", help="print everything as JSON")
    sub.add_argument("--csv", type=as_file, metavar="FILE", help="write a row for each recording, or window, to FILE")
    sub.add_argument("--textgrid", type=as_file, metavar="DIR", help="write timelines for Praat into DIR")
    sub.add_argument("--labels", type=as_file, metavar="DIR", help="write timelines for Audacity into DIR")

    sub = command("app", app, "open a page on this computer: record or upload a voice; nothing leaves the computer")
    sub.add_argument("--model", type=as_absolute, default="", metavar="DIR", help=model)
    sub.add_argument("--port", type=as_port, default=8765, metavar="N", help="default: 8765; 0: any that is free")
    sub.add_argument("--keep", type=as_folder, default=as_absolute("~/sernb-recordings"), metavar="DIR",
                     help="where recordings go that you choose to keep (default: ~/sernb-recordings)")  # fmt: skip

    sub = command("status", status, "what is done, running, failed and left of an experiment, or of all runs")
    _add_plan(sub, pool, data, needed=False)
    sub.add_argument("--json", action="store_true", help="print it as JSON")
    return parser


def _add_plan(sub: argparse.ArgumentParser, pool: str, data: str, *, needed: bool) -> None:
    """Add the options that say which runs are meant."""
    sub.add_argument("--systems", required=needed, type=as_names, metavar="A,B")
    sub.add_argument("--encoder", default="", metavar="NAME",
                     help="of systems named embedding-…: see `sernb encoders`, or onnx:FILE, hf:NAME")  # fmt: skip
    sub.add_argument("--corpus", required=needed, metavar="C", help=pool)
    sub.add_argument("--protocol", required=needed, type=as_names, metavar="P", help="one or more, with commas")
    sub.add_argument("--labels", metavar="L", help="a label set (default: each system's own)")
    sub.add_argument("--sampling", default="natural", metavar="S",
                     help="natural (default), or balanced: equally many training clips of each corpus")  # fmt: skip
    sub.add_argument("--train-on", default="", metavar="CONDITIONS",
                     help="train on some of the training clips only, such as gender=female")  # fmt: skip
    sub.add_argument("--test-on", default="", metavar="CONDITIONS",
                     help="test on some of the test clips only, such as corpus=tess")  # fmt: skip
    sub.add_argument("--train-clips", type=as_count, metavar="N", help="train on N clips of each fold, drawn at random")
    sub.add_argument("--folds", type=as_numbers, metavar="0-4", help="numbers or ranges, with commas (default: all)")
    sub.add_argument("--seeds", type=as_seeds, default=[0], metavar="0-4", help="default: 0")
    sub.add_argument("--profile", default="full", choices=PROFILES)
    sub.add_argument("--data", type=as_absolute, metavar="DIR", help=data)


def corpora(options: argparse.Namespace) -> int:
    """List what is known and what is on disk."""
    from sernb.corpora.files import find_files, locate
    from sernb.corpora.local_index import read_index
    from sernb.corpora.registry import CORPORA, get_corpus

    for corpus in map(get_corpus, CORPORA):
        try:
            folder = locate(corpus)
            place = f"on disk: {folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder}"
            if (there := len(find_files(corpus, folder, read_index(corpus)))) < corpus.clips:
                place += f", {there} of {corpus.clips} clips"
        except DataError:
            fetched = corpus.archive or corpus.files_at
            place = f"not on disk; {f'run `sernb fetch {corpus.name}`, or ' * bool(fetched)}get {corpus.get}"
        print(f"{corpus.name}: {corpus.clips} clips, {corpus.speakers} speakers, {len(corpus.emotions)} emotions")
        print(f"    {corpus.about}\n    licence: {corpus.licence}\n    {place}")
    return DONE


def encoders(options: argparse.Namespace) -> int:
    """List the pretrained encoders."""
    from sernb.encoders.fetching import lines_of_encoders

    print("\n".join(lines_of_encoders()))
    return DONE


def fetch(options: argparse.Namespace) -> int:
    """Download what is missing of a corpus, then check it; or an encoder."""
    from sernb.encoders.registry import ENCODERS

    if options.corpus in ENCODERS:
        from sernb.encoders.fetching import fetch_encoder

        record = ENCODERS[options.corpus]
        fetch_encoder(
            record, options.into, url=options.url, announce=lambda said: print(said, flush=True), progress=True
        )
        return DONE
    from sernb.corpora.fetch import fetch as fetched
    from sernb.corpora.registry import get_corpus

    folder = fetched(
        get_corpus(options.corpus),
        options.into,
        url=options.url,
        announce=lambda said: print(said, flush=True),
        progress=True,
    )
    return check(argparse.Namespace(corpus=options.corpus, data=str(folder), json=False))


def check(options: argparse.Namespace) -> int:
    """Compare a copy of a corpus with what was published."""
    import dataclasses
    import json

    from sernb.corpora.check import check as findings_of
    from sernb.corpora.check import format_findings
    from sernb.corpora.files import locate
    from sernb.corpora.registry import get_corpus

    corpus = get_corpus(options.corpus)
    folder = locate(corpus, options.data)
    findings = findings_of(corpus, folder, progress=True)
    problems = [finding for finding in findings if finding.level == "problem"]
    if options.json:
        listed = [dataclasses.asdict(finding) for finding in findings]
        print(json.dumps({"corpus": corpus.name, "clips": corpus.clips, "findings": listed}, indent=1))
        return PROBLEMS if problems else DONE
    for line in format_findings(findings, corpus.clips):
        print(line)
    notes = len(findings) - len(problems)
    print(f"{corpus.name}: {corpus.clips} published clips, problems: {len(problems)}, notes: {notes}")
    return PROBLEMS if problems else DONE


def audit(options: argparse.Namespace) -> int:
    """Look for leaks in anyone's split."""
    import dataclasses
    import json

    from sernb.protocols.external_split import NEAR_SPEAKERS, read_split

    split = read_split(options.split, corpus=options.corpus, data=options.data, progress=True)
    found = split.leaks(allow_speakers=options.allow_speakers)
    leaks = sum(not leak.allowed for _, leak in found)
    if options.json:
        listed = [
            {
                "level": "note" if leak.allowed else "leak",
                "fold": fold,
                "kind": leak.kind,
                "clips": leak.count,
                "examples": leak.examples,
            }
            for fold, leak in found
        ]
        listed += [
            {"level": "note", "fold": "", "kind": NEAR_SPEAKERS, "clips": 0, "examples": names}
            for names in split.near_speakers
        ]
        about = {"split": str(options.split), "clips": len(split.clips), "folds": len(split.folds)}
        print(json.dumps({**about, "findings": listed, "not looked for": split.unchecked}, indent=1))
        return PROBLEMS if leaks else DONE
    kinds = list(dict.fromkeys(leak.kind for _, leak in found))
    notes = 0
    for kind in kinds:
        of_kind = [leak for _, leak in found if leak.kind == kind]
        notes += of_kind[0].allowed
        whole = dataclasses.replace(of_kind[0], count=sum(leak.count for leak in of_kind))
        folds = f", in {len(of_kind)} of {len(split.folds)} folds" if len(split.folds) > 1 else ""
        print(f"{'note' if whole.allowed else 'leak'}: {whole}{folds}")
    leaking = len(kinds) - notes
    for names in split.near_speakers:
        notes += 1
        print(
            f"note: {NEAR_SPEAKERS}: {', '.join(names)} count as {len(names)} people; if they are one, write them alike"
        )
    for what in split.unchecked:
        print(f"not looked for: {what}")
    print(f"{options.split}: {len(split.clips)} clips, leaks: {leaking}, notes: {notes}")
    return PROBLEMS if leaks else DONE


def prepare(options: argparse.Namespace) -> int:
    """Fill the feature cache."""
    from sernb.audio.augmentation import ORIGINAL
    from sernb.corpora.export import write_csv, write_table
    from sernb.corpora.pool import parse_pool
    from sernb.corpora.preparation import prepare as features_of
    from sernb.features import LogMel
    from sernb.systems.registry import get_system

    corpus = parse_pool(options.corpus, options.data)
    system = get_system(options.system) if options.system else None
    features = system.features if system else LogMel()
    if options.features:
        from sernb.features import Embedding

        if system:
            raise DataError("prepare takes --system or --features, not both; leave one out")
        features = Embedding(options.features, layers=options.layers, pooling=options.pooling)
    if features is None and (options.csv or options.table):
        raise DataError(f"{system.name}: hears nothing, so there are no features to write; name another system")
    if features is None:
        print(f"{system.name} needs no features")
        return DONE
    if options.table:
        rows, columns = write_table(options.table, corpus, features, data=options.data, progress=True)
        print(f"{options.table}: {type(features).__name__} of {rows} clips, {columns} values each")
        return DONE
    if options.csv:
        rows, columns = write_csv(options.csv, corpus, features, data=options.data, progress=True)
        print(f"{options.csv}: {type(features).__name__} of {rows} clips, {columns} values each")
        return DONE
    for view in dict.fromkeys((*system.views, *system.training_views)) if system else (ORIGINAL,):
        table = features_of(corpus, features, view=view, data=options.data, progress=True)
        rows, width = sum(map(len, table.values())), next(iter(table.values())).shape[1]
        print(
            f"{corpus.name}: {type(features).__name__}, view {view.name}: {len(table)} clips, {rows} × {width} values"
        )
    return DONE


def run(options: argparse.Namespace) -> int:
    """Run one notebook."""
    from sernb.config import NOTEBOOKS, REPORTS
    from sernb.corpora.pool import folder_name, parse_pool
    from sernb.reporting.execution import NotebookFailed, parse_parameters, read_parameters
    from sernb.reporting.execution import run as run_notebook

    source = options.notebook
    if not source.is_file():
        source = NOTEBOOKS / f"{source.name.removesuffix('.ipynb')}.ipynb"
    known = ", ".join(path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb")))
    if not source.is_file():
        raise DataError(f"{options.notebook}: no such notebook; known: {known}")
    try:
        defaults = read_parameters(source)
    except Exception as error:  # whatever nbformat trips over first
        raise DataError(f"{source}: is no notebook that can be read; known: {known}") from error
    try:
        parameters = parse_parameters(source, [tuple(pair) for pair in options.parameters])
    except ValueError as error:
        raise DataError(str(error)) from error
    if parameters.get("data"):
        parameters["data"] = as_absolute(str(parameters["data"]))
    if parameters.get("corpus"):  # a folder of one's own has a name that holds wherever a notebook runs
        parameters["corpus"] = parse_pool(str(parameters["corpus"]), parameters.get("data")).name
    corpus = parameters.get("corpus", defaults.get("corpus", "demo"))
    out = options.out or REPORTS / folder_name(str(corpus))
    try:
        page = run_notebook(source, out / f"{source.stem}.html", parameters)
    except NotebookFailed as failure:
        raise DataError(str(failure)) from failure
    print(page)
    return DONE


def report(options: argparse.Namespace) -> int:
    """Make a report."""
    from sernb.encoders.fetching import hint
    from sernb.reporting.execution import NotebookFailed
    from sernb.reporting.report import report as make_report
    from sernb.systems.registry import SHOWN

    try:
        index = make_report(
            options.corpus,
            systems=options.systems or SHOWN,
            profile=options.profile,
            development=options.development,
            studies=options.studies,
            data=options.data,
            seed=options.seed,
            out=options.out,
            announce=lambda line: print(line, flush=True),
        )
    except NotebookFailed as failure:
        raise DataError(str(failure)) from failure
    print(f"report: {index}")
    if said := hint():
        print(f"sernb: {said}", file=sys.stderr)
    return DONE


def experiment(options: argparse.Namespace) -> int:
    """Run a study."""
    from sernb.results.tables import caption, made_table, results_table, seeds_table
    from sernb.runs.planning import OPTIONS
    from sernb.runs.runner import run_many
    from sernb.runtime.files import atomic_or_through
    from sernb.runtime.provenance import UNCOMMITTED_CODE, refuse_uncommitted

    if options.csv and not options.dirty:
        refuse_uncommitted()
    experiments = _planned(options)
    for sentence in experiments.left_out:
        print(f"sernb: left out: {sentence}", file=sys.stderr)
    run_many(experiments, jobs=options.jobs, cluster=options.cluster, data=options.data)
    table = results_table(experiments)
    if options.csv:
        made = made_table(experiments, dirty=options.dirty)
        with atomic_or_through(options.csv) as unfinished:
            given = {f"--{name.replace('_', '-')}": getattr(options, name) for name in OPTIONS}
            given = {name: value for name, value in given.items() if value not in (None, "", "natural")}
            table = table.assign(Corpus=options.corpus, **given, **made)
            table.drop(columns=UNCOMMITTED_CODE, errors="ignore").to_csv(unfinished, index=False)
    columns = [
        "System",
        "Protocol",
        "Options",
        "Seed",
        UNCOMMITTED_CODE,
        "UAR",
        "UAR floor",
        "WAR",
        "Top-3",
        "Clips",
        "Speakers",
        "Folds",
    ]
    print(table[[column for column in columns if column in table]].to_string(index=False))
    if len(options.seeds) > 1:
        print(seeds_table(experiments).to_string(index=False))
    print(caption(experiments))
    return DONE


def verify(options: argparse.Namespace) -> int:
    """Make a committed result again and compare it."""
    from sernb.results.reproduce import find_row, format_command, tolerance_for
    from sernb.results.reproduce import reproduce as again

    row = find_row(options.system, options.protocol, options.corpus, options.seed)
    print(
        f"{row.System} {row.Protocol} on {row.Corpus}, folds {row.Folds}, made again as by `{format_command(row)}`",
        flush=True,
    )
    tolerance, note = tolerance_for(row)
    if note:
        print(note, flush=True)
    tolerance = tolerance if options.tolerance is None else options.tolerance
    found = again(row, jobs=options.jobs, data=options.data)
    for each in found:
        print(f"{each.name}: {each.committed:g} committed, {each.again:g} made again, difference {each.difference:+g}")
    missed = [each.name for each in found if abs(each.difference) > tolerance]
    said = f"differ by more: {', '.join(missed)}" if missed else "all agree"
    print(f"within {tolerance:g} points: {said}")
    return PROBLEMS if missed else DONE


def predict(options: argparse.Namespace) -> int:
    """Say what a model hears in recordings; what is wrong with one does not keep the others from being heard."""
    from sernb.prediction.formats import as_csv, as_json, lines, write_timelines
    from sernb.prediction.loading import load_model
    from sernb.prediction.predict import Prediction, adapt_to_speaker, predict_all

    model = load_model(options.model)
    model.threshold(options.coverage)
    voice = None
    if options.speaker_clips:
        voice = adapt_to_speaker(model, options.speaker_clips)
        print(f"sernb: adapted to the voice of {voice[1]} clips", file=sys.stderr)
    timeline = bool(options.timeline or options.textgrid or options.labels)
    chosen = {"timeline": timeline, "views": options.views, "coverage": options.coverage, "voice": voice}
    files = options.csv or options.textgrid or options.labels

    def say(text: str) -> None:
        try:
            print(text, flush=True)
        except BrokenPipeError:  # as in `sernb predict … --csv FILE | head -1`
            if not files:
                raise
            _print_into_nothing()

    found = []
    for path, each in predict_all(model, options.files, **chosen):
        found.append((path, each))
        if isinstance(each, DataError):
            print(f"sernb: {each}", file=sys.stderr, flush=True)
        elif not options.json:
            say("\n".join(lines(each, coverage=options.coverage, timeline=options.timeline)))
    if options.json:
        say(as_json(found, coverage=options.coverage))
    predictions = [each for _, each in found if isinstance(each, Prediction)]
    if options.csv:
        from sernb.runtime.files import atomic_or_through

        with atomic_or_through(options.csv) as unfinished:
            unfinished.write_text(as_csv(predictions, timeline=options.timeline), "utf-8", "backslashreplace")
    for folder, form in ((options.textgrid, "TextGrid"), (options.labels, "txt")):
        if folder:
            write_timelines(predictions, folder, form)
    return DONE if len(predictions) == len(found) else PROBLEMS


def app(options: argparse.Namespace) -> int:
    """Serve the page until it is stopped."""
    from sernb.prediction.app import serve
    from sernb.prediction.loading import load_model

    folder = Path(options.keep)
    serve(load_model(options.model), folder, options.port, announce=lambda said: print(said, flush=True))
    return DONE


def status(options: argparse.Namespace) -> int:
    """Say how far an experiment is, or all runs of the work folder."""
    import json

    from sernb.config import work_folder
    from sernb.runs.status import find_runs, format_progress, read_progress, summarise

    named = (options.systems, options.corpus, options.protocol)
    if any(named) and not all(named):
        raise DataError("status needs --systems, --corpus and --protocol together, or none of them: then all runs")
    work = work_folder()
    runs = [experiment.folder for experiment in _planned(options)] if all(named) else find_runs(work)
    progress = [read_progress(run, work) for run in runs]
    print(json.dumps(summarise(progress), indent=1) if options.json else "\n".join(format_progress(progress)))
    return DONE


def _planned(options: argparse.Namespace) -> "Plan":
    from sernb.runs.planning import OPTIONS, plan

    return plan(
        [f"{name}@{options.encoder}" if options.encoder else name for name in options.systems],
        options.corpus,
        options.protocol,
        profile=options.profile,
        folds=options.folds,
        seeds=options.seeds,
        data=options.data,
        **{name: getattr(options, name) for name in OPTIONS},
    )


if __name__ == "__main__":
    sys.exit(main())
