"""Measuring what is missing: fresh rows take the place of the old, and nothing else moves."""

import pandas as pd

from sernb.systems.registry import get_system
from tools.measure import CELLS, Cell, missing, put

OLD = (
    "System,Protocol,Seed,UAR,Corpus,Commits\na,p,0,1,c,0123456789ab+\na,p,1,2,c,0123456789ab\nb,p,0,3,c,0123456789ab\n"
)
NEW = "System,Protocol,UAR,Corpus,Recipe,Commits\na,p,9,c,1,ba9876543210\nd,p,8,c,1,ba9876543210\n"


def test_fresh_rows_replace_those_of_the_same_system_protocol_seed_and_corpus(tmp_path):
    committed, fresh = tmp_path / "rows.csv", tmp_path / "fresh.csv"
    committed.write_text(OLD)
    fresh.write_text(NEW)
    put(fresh, committed)
    rows = pd.read_csv(committed, dtype=str, keep_default_na=False)
    assert rows[["System", "Seed", "UAR", "Recipe"]].to_numpy().tolist() == [
        ["a", "0", "9", "1"],
        ["a", "1", "2", ""],
        ["b", "0", "3", ""],
        ["d", "0", "8", "1"],
    ]
    put(fresh, committed)
    assert pd.read_csv(committed, dtype=str, keep_default_na=False).equals(rows)
    put(fresh, committed, seed=2)
    assert len(pd.read_csv(committed)) == len(rows) + 2


def test_rows_of_no_commit_or_of_an_older_recipe_are_missing():
    cell = Cell("ravdess", "sernet,sernet-functionals", "speaker-independent", 1)
    row = {"Corpus": "ravdess", "Protocol": "speaker-independent", "Seed": "0", "Recipe": ""}
    rows = pd.DataFrame(
        [
            row | {"System": "sernet", "Commits": "0123456789ab+"},
            row | {"System": "sernet-functionals", "Commits": "0123456789ab"},
        ]
    )
    assert missing(cell, rows) == ["sernet"]
    rows["Commits"] = "0123456789ab"
    assert missing(cell, rows) == []
    rows["Recipe"] = "0"
    assert missing(cell, rows) == ["sernet", "sernet-functionals"]
    assert missing(cell, rows.assign(Seed="1")) == ["sernet", "sernet-functionals"]


def test_cells_are_of_known_systems_each_once_in_order_of_cost():
    assert all(get_system(name).name == name for cell in CELLS for name in cell.systems.split(","))
    assert [cell.minutes for cell in CELLS] == sorted(cell.minutes for cell in CELLS)
    assert len({tuple(cell.command) for cell in CELLS}) == len(CELLS)
