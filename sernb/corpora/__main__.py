"""Rewrite the committed index of a corpus, ``sernb/corpora/indexes/<corpus>.csv``.

    python -m sernb.corpora CORPUS --recordings DIR [--tables DIR]
    python -m sernb.corpora CORPUS --manifest FILE [--recordings DIR] [--tables DIR]

A manifest is a CSV file with the columns path, size and sha256, one row per published file.
"""

import argparse
from pathlib import Path

from sernb.corpora.index import build_index, index_of_manifest, write_table
from sernb.corpora.registry import get_corpus
from sernb.runtime.files import atomic


def main(arguments: list[str] | None = None) -> None:
    """Write the index of one corpus."""
    parser = argparse.ArgumentParser(prog="python -m sernb.corpora", description="Rewrite the index of a corpus.")
    parser.add_argument("corpus")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="CSV with published paths, sizes and checksums")
    parser.add_argument("--recordings", type=Path, metavar="DIR", help="folder with all or some of the recordings")
    parser.add_argument("--tables", type=Path, metavar="DIR", help="folder with the publishers' metadata tables")
    options = parser.parse_args(arguments)
    corpus = get_corpus(options.corpus)
    if options.manifest:
        index = index_of_manifest(corpus, options.manifest, recordings=options.recordings, tables=options.tables)
    elif options.recordings:
        index = build_index(corpus, options.recordings, tables=options.tables)
    else:
        parser.error("--manifest or --recordings is needed")
    with atomic(corpus.index_path) as unfinished:
        write_table(index, unfinished)
    print(f"{corpus.index_path}: {len(index)} clips of {index.speaker.nunique()} speakers")


if __name__ == "__main__":
    main()
