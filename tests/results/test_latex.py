"""Tables for LaTeX hold what the printed ones hold, and nothing in them is taken for a command."""

import re

import pandas as pd
import pytest

from sernb.__main__ import main
from sernb.results.latex import escape, latex_table

MEANT = {
    r"\&": "&", r"\%": "%", r"\$": "$", r"\#": "#", r"\_": "_", r"\{": "{", r"\}": "}", r"\textless{}": "<",
    r"\textgreater{}": ">", r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^",
}  # fmt: skip


def read(text: str) -> str:
    """Return what LaTeX would show, by the list of its special characters; anything else with a backslash fails."""
    shown = re.sub(r"\\text\w+\{\}|\\.", lambda match: MEANT[match[0]], text)
    assert not re.search(r"[&%$#_{}~^\\]", re.sub(r"\\text\w+\{\}|\\.", "", text))
    return shown


def test_every_character_is_read_as_it_was():
    odd = r"a_b & 5 % of $x^2$ #1 {y} \input{/etc/passwd} ~ <b> – ± †"
    assert read(escape(odd)) == odd


def test_rows_and_columns_are_those_of_the_table():
    table = pd.DataFrame({"UAR %": ["65.9 [61.4, 70.3]", None], "a_b": [1, 2]})
    text = latex_table(table, "95 % of\nall_speakers", label="results")
    body = text.split("\\midrule\n")[1].split("\\bottomrule")[0]
    rows = [
        [read(cell.strip()) for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\"))] for line in body.splitlines()
    ]
    assert rows == [["65.9 [61.4, 70.3]", "1"], ["–", "2"]]
    assert r"UAR \% & a\_b \\" in text
    assert r"\caption{95 \% of all\_speakers}" in text


@pytest.mark.slow
def test_the_command_writes_what_it_prints(tmp_path, capsys):
    file = tmp_path / "results.tex"
    arguments = ["experiment", "--systems", "majority", "--corpus", "demo", "--protocol", "speaker-independent,random"]
    assert main([*arguments, "--seeds", "0-1", "--latex", str(file), "--dirty"]) == 0
    printed, written = capsys.readouterr().out, file.read_text(encoding="utf-8")
    assert written.count(r"\begin{tabular}") == 2  # the results, and their means over seeds
    for value in re.findall(r"\d+\.\d \[[\d., ]+\]", printed):
        assert value in written
    for word in ("speaker-independent", "random", "240", "8", "Clips", "Folds", "Speakers", "majority"):
        assert word in written
    caption = re.search(r"\\caption\{(.*)\}\n", written)[1]
    assert printed.splitlines()[-1] in read(caption)
    assert "demo corpus" in caption
