"""What lies in a user's home and environment decides no result, no picture and no page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sernb.runtime.environment import recorded_settings

TRAINED = """
import hashlib
import numpy as np
from sernb.systems.learning.training import keras, seed_everything

seed_everything(0)
layers = [keras.Input((20, 12, 1)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(),
          keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
model = keras.Sequential(layers)
model.compile("adam", "categorical_crossentropy", jit_compile=False)  # as networks here are trained
values = np.random.default_rng(0).normal(size=(64, 20, 12, 1)).astype("float32")
model.fit(values, np.eye(3)[np.arange(64) % 3], epochs=1, shuffle=False, verbose=0)
print(keras.backend.backend(), {weight.dtype for weight in model.weights})
print(hashlib.sha256(b"".join(np.asarray(weight).tobytes() for weight in model.weights)).hexdigest())
"""


def said(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("KERAS", "TF_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=known | environment, cwd=folder, capture_output=True, text=True
    )
    return done


def keras_json(home: Path, **settings: object) -> str:
    (home / ".keras").mkdir(parents=True)
    (home / ".keras" / "keras.json").write_text(json.dumps(settings))
    return str(home)


@pytest.mark.slow
def test_settings_of_keras_and_tensorflow_decide_nothing(tmp_path):
    plain = said(TRAINED, tmp_path, HOME=str(tmp_path))
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.startswith("tensorflow {'float32'}")
    other = {"floatx": "float99", "epsilon": 0.1, "backend": "jax", "image_data_format": "channels_first"}
    home = keras_json(tmp_path / "home", **other)
    settings = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_NUM_INTRAOP_THREADS": "4", "KERAS_MAX_STEPS_PER_EPOCH": "1"}
    assert said(TRAINED, tmp_path, HOME=home, KERAS_HOME=f"{home}/.keras", **settings).stdout == plain.stdout


@pytest.mark.slow
def test_a_user_who_imported_keras_before_gets_the_same(tmp_path):
    home = keras_json(tmp_path / "home", floatx="float64", epsilon=0.1, image_data_format="channels_first")
    code = (
        "import keras, sernb.systems.learning.training\n"
        "config = keras.config\n"
        "print(config.floatx(), config.epsilon(), config.image_data_format(), config.dtype_policy().name)"
    )
    assert said(code, tmp_path, HOME=home).stdout == "float32 1e-07 channels_last float32\n"


@pytest.mark.parametrize("name", ["theano", "no such"])
def test_a_backend_that_is_none_is_said_in_one_line(tmp_path, name):
    code = (
        "from sernb.config import DataError\n"
        "try:\n    import sernb.systems.learning.training\nexcept DataError as error:\n    print(error)"
    )
    done = said(code, tmp_path, KERAS_BACKEND=name)
    assert done.stdout.startswith(f"KERAS_BACKEND={name}: is not an installed backend of Keras; unset it, or choose")
    assert done.stderr == ""


def test_what_may_move_a_digit_is_recorded_without_folders(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/home/somebody")
    assert recorded_settings()["OPENBLAS_CORETYPE"] == "Haswell"
    assert recorded_settings()["XLA_FLAGS"] == "set"


DRAWN = """
import hashlib, sys
import pandas as pd
from IPython import display
from sernb.figures.style import canvas, our_style, styled, Drawing
from sernb.reporting.page import show

@styled
def draw():
    figure, axes = canvas(height=2)
    axes.plot([0, 1], [2, 1], label="one")
    axes.set_title("Title")
    axes.legend()
    return Drawing(figure, "A line.")

display.display = lambda data, **_: print(hashlib.sha256(data["image/png"].encode()).hexdigest())
show(*draw())
"""


@pytest.mark.slow
def test_a_matplotlibrc_changes_no_picture(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "other").mkdir()
    text = "font.size: 20\nfont.sans-serif: DejaVu Sans Mono\nlines.linewidth: 9\nsavefig.transparent: True\n"
    (tmp_path / "here" / "matplotlibrc").write_text(text)
    plain = said(DRAWN, tmp_path / "other", MPLBACKEND="agg")
    assert plain.returncode == 0, plain.stderr
    assert said(DRAWN, tmp_path / "here", MPLBACKEND="agg").stdout == plain.stdout
    named = said(DRAWN, tmp_path / "other", MPLBACKEND="agg", MATPLOTLIBRC=str(tmp_path / "here" / "matplotlibrc"))
    assert named.stdout == plain.stdout


RUN = """
import sys
from pathlib import Path
from sernb.reporting.execution import run

run(Path(sys.argv[1]), Path(sys.argv[2]), {})
"""


@pytest.mark.slow
def test_pages_are_run_by_this_python_and_not_by_what_a_user_tells_jupyter(tmp_path):
    import nbformat

    foreign = tmp_path / "jupyter" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    spec = {"argv": ["false", "{connection_file}"], "display_name": "Another", "language": "python"}
    (foreign / "kernel.json").write_text(json.dumps(spec))
    startup = tmp_path / "home" / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("seen = 'mine'")
    (tmp_path / "first.py").write_text("seen = 'mine too'")
    cell = nbformat.v4.new_code_cell("import sys\nprint(sys.executable, 'seen' in globals())")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "where.ipynb")
    environment = os.environ | {
        "JUPYTER_PATH": str(tmp_path / "jupyter"),
        "HOME": str(tmp_path / "home"),
        "PYTHONSTARTUP": str(tmp_path / "first.py"),
    }
    command = [sys.executable, "-c", RUN, tmp_path / "where.ipynb", tmp_path / "pages" / "where.html"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (cell,) = nbformat.read(tmp_path / "pages" / "where.ipynb", as_version=4).cells
    assert cell.outputs[0].text == f"{sys.executable} False\n"
