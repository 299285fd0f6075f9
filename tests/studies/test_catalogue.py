"""The overview of the workbook says what its committed results say."""

import csv

from sernb.config import REPORTS
from sernb.studies import catalogue


def test_the_first_sentence_is_of_committed_rows():
    with (REPORTS / "reference" / "ravdess.csv").open(encoding="utf-8") as file:
        rows = {(row["System"], row["Protocol"]): row for row in csv.DictReader(file)}
    first, counts = catalogue.headline()
    name = first.partition("RAVDESS, ")[2].partition(" has")[0]
    shared, unseen = rows[name, "as-published"], rows[name, "speaker-independent"]
    assert f"UAR of {shared['UAR']} % with its authors' split" in first
    assert f"{unseen['UAR']} % on unseen speakers ({unseen['Clips']} clips, {unseen['Folds']} folds)" in first
    assert f"chance level {unseen['UAR floor']} %" in first
    assert f"{len(catalogue.corpora_table())} corpora (demo" in counts
