"""Scores in texts: each is the committed one, and none stands there that is not compared."""

import csv
import re
import statistics

import pytest

from sernb.config import ROOT, DataError
from sernb.corpora.registry import CORPORA, get_corpus
from sernb.results import committed
from tools import reference, statements

TEXTS = [(path, path.read_text("utf-8")) for path in reference.TABLES]
texts = pytest.mark.parametrize(
    ("path", "text"), TEXTS, ids=lambda each: getattr(getattr(each, "parent", None), "name", "")
)


def current(path, text):
    return statements.filled(reference.updated(text, reference.TABLES[path]))


@texts
def test_every_score_is_the_committed_one(path, text):
    assert current(path, text) == text, "python -m tools.reference"
    assert statements.unmarked(text) == []


@texts
def test_a_score_that_is_edited_is_noticed_wherever_it_stands(path, text):
    places = [at for mark in statements.MARK.finditer(text) for at in range(*mark.span(2))]
    for table in reference.tables_in(text, reference.TABLES[path]):
        start = text.index(table)
        places += range(start, start + len(table), 7)  # every seventh letter: some hundred digits
    digits = [at for at in places if text[at].isdigit()]
    assert len(digits) > 100
    spoilt = list(text)
    for at in digits:
        spoilt[at] = str((int(text[at]) + 1) % 10)
    names = re.compile(r"`[^`]*`|<!--=.*?-->")
    changed = current(path, "".join(spoilt))
    assert changed == text, "all of them are written anew"
    assert names.findall(changed) == names.findall(text)


@texts
@pytest.mark.parametrize(
    "said", ["has 65.9.", "p = 0.01", "[61, 70]", "± 0.4", "3 points", "73 %", "1440 clips", "| 1 | 2.5 |"]
)
def test_a_score_that_is_added_by_hand_is_noticed(path, text, said):
    assert statements.unmarked(f"{text}\n{said}\n") == [said]


def rows(path, **wanted):
    with open(committed.REFERENCE / path, encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if all(row[name] == value for name, value in wanted.items())]


def test_marks_mean_what_the_files_say():
    found = rows("ravdess_ridge.csv", System="functionals-ridge", Protocol="speaker-independent")
    values = [float(row["UAR"].split()[0]) for row in found]
    mean, spread = f"{statistics.mean(values):.1f}", f"{statistics.stdev(values):.1f}"
    key = "functionals-ridge speaker-independent UAR"
    assert len(values) == 5
    assert statements.score(f"{key} value") == mean
    assert statements.score(f"{key} spread") == f"{mean} ± {spread}"
    assert statements.score(key).startswith(f"{mean} [")
    assert statements.score(key).endswith(f"], 5 seeds ± {spread}")
    (two,) = rows("tess.csv", System="functionals-svm", Protocol="speaker-independent", Seed="0")
    assert statements.score("tess:functionals-svm speaker-independent UAR") == f"{two['UAR']} (clips)"
    pooled = rows("tess_pooled.csv", System="adaptive-ridge", Protocol="speaker-normalised")
    expected = statistics.mean(float(row["UAR"].split()[0]) for row in pooled)
    assert float(statements.score("pooled:adaptive-ridge speaker-normalised UAR value")) == pytest.approx(
        expected, abs=0.051
    )
    (published,), (strict,) = (rows("ravdess.csv", System="multiscale-cnn", Protocol=name)
                               for name in ("as-published", "speaker-independent"))  # fmt: skip
    lost = float(published["UAR"].split()[0]) - float(strict["UAR"].split()[0])
    assert statements.score("multiscale-cnn as-published UAR - multiscale-cnn speaker-independent UAR") == f"{lost:.1f}"


def test_marks_mean_what_page_card_and_records_say():
    page = (committed.REFERENCE / statements.PAGE).read_text("utf-8")
    cells = [re.sub(r"<[^>]*>", "", row).strip() for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL)]
    (first, _) = [cell for cell in cells if cell.startswith("functionals-svmfunctionals-ridge")]
    asked = "test functionals-svm functionals-ridge speaker-independent"
    found = (
        "".join(statements.score(f"{asked}{what}") for what in ("", " p", " holm"))
        .replace("p = ", "")
        .replace("p ", "")
    )
    assert first.removeprefix("functionals-svmfunctionals-ridge").replace("&lt;", "<").startswith(found)
    assert statements.score("literature CNN-14 (PANNs), fine-tuned") == "76.6"
    card = (ROOT / "sernb" / "prediction" / "models" / "functionals-ridge" / "README.md").read_text("utf-8")
    assert statements.score("model foreign/UAR") in card
    assert statements.score("corpus ravdess clips") == "1440"
    assert statements.score("full size") == "`statistics-svm`, `multiscale-cnn`"


@pytest.mark.parametrize(
    "key",
    ["sernet as-told UAR", "sernet speaker-independent Speed", "test a b c", "literature nobody", "model UAR",
     "corpus ravdess price", "nonsense"],
)  # fmt: skip
def test_a_mark_that_names_nothing_is_refused_in_one_line(key):
    with pytest.raises(DataError, match=re.escape(repr(key))) as error:
        statements.score(key)
    assert "\n" not in str(error.value)


OTHERS = ("subesco", "cafe", "esd", "emozionalmente")  # named in the text below the table


def test_the_corpora_of_the_readme_are_those_of_the_records():
    text = dict(TEXTS)[ROOT / "README.md"]
    (table,) = reference.tables_in(text, statements.CORPORA_HEADING)
    lines = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert sorted(line[0] for line in lines) == sorted(name for name in CORPORA if name not in OTHERS)
    assert all(f"`{name}`" in text for name in OTHERS)
    for name, clips, speakers, licence, source, _ in lines:
        record = get_corpus(name)
        assert int(clips.split()[0]) == record.clips
        assert int(speakers.split()[0]) == record.speakers
        doi = re.search(r"\[(10\.[^\]]*)\]", source)
        assert doi is None or doi[1].lower() in record.citation.lower()
        assert licence.split(",")[0].split()[0].lower() in record.licence.lower()


@texts
def test_what_must_be_known_of_a_row_is_told_with_it(path, text):
    for (system, _), sign in reference.NOTES.items():
        shown = re.search(rf"`{re.escape(system)}`.*{sign}.*\|", text)
        assert bool(shown) == bool(re.search(rf"^{sign} ", text, re.MULTILINE))
    assert f"\n{reference.NOTES['adaptive-ridge', 'as-published']} " in text


def test_the_readme_is_short():
    text = dict(TEXTS)[ROOT / "README.md"]
    assert len(text.splitlines()) <= 170
