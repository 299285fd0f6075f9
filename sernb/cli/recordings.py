"""Commands on files: corpora, encoders, splits, features."""

import dataclasses
import json

import click

from sernb.cli.option_values import as_absolute, as_file, as_table
from sernb.cli.options import POOL, PROBLEMS, command, data_option, json_option, option, say
from sernb.config import ROOT, DataError

FINDING = ("level", "fold", "kind", "clips", "examples")


@command()
def corpora() -> None:
    """List the corpora with licence, availability on disk and source."""
    from sernb.corpora.files import find_files, locate
    from sernb.corpora.index import list_clips
    from sernb.corpora.registry import CORPORA, get_corpus

    for corpus in map(get_corpus, CORPORA):
        try:
            if not (folder := locate(corpus)).is_dir():
                raise DataError(f"{folder}: no such folder")
            availability = f"on disk: {folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder}"
            if (available := len(find_files(corpus, folder, list_clips(corpus, folder)))) < corpus.clips:
                availability += f", {available} of {corpus.clips} clips"
        except DataError:
            fetched = corpus.archive or corpus.files_url
            availability = f"not on disk; {f'run `sernb fetch {corpus.name}`, or ' * bool(fetched)}get {corpus.get}"
        print(f"{corpus.name}: {corpus.clips} clips, {corpus.speakers} speakers, {len(corpus.emotions)} emotions")
        print(f"    {corpus.about}\n    licence: {corpus.licence}\n    {availability}")


@command()
def encoders() -> None:
    """List pretrained speech encoders with licence and availability on disk."""
    from sernb.encoders.fetching import format_encoders

    print("\n".join(format_encoders()))


@command()
@click.argument("name", metavar="NAME", help="A corpus, or an encoder such as whisper-tiny.en.")
@option(
    "--into",
    type=as_absolute,
    metavar="DIR",
    help="Target folder (default: $SERNB_DATA or $SERNB_ENCODERS, else data).",
)
@option("--url", default="", metavar="URL", help="Alternative address of the archive or file folder.")
def fetch(name, into, url) -> int | None:
    """Download a corpus or an encoder from its publishers, or show how to request it."""
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
        clips = f"{record.clips} {'published ' * (not record.own)}clips"
        print(f"{record.name}: {clips}, problems: {problems}, notes: {notes}")
    return PROBLEMS if problems else None


@command()
@click.argument("split", metavar="SPLIT.csv", type=as_file,
                help="One row per clip: clip or path, part or fold; if known also speaker, emotion, intensity, "
                "sentence, take, origin, segment, sha256, statistics.")  # fmt: skip
@option("--corpus", metavar="C", help="Fill missing columns from the index of this corpus.")
@option(
    "--data", type=as_absolute, metavar="DIR", help="Recordings, for audio comparison (default: folder of SPLIT.csv)."
)
@option("--allow-speakers", is_flag=True, help="Shared speakers and repeated takes are intended: report them as notes.")
@json_option
def audit(split, corpus, data, allow_speakers, as_json) -> int | None:
    """Audit a split for leaks, given as a CSV file."""
    from sernb.protocols.external_split import NEAR_SPEAKERS, read_split

    external_split = read_split(split, corpus=corpus, data=data, progress=True)
    leaks = external_split.leaks(allow_speakers=allow_speakers)
    leak_count = sum(not leak.allowed for _, leak in leaks)
    if as_json:
        rows = [
            ("note" if leak.allowed else "leak", fold, leak.kind, leak.count, leak.examples) for fold, leak in leaks
        ]
        rows += [("note", "", NEAR_SPEAKERS, 0, names) for names in external_split.near_speakers]
        listed = [dict(zip(FINDING, row, strict=True)) for row in rows]
        summary = {"split": str(split), "clips": len(external_split.clips), "folds": len(external_split.folds)}
        print(json.dumps({**summary, "findings": listed, "not looked for": external_split.unchecked}, indent=1))
        return PROBLEMS if leak_count else None
    kinds = list(dict.fromkeys(leak.kind for _, leak in leaks))
    notes = len(external_split.near_speakers)
    for kind in kinds:
        of_kind = [leak for _, leak in leaks if leak.kind == kind]
        notes += of_kind[0].allowed
        whole = dataclasses.replace(of_kind[0], count=sum(leak.count for leak in of_kind))
        folds = f", in {len(of_kind)} of {len(external_split.folds)} folds" if len(external_split.folds) > 1 else ""
        print(f"{'note' if whole.allowed else 'leak'}: {whole}{folds}")
    for names in external_split.near_speakers:
        people = f"{', '.join(names)} count as {len(names)} people; if they are one, write them alike"
        print(f"note: {NEAR_SPEAKERS}: {people}")
    for what in external_split.unchecked:
        print(f"not looked for: {what}")
    leaking = len(kinds) + len(external_split.near_speakers) - notes
    print(f"{split}: {len(external_split.clips)} clips, leaks: {leaking}, notes: {notes}")
    return PROBLEMS if leak_count else None


@command()
@click.argument("corpus", metavar="CORPUS", help=POOL)
@data_option
@option("--system", metavar="S", help="Features of this system, with its augmented copies (default: log-mel).")
@option("--features", metavar="ENCODER", help="Embeddings by a pretrained encoder, see `sernb encoders`.")
@option("--layers", default="all", metavar="L", help="Layers of the encoder: all, one as 2, or several as 1-3.")
@option("--pooling", default="mean+std", metavar="P", help="mean, mean+std or frames.")
@option("--csv", type=as_table, metavar="FILE", help="Write the features, one row per clip; FILE.gz is compressed.")
@option(
    "--table",
    type=as_table,
    metavar="FILE",
    help="Write the features in the format of FILE's suffix: .npz, .csv, .csv.gz or .parquet.",
)
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
        raise DataError("prepare accepts --system or --features, not both; leave one out")
    extractor = (
        Embedding(features, layers=layers, pooling=pooling) if features else chosen.features if chosen else LogMel()
    )
    if extractor is None and (csv or table):
        raise DataError(f"{chosen.name}: ignores its input, so there are no features to write; name another system")
    if extractor is None:
        print(f"{chosen.name} needs no features")
    elif table or csv:
        rows, columns = (write_table if table else write_csv)(table or csv, pool, extractor, data=data, progress=True)
        print(f"{table or csv}: {type(extractor).__name__} of {rows} clips, {columns} values each")
    else:
        for view in dict.fromkeys((*chosen.views, *chosen.training_views)) if chosen else (ORIGINAL,):
            clips = compute(pool, extractor, view=view, data=data, progress=True)
            rows, width = sum(map(len, clips.values())), next(iter(clips.values())).shape[1]
            name = type(extractor).__name__
            print(f"{pool.name}: {name}, view {view.name}: {len(clips)} clips, {rows} × {width} values")
