"""What ``pip install sernb`` without extras can do: predict, serve the app, fetch, check; and what it says of the rest.

The packages of the workbook are installed where tests run: here they cannot be imported, as where they are not there.
"""

import ast
import json
import os
import signal
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from urllib.request import Request, urlopen

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sources import ROOT, imports_of
from test_environment import DISTRIBUTIONS, LIGHT, OPTIONAL, names

from sernb.runtime.environment import EXTRAS, advise_install

CLIP = ROOT / "data/demo/Actor_02/03-01-05-01-01-01-02.flac"
# Rooms that a light install imports, and which extra a module there needs for what only the workbook asks of it.
ROOMS = (
    "api",
    "audio",
    "cli",
    "colours",
    "config",
    "corpora",
    "encoders",
    "evaluation",
    "features",
    "prediction",
    "runtime",
)
NEEDS = {
    "audio/augmentation": "workbook",
    "audio/degradation": "workbook",
    "corpora/export": "parquet",
    "encoders/hf_door": "hf",
    "encoders/onnx_door": "onnx",
    "encoders/table_door": "parquet",
    "encoders/whisper_keras": "workbook",
    "features/image": "workbook",
    "features/windows": "workbook",
    "prediction/figures": "workbook",
    "prediction/litert_operations": "workbook litert",
    "prediction/onnx_operations": "onnx",
    "runtime/cluster": "cluster",
    "runtime/environment": "workbook",
}
# Imported by what draws, or exports, alone.
WHOLLY = ("prediction/figures", "prediction/litert_operations", "prediction/onnx_operations")
REFUSE = """
import importlib.abc, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
"""


def third_party(nodes) -> set[str]:
    """Distributions that some nodes of a module import."""
    modules = {name.partition(".")[0] for node in nodes for name in imports_of(node)} - set(sys.stdlib_module_names)
    return {canonicalize_name(name) for each in modules - {"sernb"} for name in DISTRIBUTIONS.get(each, [each])}


def test_every_module_of_a_light_install_says_what_else_it_needs():
    found = {}
    for path in sorted((ROOT / "sernb").rglob("*.py")):
        module = path.relative_to(ROOT / "sernb").with_suffix("").as_posix()
        if module.partition("/")[0] not in ROOMS:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if more := third_party([tree]) - names(LIGHT):
            found[module] = " ".join(extra for extra, of in OPTIONAL.items() if extra != "dev" and more & names(of))
        if module not in WHOLLY:
            top = third_party(
                node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.If)
            )
            assert top <= names(LIGHT), f"{module} imports {top - names(LIGHT)} whatever it is imported for"
    assert found == NEEDS


def test_advice_names_the_extra_that_brings_the_package():
    declared = {canonicalize_name(each.name): extra for extra, of in OPTIONAL.items() if extra != "dev" for each in of}
    for package, extra in EXTRAS.items():
        assert declared[canonicalize_name(package)] == extra
    for package in names(OPTIONAL["workbook"]):
        assert advise_install(ModuleNotFoundError(name=package)).endswith("pip install 'sernb[workbook]'")


def light_distributions() -> set[str]:
    """The light dependencies and what they depend on, as installed here."""
    found, waiting = set(), names(LIGHT)
    while waiting:
        name = waiting.pop()
        found.add(name)
        try:
            needed = [Requirement(line) for line in requires(name) or []]
        except PackageNotFoundError:
            continue
        waiting |= {
            canonicalize_name(each.name) for each in needed if not each.marker or each.marker.evaluate({"extra": ""})
        } - found
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheel):
    """The wheel in a folder of its own, and the variables with which a Python sees it and light packages alone."""
    folder = tmp_path_factory.mktemp("installed")
    wheel.extractall(folder / "site")
    light = light_distributions()
    refused = {
        module
        for module, of in DISTRIBUTIONS.items()
        if not {canonicalize_name(each) for each in of} & (light | {"sernb"})
    }
    (folder / "site" / "sitecustomize.py").write_text(REFUSE.format(refused=refused), "utf-8")
    (folder / "home").mkdir()
    variables = {
        "PYTHONPATH": str(folder / "site"),
        "HOME": str(folder / "home"),
        "SERNB_ENCODERS": str(folder / "none"),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SERNB_")}
    return {"env": kept | variables, "cwd": folder / "home", "text": True}


def run(installed, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *words], **installed, capture_output=True, check=False, timeout=300)


THREE_LINES = """
import sernb
model = sernb.load()
table = model.predict([{clip!r}])
import json, sys
from sernb import config
clips, about = sernb.corpus("ravdess")
x = model.embed({clip!r})
worth = sernb.evaluate(["angry"], table)
print(json.dumps([sernb.__file__, table["prediction"][0], len(clips), x.shape, len(worth), str(config.DATA)]))
try:
    import tensorflow
except ModuleNotFoundError:
    print("no tensorflow")
"""


def test_three_lines_of_python_give_an_answer(installed):
    done = run(installed, "-c", THREE_LINES.format(clip=str(CLIP)))
    assert done.returncode == 0, done.stderr
    said, last = done.stdout.splitlines()
    assert json.loads(said) == [
        f"{installed['env']['PYTHONPATH']}/sernb/__init__.py", "angry", 1440, [1, 7828], 4, "~/sernb-data",
    ]  # fmt: skip
    assert last == "no tensorflow"


def test_the_command_predicts_many_and_sums_up(installed):
    done = run(installed, "-m", "sernb", "predict", str(CLIP), "gone.wav", "--csv", "found.csv")
    assert done.returncode == 1
    assert "gone.wav: cannot be read" in done.stderr
    *_, summary, last = done.stdout.splitlines()
    assert summary == "2 recordings: 1 not sure; 1 out of domain; 1 not predicted, see above"
    assert "sernb fetch whisper-tiny.en" in last
    assert len((installed["cwd"] / "found.csv").read_text("utf-8").splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "report",
            "sernb report needs the workbook: run it in its checkout, after pip install",
        ),
        ("corpora", ""),
        ("encoders", ""),
    ],
)
def test_other_commands_work_or_say_what_to_install(installed, words, said):
    done = run(installed, "-m", "sernb", words)
    assert "Traceback" not in done.stderr
    assert done.returncode == bool(said), done.stderr
    assert done.stderr.startswith(f"sernb: {said}" if said else "")
    assert done.stderr.count("\n") == bool(said)


def test_in_a_checkout_a_missing_package_is_one_line(installed):
    given = {**installed, "cwd": ROOT}
    done = run(given, "-m", "sernb", "run", "40_test")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'sernb[workbook]'" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as POSIX does")
def test_the_app_serves(installed):
    command = [sys.executable, "-m", "sernb", "app", "--port", "0", "--keep", "kept"]
    with subprocess.Popen(command, **installed, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as app:
        try:
            address = next(word for line in app.stdout for word in line.split() if word.startswith("http://127.0.0.1"))
            with urlopen(address, timeout=60) as page:  # noqa: S310
                assert b"__SETUP__" not in page.read()
            place, token = address.split("/?token=")
            request = Request(f"{place}/predict?name=me.flac", CLIP.read_bytes(), {"X-Sernb-Token": token})  # noqa: S310
            with urlopen(request, timeout=120) as answer:  # noqa: S310
                assert json.load(answer)["probabilities"]["angry"] > 0.5
        finally:
            app.send_signal(signal.SIGINT)
            app.communicate(timeout=60)
    assert app.returncode in (0, 130)
