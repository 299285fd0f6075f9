"""Tables as people's programs write them: read, or refused in one line that names the line."""

import codecs
import re
import shutil
from pathlib import Path

import pytest

from sernb.config import ROOT, DataError
from sernb.corpora.csv_table import near_equal, read_csv_table
from sernb.corpora.registry import get_corpus

FAILING = ROOT.parent / "shared" / "failing" / "tables"
KNOWN = ("path", "part", "speaker")
ROWS = [{"path": "a.wav", "part": "train", "speaker": "1"}, {"path": "b.wav", "part": "test", "speaker": "2"}]
TEXT = "path,part,speaker\na.wav,train,1\nb.wav,test,2\n"

READ = {
    "commas": TEXT,
    "semicolons": TEXT.replace(",", ";"),
    "tabs": TEXT.replace(",", "\t"),
    "bars": TEXT.replace(",", "|"),
    "mixed: more commas than semicolons in a name": 'path;part;speaker;"a,b,c,d,e"\na.wav;train;1\nb.wav;test;2\n',
    "sep= of Excel": f"sep=;\r\n{TEXT.replace(',', ';')}",
    "sep= in quotes": f'"sep=|"\n{TEXT.replace(",", "|")}',
    "sep= a tab": f"sep=\t\n{TEXT}".replace(",", "\t"),
    "trailing commas in rows": TEXT.replace("1\n", "1,\n").replace("2\n", "2,,\n"),
    "trailing commas everywhere": TEXT.replace("\n", ",,,\n"),
    "lines of commas": f"{TEXT},,\n,,\n\n",
    "empty lines in front": f"\n,,,\n{TEXT}",
    "spaces": "path , part, speaker\n a.wav , train,1\nb.wav,test , 2\n",
    "capitals": TEXT.replace("path,part,speaker", "Path,PART,Speaker"),
    "quotes": 'path,part,speaker\n"a.wav","train","1"\n"b.wav", "test",2\n',
    "lines of Windows": TEXT.replace("\n", "\r\n"),
    "lines of an old Mac": TEXT.replace("\n", "\r"),
    "no end of the last line": TEXT.rstrip(),
    "a column without a name, as pandas writes its index": ",path,part,speaker\n0,a.wav,train,1\n1,b.wav,test,2\n",
    "other columns twice": "note,path,part,speaker,note\nx,a.wav,train,1,y\n,b.wav,test,2,\n",
    "a remark over two lines": 'path,part,speaker,note\na.wav,train,1,"loud\nand clear"\nb.wav,test,2,\n',
}


def written(folder: Path, text: str | bytes, encoding: str = "utf-8") -> Path:
    file = folder / "table.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return file


@pytest.mark.parametrize("form", READ)
def test_tables_are_read_as_programs_write_them(tmp_path, form):
    rows = [row for _, row in read_csv_table(written(tmp_path, READ[form]), KNOWN).rows]
    assert [{name: row[name] for name in KNOWN} for row in rows] == ROWS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_codings_that_say_what_they_are_are_read(tmp_path, encoding):
    table = read_csv_table(written(tmp_path, TEXT.replace("1", "Zoë"), encoding), KNOWN)
    assert table.rows[0] == (2, {"path": "a.wav", "part": "train", "speaker": "Zoë"})


def test_lines_are_those_of_the_file(tmp_path):
    table = read_csv_table(
        written(tmp_path, 'sep=;\npath;part;speaker;note\n\na.wav;train;1;"x\ny"\nb.wav;test;2\n'), KNOWN
    )
    assert [line for line, _ in table.rows] == [5, 6]


def test_letters_are_composed(tmp_path):
    (row,) = read_csv_table(written(tmp_path, "path\ne\u0301.wav\n"), KNOWN).rows
    assert row[1] == {"path": "é.wav"}


REFUSED = {
    "an open quote at the end": (TEXT + '"c.wav,train,3\n', "line 4: a quote is not closed"),
    "an open quote that another one closes": (
        'path,part,speaker\n"a.wav,train,1\nb.wav,test,2\n"c.wav,train,3\n', "line 4: cannot be read",
    ),
    "a quoted name over two lines": ('path,part\n"a\nb",train\n', "line 3: column path spans several lines"),
    "rows swallowed by a remark": (
        'path,part,note\na.wav,train,"x\nb.wav,test,\nc.wav,test,"\n', "line 4: column note spans several lines",
    ),
    "a column twice": ("path,Speaker,part,speaker \na.wav,1,train,2\n", ": has the column speaker 2 times; keep one"),
    "a cell too many": (TEXT + "c, d.wav,train,3\n", "line 4: has more cells than the header"),
    "cp1252": (TEXT.replace("1", "Zoë").encode("cp1252"), ": is not UTF-8 text; save it as CSV with UTF-8"),
    "half of UTF-16": (TEXT.encode("utf-16")[:-1], ": is not UTF-8 text"),
    "UTF-16 without its mark": (TEXT.encode("utf-16-le"), "is binary, not text"),
    "UTF-32": (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), "is binary, not text"),
    "a spreadsheet": (b"PK\3\4\0\0\0\0", "is binary, not text"),
    "too many columns": ("path," + "x," * 10_000 + "part\n", ": has 10002 columns"),
    "too many empty cells": (
        "path," + "x," * 9000 + "part\n" + ("a" + "," * 9001 + "\n") * 1200, "has 9002 columns and 1111 rows, more",
    ),
    "a cell without end": (f"path,part\n{'a' * 200_000},train\n", "line 2: cannot be read (field larger"),
}  # fmt: skip


@pytest.mark.parametrize("form", REFUSED)
def test_what_can_be_understood_in_two_ways_is_refused_in_one_line(tmp_path, form):
    text, words = REFUSED[form]
    with pytest.raises(DataError) as caught:
        read_csv_table(written(tmp_path, text), KNOWN)
    (line,) = caught.value.args
    assert line.startswith(f"{tmp_path / 'table.csv'}")
    assert words in line
    assert "\n" not in line


def test_what_is_no_file_is_refused(tmp_path):
    for path, words in ((tmp_path, "is not a regular file"), (tmp_path / "x.csv", "no such file")):
        with pytest.raises(DataError, match=words):
            read_csv_table(path, KNOWN)


def test_names_that_may_mean_one_person_are_noted():
    assert near_equal(["Spk1", "spk1", "spk2", "A_01", "a-1", "B", "राम", "रीम", "1-1", "11"]) == [
        ["A_01", "a-1"],
        ["Spk1", "spk1"],
    ]


@pytest.mark.skipif(not FAILING.is_dir(), reason="the small failing inputs are not here")
def test_inputs_that_failed(tmp_path):
    assert [row for _, row in read_csv_table(FAILING / "trailing.csv", KNOWN).rows] == ROWS
    assert [row for _, row in read_csv_table(FAILING / "semi.csv", KNOWN).rows] == ROWS
    shutil.copy(FAILING / "speaker_column_twice.csv", tmp_path / "labels.csv")
    with pytest.raises(DataError, match=re.escape("labels.csv: has the column speaker 2 times; keep one")):
        get_corpus(str(tmp_path))
