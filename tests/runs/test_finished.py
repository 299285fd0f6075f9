"""A page whose runs are missing says which exist."""

import re
import shlex

import pytest

from sernb.config import NOTEBOOKS, MissingRuns
from sernb.corpora.pool import parse_pool
from sernb.reporting import execution, page
from sernb.runs.finished import find_finished
from sernb.runs.planning import plan
from sernb.runs.runner import run_many


@pytest.fixture
def demo_runs() -> None:
    """One run is missing of the random folds of seed 1."""
    planned = plan(["majority"], "demo", ["speaker-independent", "speaker-normalised"])
    run_many([*planned, *plan(["majority"], "demo", ["random"], seeds=[1])[1:]], jobs=1, progress=False)


def test_missing_runs_name_those_that_are_finished(demo_runs):
    with pytest.raises(MissingRuns) as caught:
        page.read_results(["statistics-svm"], "demo", profile="quick", seed=3)
    (line,) = caught.value.args
    assert line.startswith("5 of the 5 quick runs of this page are missing, such as statistics-svm · demo ·")
    make, show = (shlex.split(each) for each in re.findall(r"-p [^`;]*", line))
    assert make == shlex.split("-p corpus demo -p systems statistics-svm -p profile quick -p seed 3")
    values = dict(zip(show[1::3], show[2::3], strict=True))
    assert (values["corpus"], values["profile"]) == ("demo", "full")
    parameters = execution.parse_parameters(NOTEBOOKS / "40_test.ipynb", list(values.items()))
    experiments, results = page.read_results(**parameters)  # what the line advises works
    assert len(experiments) == 8
    assert [result.protocol for result in results] == ["speaker-independent", "speaker-normalised"]


def test_unfinished_studies_are_not_suggested():
    assert find_finished(parse_pool("demo")) == {}
    run_many(plan(["majority"], "demo", ["random"])[:1], jobs=1, progress=False)
    assert find_finished(parse_pool("demo")) == {}
    with pytest.raises(MissingRuns, match=r"makes them$"):
        page.read_results(["majority"], "demo", profile="full")


@pytest.mark.slow
def test_a_page_without_runs_is_not_written(demo_runs, tmp_path):
    target = tmp_path / "pages" / "40_test.html"
    with pytest.raises(MissingRuns, match=r"finished runs are shown with -p corpus demo -p systems majority"):
        execution.run(NOTEBOOKS / "40_test.ipynb", target, {"systems": ["statistics-svm"]})
    assert not [path for path in target.parent.rglob("*") if path.is_file()]
