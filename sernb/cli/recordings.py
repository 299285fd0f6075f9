"""Commands about what lies on disk: corpora, encoders, splits, features."""

import dataclasses
import json

import click

from sernb.cli.option_values import as_absolute, as_file
from sernb.cli.options import POOL, PROBLEMS, command, data_option, json_option, option, say
from sernb.config import ROOT, DataError

FINDING = ("level", "fold", "kind", "clips", "examples")


@command()
def corpora() -> None:
    """List the corpora: what is on disk, licence, where to get them."""
    from sernb.corpora.files import find_files, locate
    from sernb.corpora.index import list_clips
    from sernb.corpora.registry import CORPORA, get_corpus

    for corpus in map(get_corpus, CORPORA):
        try:
            if not (folder := locate(corpus)).is_dir():
                raise DataError(f"{folder}: no such folder")
            place = f"on disk: {folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder}"
            if (there := len(find_files(corpus, folder, list_clips(corpus, folder)))) < corpus.clips:
                place += f", {there} of {corpus.clips} clips"
        except DataError:
            fetched = corpus.archive or corpus.files_url
            place = f"not on disk; {f'run `sernb fetch {corpus.name}`, or ' * bool(fetched)}get {corpus.get}"
        print(f"{corpus.name}: {corpus.clips} clips, {corpus.speakers} speakers, {len(corpus.emotions)} emotions")
        print(f"    {corpus.about}\n    licence: {corpus.licence}\n    {place}")


@command()
def encoders() -> None:
    """List pretrained speech encoders: what is known of them, what is on disk."""
    from sernb.encoders.fetching import format_encoders

    print("\n".join(format_encoders()))


@command()
@click.argument("name", metavar="NAME", help="A corpus, or an encoder such as whisper-tiny.en.")
@option(
    "--into", type=as_absolute, metavar="DIR", help="Where to (default: $SERNB_DATA or $SERNB_ENCODERS, else data)."
)
@option("--url", default="", metavar="URL", help="Another address of the archive or folder of files.")
def fetch(name, into, url) -> int | None:
    """Download a corpus or an encoder from its publishers, or say how to ask for it."""
    from sernb.corpora.fetch import fetch as fetch_corpus
    from sernb.corpora.registry import get_corpus
    from sernb.encoders.registry import ENCODERS

    if name in ENCODERS:
        from sernb.encoders.fetching import fetch_encoder

        fetch_encoder(ENCODERS[name], into, url=url, announce=say, progress=True)
        return None
    folder = fetch_corpus(get_corpus(name), into, url=url, announce=say, progress=True)
    return check.callback(name, str(folder), as_json=False)


@command()
@click.argument("corpus", metavar="CORPUS", help="A corpus, or a folder with labels.csv.")
@data_option
@json_option
def check(corpus, data, as_json) -> int | None:
    """Compare every file of a corpus with the published checksums."""
    from sernb.corpora.check import check as find_problems
    from sernb.corpora.check import format_findings
    from sernb.corpora.files import locate
    from sernb.corpora.registry import get_corpus

    record = get_corpus(corpus)
    findings = find_problems(record, locate(record, data), progress=True)
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        listed = list(map(dataclasses.asdict, findings))
        print(json.dumps({"corpus": record.name, "clips": record.clips, "findings": listed}, indent=1))
    else:
        for line in format_findings(findings, record.clips):
            print(line)
        notes = len(findings) - problems
        print(f"{record.name}: {record.clips} published clips, problems: {problems}, notes: {notes}")
    return PROBLEMS if problems else None


@command()
@click.argument("split", metavar="SPLIT.csv", type=as_file,
                help="One row a clip: clip or path, part or fold; if known also speaker, emotion, intensity, sentence, "
                "take, origin, segment, sha256, statistics.")  # fmt: skip
@option("--corpus", metavar="C", help="Fill what the file leaves open from the index of this corpus.")
@option("--data", type=as_absolute, metavar="DIR", help="Recordings, to compare sound (default: folder of SPLIT.csv).")
@option("--allow-speakers", is_flag=True, help="Speakers are shared on purpose: count them and other takes as notes.")
@json_option
def audit(split, corpus, data, allow_speakers, as_json) -> int | None:
    """Look for leaks in a split that anybody made, given as a CSV file."""
    from sernb.protocols.external_split import NEAR_SPEAKERS, read_split

    read = read_split(split, corpus=corpus, data=data, progress=True)
    found = read.leaks(allow_speakers=allow_speakers)
    leaks = sum(not leak.allowed for _, leak in found)
    if as_json:
        rows = [
            ("note" if leak.allowed else "leak", fold, leak.kind, leak.count, leak.examples) for fold, leak in found
        ]
        rows += [("note", "", NEAR_SPEAKERS, 0, names) for names in read.near_speakers]
        listed = [dict(zip(FINDING, row, strict=True)) for row in rows]
        about = {"split": str(split), "clips": len(read.clips), "folds": len(read.folds)}
        print(json.dumps({**about, "findings": listed, "not looked for": read.unchecked}, indent=1))
        return PROBLEMS if leaks else None
    kinds = list(dict.fromkeys(leak.kind for _, leak in found))
    notes = len(read.near_speakers)
    for kind in kinds:
        of_kind = [leak for _, leak in found if leak.kind == kind]
        notes += of_kind[0].allowed
        whole = dataclasses.replace(of_kind[0], count=sum(leak.count for leak in of_kind))
        folds = f", in {len(of_kind)} of {len(read.folds)} folds" if len(read.folds) > 1 else ""
        print(f"{'note' if whole.allowed else 'leak'}: {whole}{folds}")
    for names in read.near_speakers:
        people = f"{', '.join(names)} count as {len(names)} people; if they are one, write them alike"
        print(f"note: {NEAR_SPEAKERS}: {people}")
    for what in read.unchecked:
        print(f"not looked for: {what}")
    leaking = len(kinds) + len(read.near_speakers) - notes
    print(f"{split}: {len(read.clips)} clips, leaks: {leaking}, notes: {notes}")
    return PROBLEMS if leaks else None


@command()
@click.argument("corpus", metavar="CORPUS", help=POOL)
@data_option
@option("--system", metavar="S", help="Features of this system, all its views (default: log-mel).")
@option("--features", metavar="ENCODER", help="Embeddings by a pretrained encoder, see `sernb encoders`.")
@option("--layers", default="all", metavar="L", help="Of the encoder: all, one as 2, or several as 1-3.")
@option("--pooling", default="mean+std", metavar="P", help="mean, mean+std or frames.")
@option("--csv", type=as_file, metavar="FILE", help="Write the features, one row a clip; FILE.gz is compressed.")
@option("--table", type=as_file, metavar="FILE", help="Write them as FILE ends: .npz, .csv, .csv.gz or .parquet.")
def prepare(corpus, data, system, features, layers, pooling, csv, table) -> None:
    """Compute and cache the features of a corpus."""
    from sernb.audio.augmentation import ORIGINAL
    from sernb.corpora.export import write_csv, write_table
    from sernb.corpora.pool import parse_pool
    from sernb.corpora.preparation import prepare as compute
    from sernb.features import Embedding, LogMel
    from sernb.systems.registry import get_system

    pool = parse_pool(corpus, data)
    chosen = get_system(system) if system else None
    if features and chosen:
        raise DataError("prepare takes --system or --features, not both; leave one out")
    kind = Embedding(features, layers=layers, pooling=pooling) if features else chosen.features if chosen else LogMel()
    if kind is None and (csv or table):
        raise DataError(f"{chosen.name}: hears nothing, so there are no features to write; name another system")
    if kind is None:
        print(f"{chosen.name} needs no features")
    elif table or csv:
        rows, columns = (write_table if table else write_csv)(table or csv, pool, kind, data=data, progress=True)
        print(f"{table or csv}: {type(kind).__name__} of {rows} clips, {columns} values each")
    else:
        for view in dict.fromkeys((*chosen.views, *chosen.training_views)) if chosen else (ORIGINAL,):
            clips = compute(pool, kind, view=view, data=data, progress=True)
            rows, width = sum(map(len, clips.values())), next(iter(clips.values())).shape[1]
            print(f"{pool.name}: {type(kind).__name__}, view {view.name}: {len(clips)} clips, {rows} × {width} values")
