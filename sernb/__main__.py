"""The ``sernb`` command. Everything heavy is imported by the subcommand that needs it: ``--help`` stays instant."""

import argparse
import os
import re
import sys
from pathlib import Path

from sernb import __version__
from sernb.config import NOTEBOOKS, PROFILES, ROOT, DataError

DONE, PROBLEMS, USAGE = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; return 0: done, 1: the input or the data has problems, 2: wrong usage."""
    try:
        try:
            options = _parser().parse_args(arguments)
            for name in ("SERNB_DATA", "SERNB_WORK"):  # notebooks run in their own folder: no path may be relative
                if os.environ.get(name):
                    os.environ[name] = _absolute(os.environ[name])
            if options.command not in (corpora, audit, predict, app) and not NOTEBOOKS.is_dir():
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        print(f"sernb: {named}{error.strerror or error}", file=sys.stderr)
        return PROBLEMS


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

    sub = command("fetch", fetch, "download a corpus from its publishers, or say how to ask for it")
    sub.add_argument("corpus", metavar="CORPUS")
    sub.add_argument("--into", type=_absolute, metavar="DIR",
                     help="folder of the recordings (default: CORPUS in $SERNB_DATA, else in data/raw)")  # fmt: skip
    sub.add_argument("--url", default="", metavar="URL", help="another address of the archive or folder of files")

    sub = command("check", check, "compare every file of a corpus with the published checksums")
    sub.add_argument("corpus", metavar="CORPUS")
    sub.add_argument("--data", type=_absolute, metavar="DIR", help=data)
    sub.add_argument("--json", action="store_true", help="print the findings as JSON")

    sub = command("audit", audit, "look for leaks in a split that anybody made, given as a CSV file")
    sub.add_argument("split", metavar="SPLIT.csv", type=Path,
                     help="one row a clip: clip or path, part or fold; if known also speaker, emotion, intensity, "
                     "sentence, take, origin, segment, sha256, statistics")  # fmt: skip
    sub.add_argument("--corpus", metavar="C", help="fill what the file leaves open from the index of this corpus")
    sub.add_argument("--data", type=_absolute, metavar="DIR",
                     help="folder of the recordings, to compare sound (default: the folder of SPLIT.csv)")  # fmt: skip
    sub.add_argument("--allow-speakers", action="store_true",
                     help="speakers are shared on purpose: count them and their other takes as notes")  # fmt: skip
    sub.add_argument("--json", action="store_true", help="print the findings as JSON")

    sub = command("prepare", prepare, "compute and cache the features of a corpus")
    sub.add_argument("corpus", metavar="CORPUS", help=pool)
    sub.add_argument("--data", type=_absolute, metavar="DIR", help=data)
    sub.add_argument("--system", metavar="S", help="features of this system, all its views (default: log-mel)")
    sub.add_argument("--csv", type=Path, metavar="FILE",
                     help="write the features of the recordings, one row a clip; FILE.gz is compressed")  # fmt: skip

    sub = command("run", run, "run one notebook without a screen: executed notebook and HTML page")
    sub.add_argument("notebook", metavar="NOTEBOOK", type=Path)
    sub.add_argument("-p", dest="parameters", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
                     help="set a parameter of the notebook; lists with commas")  # fmt: skip
    sub.add_argument("--out", metavar="DIR", type=Path, help="folder of the page (default: reports/<corpus>)")

    sub = command("report", report, "run all notebooks on a corpus and write a report with an index page")
    sub.add_argument("--corpus", default="demo", metavar="C", help=pool)
    sub.add_argument("--data", type=_absolute, default="", metavar="DIR", help=data)
    sub.add_argument("--profile", default="quick", choices=PROFILES,
                     help="quick: fewer epochs and two folds of each protocol (default)")  # fmt: skip
    sub.add_argument("--systems", type=_names, metavar="A,B", help="default: one of each publication, and ours")
    sub.add_argument("--development", action="store_true",
                     help="with the choice of features, architecture and augmentation")  # fmt: skip
    sub.add_argument("--studies", action="store_true", help="with the studies of gender, noise, speakers and leaks")
    sub.add_argument("--seed", type=int, default=0, metavar="N")
    sub.add_argument("--out", type=Path, metavar="DIR", help="default: reports/<corpus>")

    sub = command("experiment", experiment, "train and test systems; what is done is not done again")
    _add_plan(sub, pool, data, needed=True)
    sub.add_argument("--csv", type=Path, metavar="FILE", help="write the results table to FILE")
    sub.add_argument("--jobs", type=_jobs, default=-1, metavar="N", help="processes (default: one a core)")
    sub.add_argument("--cluster", metavar="ADDRESS",
                     help="scheduler of a Dask cluster that does the runs, such as tcp://127.0.0.1:8786")  # fmt: skip

    sub = command("verify", verify, "make a committed result again, from the recordings, and compare")
    sub.add_argument("system", metavar="SYSTEM")
    sub.add_argument("protocol", metavar="PROTOCOL")
    sub.add_argument("--corpus", default="ravdess", metavar="C", help="default: ravdess")
    sub.add_argument("--seed", type=int, default=0, metavar="N", help="of the row (default: 0)")
    sub.add_argument("--tolerance", type=float, default=0.5, metavar="POINTS",
                     help="by which a figure may differ (default: 0.5); a network may need more elsewhere")  # fmt: skip
    sub.add_argument("--jobs", type=_jobs, default=-1, metavar="N", help="processes (default: one a core)")
    sub.add_argument("--data", type=_absolute, metavar="DIR", help=data)

    model = "folder of a model or of a run (default: the model that ships)"
    sub = command("predict", predict, "say what a trained model hears in recordings of one's own, and how sure it is")
    sub.add_argument("files", nargs="+", metavar="FILE", help="recordings, folders, or patterns such as 'takes/*.wav'")
    sub.add_argument("--model", type=_absolute, default="", metavar="DIR", help=model)
    sub.add_argument("--timeline", action="store_true", help="emotion over time, in windows that overlap")
    sub.add_argument("--views", action="store_true",
                     help="hear short recordings quieter, slower and faster as well: four times the work")  # fmt: skip
    sub.add_argument("--coverage", type=float, default=0.9, metavar="SHARE",
                     help="of the sets of emotions: 0.8, 0.9 (default) or 0.95")  # fmt: skip
    sub.add_argument("--speaker-clips", metavar="DIR",
                     help="recordings of the same voice, emotions unknown: adapt to it")  # fmt: skip
    sub.add_argument("--json", action="store_true", help="print everything as JSON")
    sub.add_argument("--csv", type=Path, metavar="FILE", help="write a row for each recording, or window, to FILE")
    sub.add_argument("--textgrid", type=Path, metavar="DIR", help="write timelines for Praat into DIR")
    sub.add_argument("--labels", type=Path, metavar="DIR", help="write timelines for Audacity into DIR")

    sub = command("app", app, "open a page on this computer: record or upload a voice; nothing leaves the computer")
    sub.add_argument("--model", type=_absolute, default="", metavar="DIR", help=model)
    sub.add_argument("--port", type=int, default=8765, metavar="N", help="default: 8765; 0: any that is free")
    sub.add_argument("--keep", type=_absolute, default=_absolute("~/sernb-recordings"), metavar="DIR",
                     help="where recordings go that you choose to keep (default: ~/sernb-recordings)")  # fmt: skip

    sub = command("status", status, "what is done, running, failed and left of an experiment, or of all runs")
    _add_plan(sub, pool, data, needed=False)
    sub.add_argument("--json", action="store_true", help="print it as JSON")
    return parser


def _add_plan(sub: argparse.ArgumentParser, pool: str, data: str, *, needed: bool) -> None:
    """Add the options that say which runs are meant."""
    sub.add_argument("--systems", required=needed, type=_names, metavar="A,B")
    sub.add_argument("--corpus", required=needed, metavar="C", help=pool)
    sub.add_argument("--protocol", required=needed, type=_names, metavar="P", help="one or more, with commas")
    sub.add_argument("--labels", metavar="L", help="a label set (default: each system's own)")
    sub.add_argument("--sampling", default="natural", metavar="S",
                     help="natural (default), or balanced: equally many training clips of each corpus")  # fmt: skip
    sub.add_argument("--train-on", default="", metavar="CONDITIONS",
                     help="train on some of the training clips only, such as gender=female")  # fmt: skip
    sub.add_argument("--test-on", default="", metavar="CONDITIONS",
                     help="test on some of the test clips only, such as corpus=tess")  # fmt: skip
    sub.add_argument("--train-clips", type=int, metavar="N", help="train on N clips of each fold, drawn at random")
    sub.add_argument("--folds", type=_numbers, metavar="0-4", help="numbers or ranges, with commas (default: all)")
    sub.add_argument("--seeds", type=_numbers, default=[0], metavar="0-4", help="default: 0")
    sub.add_argument("--profile", default="full", choices=PROFILES)
    sub.add_argument("--data", type=_absolute, metavar="DIR", help=data)


def corpora(options: argparse.Namespace) -> int:
    """List what is known and what is on disk."""
    from sernb.corpora import CORPORA, corpus_named, files_of, locate, read_index

    for corpus in map(corpus_named, CORPORA):
        try:
            folder = locate(corpus)
            place = f"on disk: {folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder}"
            if (there := len(files_of(corpus, folder, read_index(corpus)))) < corpus.clips:
                place += f", {there} of {corpus.clips} clips"
        except DataError:
            fetched = corpus.archive or corpus.files_at
            place = f"not on disk; {f'run `sernb fetch {corpus.name}`, or ' * bool(fetched)}get {corpus.get}"
        print(f"{corpus.name}: {corpus.clips} clips, {corpus.speakers} speakers, {len(corpus.emotions)} emotions")
        print(f"    {corpus.about}\n    licence: {corpus.licence}\n    {place}")
    return DONE


def fetch(options: argparse.Namespace) -> int:
    """Download what is missing of a corpus, then check it."""
    from sernb.corpora import corpus_named
    from sernb.fetch import fetch as fetched

    folder = fetched(
        corpus_named(options.corpus),
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

    from sernb.corpora import check as findings_of
    from sernb.corpora import corpus_named, lines_of, locate

    corpus = corpus_named(options.corpus)
    folder = locate(corpus, options.data)
    findings = findings_of(corpus, folder, progress=True)
    problems = [finding for finding in findings if finding.level == "problem"]
    if options.json:
        listed = [dataclasses.asdict(finding) for finding in findings]
        print(json.dumps({"corpus": corpus.name, "clips": corpus.clips, "findings": listed}, indent=1))
        return PROBLEMS if problems else DONE
    for line in lines_of(findings, corpus.clips):
        print(line)
    notes = len(findings) - len(problems)
    print(f"{corpus.name}: {corpus.clips} published clips, problems: {len(problems)}, notes: {notes}")
    return PROBLEMS if problems else DONE


def audit(options: argparse.Namespace) -> int:
    """Look for leaks in anyone's split."""
    import dataclasses
    import json

    from sernb.split_file import read_split

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
    for what in split.unchecked:
        print(f"not looked for: {what}")
    print(f"{options.split}: {len(split.clips)} clips, leaks: {len(kinds) - notes}, notes: {notes}")
    return PROBLEMS if leaks else DONE


def prepare(options: argparse.Namespace) -> int:
    """Fill the feature cache."""
    from sernb.augment import ORIGINAL
    from sernb.features import LogMel
    from sernb.pools import pool_named
    from sernb.preparation import prepare as features_of
    from sernb.preparation import write_csv
    from sernb.systems import system_named

    corpus = pool_named(options.corpus, options.data)
    system = system_named(options.system) if options.system else None
    features = system.features if system else LogMel()
    if features is None and options.csv:
        raise DataError(f"{system.name}: hears nothing, so there are no features to write; name another system")
    if features is None:
        print(f"{system.name} needs no features")
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
    from sernb.notebooks import NotebookFailed, parameters_of, parse_parameters
    from sernb.notebooks import run as run_notebook
    from sernb.pools import folder_name, pool_named

    source = options.notebook
    if not source.is_file():
        source = NOTEBOOKS / f"{source.name.removesuffix('.ipynb')}.ipynb"
    known = ", ".join(path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb")))
    if not source.is_file():
        raise DataError(f"{options.notebook}: no such notebook; known: {known}")
    try:
        defaults = parameters_of(source)
    except Exception as error:  # whatever nbformat trips over first
        raise DataError(f"{source}: is no notebook that can be read; known: {known}") from error
    try:
        parameters = parse_parameters(source, [tuple(pair) for pair in options.parameters])
    except ValueError as error:
        raise DataError(str(error)) from error
    if parameters.get("data"):
        parameters["data"] = _absolute(str(parameters["data"]))
    if parameters.get("corpus"):  # a folder of one's own has a name that holds wherever a notebook runs
        parameters["corpus"] = pool_named(str(parameters["corpus"]), parameters.get("data")).name
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
    from sernb.notebooks import NotebookFailed
    from sernb.report import report as make_report
    from sernb.systems import SHOWN

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
    return DONE


def experiment(options: argparse.Namespace) -> int:
    """Run a study."""
    from sernb.experiment import OPTIONS
    from sernb.results import caption, results_of, results_table, seeds_table
    from sernb.running import run_many
    from sernb.store import atomic

    experiments = _planned(options)
    run_many(experiments, jobs=options.jobs, cluster=options.cluster, data=options.data)
    table = results_table(experiments)
    if options.csv:
        with atomic(options.csv) as unfinished:
            commits = [result.commits for result in results_of(experiments)]
            given = {f"--{name.replace('_', '-')}": getattr(options, name) for name in OPTIONS}
            given = {name: value for name, value in given.items() if value not in (None, "", "natural")}
            table.assign(Corpus=options.corpus, **given, Commits=commits).to_csv(unfinished, index=False)
    columns = [
        "System",
        "Protocol",
        "Options",
        "Seed",
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
    from sernb.verification import command, row_of
    from sernb.verification import verify as again

    row = row_of(options.system, options.protocol, options.corpus, options.seed)
    print(
        f"{row.System} {row.Protocol} on {row.Corpus}, folds {row.Folds}, made again as by `{command(row)}`", flush=True
    )
    found = again(row, jobs=options.jobs, data=options.data)
    for each in found:
        print(f"{each.name}: {each.committed:g} committed, {each.again:g} made again, difference {each.difference:+g}")
    missed = [each.name for each in found if abs(each.difference) > options.tolerance]
    said = f"differ by more: {', '.join(missed)}" if missed else "all agree"
    print(f"within {options.tolerance:g} points: {said}")
    return PROBLEMS if missed else DONE


def predict(options: argparse.Namespace) -> int:
    """Say what a model hears in recordings; what is wrong with one does not keep the others from being heard."""
    from sernb.own_voice.model import model_at
    from sernb.own_voice.output import as_csv, as_json, lines, write_timelines
    from sernb.predict import Prediction, predict_all, voice_of

    model = model_at(options.model)
    model.threshold(options.coverage)
    voice = None
    if options.speaker_clips:
        voice = voice_of(model, options.speaker_clips)
        print(f"sernb: adapted to the voice of {voice[1]} clips", file=sys.stderr)
    timeline = bool(options.timeline or options.textgrid or options.labels)
    chosen = {"timeline": timeline, "views": options.views, "coverage": options.coverage, "voice": voice}
    found = []
    for path, each in predict_all(model, options.files, **chosen):
        found.append((path, each))
        if isinstance(each, DataError):
            print(f"sernb: {each}", file=sys.stderr, flush=True)
        elif not options.json:
            print("\n".join(lines(each, coverage=options.coverage, timeline=options.timeline)), flush=True)
    if options.json:
        print(as_json(found, coverage=options.coverage))
    predictions = [each for _, each in found if isinstance(each, Prediction)]
    if options.csv:
        from sernb.store import atomic

        with atomic(options.csv) as unfinished:
            unfinished.write_text(as_csv(predictions, timeline=options.timeline), "utf-8")
    for folder, form in ((options.textgrid, "TextGrid"), (options.labels, "txt")):
        if folder:
            write_timelines(predictions, folder, form)
    return DONE if len(predictions) == len(found) else PROBLEMS


def app(options: argparse.Namespace) -> int:
    """Serve the page until it is stopped."""
    from sernb.own_voice.app import serve
    from sernb.own_voice.model import model_at

    folder = Path(options.keep)
    serve(model_at(options.model), folder, options.port, announce=lambda said: print(said, flush=True))
    return DONE


def status(options: argparse.Namespace) -> int:
    """Say how far an experiment is, or all runs of the work folder."""
    import json

    from sernb.config import work_folder
    from sernb.status import lines_of, progress_of, runs_in, summary

    named = (options.systems, options.corpus, options.protocol)
    if any(named) and not all(named):
        raise DataError("status needs --systems, --corpus and --protocol together, or none of them: then all runs")
    work = work_folder()
    runs = [experiment.folder for experiment in _planned(options)] if all(named) else runs_in(work)
    progress = [progress_of(run, work) for run in runs]
    print(json.dumps(summary(progress), indent=1) if options.json else "\n".join(lines_of(progress)))
    return DONE


def _planned(options: argparse.Namespace) -> list:
    from sernb.experiment import OPTIONS, plan

    return plan(
        options.systems,
        options.corpus,
        options.protocol,
        profile=options.profile,
        folds=options.folds,
        seeds=options.seeds,
        data=options.data,
        **{name: getattr(options, name) for name in OPTIONS},
    )


def _absolute(folder: str) -> str:
    return os.path.abspath(os.path.expanduser(folder)) if folder else ""


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing")
    return names


def _numbers(text: str) -> list[int]:
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        chosen = range(int(match[1]), int(match[2] or match[1]) + 1) if match else ()
        if not chosen:
            raise argparse.ArgumentTypeError(f"{part!r} is no number or range such as 0-4")
        numbers += chosen
    return numbers


def _jobs(text: str) -> int:
    if not text.removeprefix("-").isdecimal() or int(text) < -1 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes: 1 or more, or -1 for one a core")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
