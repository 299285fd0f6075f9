"""An exported model in a process that has nothing but NumPy and onnxruntime."""

import subprocess
import sys
from pathlib import Path

import numpy as np

ALONE = """
import sys
import numpy, onnxruntime

known = numpy.load(sys.argv[1] + "/known-answer.npz")
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx")
said = session.run(["probabilities"], {each.name: known[each.name] for each in session.get_inputs()})[0]
more = session.run(["probabilities"], {"functionals": numpy.load(sys.argv[2])})[0]
numpy.save(sys.argv[3], more)
assert abs(said - known["probabilities"]).max() < 1e-4
assert not any(name.split(".")[0] in ("sernb", "tensorflow", "onnx", "scipy") for name in sys.modules)
"""


def run_alone(exported: Path, rows: np.ndarray, folder: Path) -> np.ndarray:
    """Return what a process that has nothing but NumPy and onnxruntime makes of rows of features."""
    np.save(folder / "rows.npy", rows)
    program = [sys.executable, "-I", "-c", ALONE, str(exported), str(folder / "rows.npy"), str(folder / "said.npy")]
    subprocess.run(program, check=True, cwd=folder)
    return np.load(folder / "said.npy")
