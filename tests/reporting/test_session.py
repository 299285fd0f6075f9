"""Parameters that pages share: set once, used by every page that leaves them empty."""

import re

import pytest

from sernb.__main__ import main
from sernb.config import NOTEBOOKS, DataError
from sernb.reporting import execution, page, session
from sernb.reporting.execution import read_parameters
from sernb.reporting.html import read_notebook


def test_empty_parameters_are_those_of_the_session_and_others_their_own(capsys):
    assert page.shared(corpus="", systems=[], profile="") == ("demo", [], "quick")
    assert capsys.readouterr().out == "", "defaults need no words"
    page.set_session(corpus="ravdess", systems=["functionals-ridge"])
    page.set_session(profile="full")
    assert "corpus ravdess; systems functionals-ridge; protocols as each page chooses; profile full" in (
        capsys.readouterr().out
    )
    assert page.shared(corpus="", systems=["majority"], profile="") == ("ravdess", ["majority"], "full")
    assert capsys.readouterr().out == "From the session: corpus ravdess; profile full.\n"
    page.set_session(corpus="")
    assert page.shared(corpus="", profile="") == ("demo", "full")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"corpora": "demo"}, "no shared parameter is named 'corpora'; known: corpus, systems"),
        ({"corpus": "ravdes"}, "did you mean ravdess"),
        ({"systems": ["sernett"]}, "did you mean sernet"),
        ({"systems": "sernet"}, "is not a list of names"),
        ({"profile": "slow"}, "known: quick, full"),
    ],
)
def test_wrong_values_are_refused_and_nothing_is_kept(given, message, work):
    with pytest.raises(DataError, match=re.escape(message)):
        page.set_session(**given)
    assert not (work / "session.json").exists()


def test_a_damaged_file_is_one_line_with_the_next_step(work):
    work.mkdir()
    (work / "session.json").write_text('{"corpus": 3}')
    with pytest.raises(DataError, match=r"session\.json: cannot be used \(corpus: 3 is not a text\); delete it$"):
        page.shared(corpus="")


def test_the_command_uses_the_session_as_jupyterlab_does(monkeypatch, tmp_path):
    """What it uses is given as parameters, so that the page's footer makes the same page again."""
    given = []
    monkeypatch.setattr(execution, "run", lambda source, page, values, *, progress: given.append((page, values)))
    page.set_session(corpus="ravdess", systems=["functionals-ridge"], profile="full")
    assert main(["run", "40_test", "-p", "profile", "quick"]) == 0
    assert main(["run", "42_test_dimensions", "--out", str(tmp_path)]) == 0
    assert main(["run", "40_test", "-p", "corpus", ""]) == 0
    (target, values), (_, others), (same, _) = given
    assert same == target, "an empty corpus is that of the session"
    assert values == {"corpus": "ravdess", "systems": ["functionals-ridge"], "profile": "quick"}
    assert target.parent.name == "ravdess"
    assert others == {"corpus": "ravdess", "profile": "full"}, "its systems predict numbers"


def test_every_page_asks_for_the_parameters_it_shares():
    for source in sorted(NOTEBOOKS.glob("*.ipynb")):
        parameters = read_parameters(source)
        code = "\n".join(cell.source for cell in read_notebook(source).cells if cell.cell_type == "code")
        asked = re.findall(r"page\.shared\((.*)\)", code)
        shared = session.DEFAULTS if "target" not in parameters else {"corpus", "profile"}
        names = [name for name in session.DEFAULTS if name in parameters and name in shared]
        assert asked == ([", ".join(f"{name}={name}" for name in names)] if names else [])
