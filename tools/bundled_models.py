"""Train the bundled models again: ``python -m tools.bundled_models``, half an hour; ``--check`` only compares them."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sernb.prediction.final_model import train_final_model
from sernb.prediction.loading import BUNDLED, BUNDLED_WITH_ENCODER, load_model
from sernb.runtime.bounded import arrays_in
from sernb.runtime.progress import progress_line

MODELS = {BUNDLED: "functionals-ridge-robust", BUNDLED_WITH_ENCODER: "embedding-functionals-robust"}


def differences(folder: Path, other: Path) -> list[str]:
    """Return the values in which two folders of a model differ beyond rounding; retraining gives none."""
    first, second = ({**load_model(each).metadata} for each in (folder, other))
    for about in (first, second):
        for name in ("provenance", "weights_sha256"):
            about.pop(name)
    left, right = (dict(_leaves(about)) for about in (first, second))
    different = sorted(left.keys() ^ right.keys())
    for name in left.keys() & right.keys():
        a, b = left[name], right[name]
        are_numbers = isinstance(a, float | int) and isinstance(b, float | int)
        if not (np.isclose(a, b, rtol=1e-3, atol=1e-4) if are_numbers else a == b):
            different.append(f"{name}: {a} and {b}")
    arrays = [arrays_in(each / "weights.npz") for each in (folder, other)]
    for name, values in arrays[0].items():
        scale = np.abs(values).max() or 1.0
        if name not in arrays[1] or not np.allclose(values, arrays[1][name], rtol=0, atol=1e-3 * scale):
            different.append(f"weights: {name}")
    return different


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(each, f"{name}/{key}")
    else:
        yield name, value


def main() -> None:
    """Train the bundled models, or compare them with retrained ones."""
    parser = argparse.ArgumentParser(prog="python -m tools.bundled_models", description=__doc__.partition(":")[0])
    parser.add_argument("--corpus", default="ravdess", metavar="C", help="training corpus")
    parser.add_argument("--foreign", default="tess:available", metavar="C", help="corpus for evaluation only")
    parser.add_argument("--only", choices=[folder.name for folder in MODELS], help="one of the two models")
    parser.add_argument("--check", action="store_true", help="change nothing: compare the models with retrained ones")
    options = parser.parse_args()
    different = []
    for folder, system in MODELS.items():
        if options.only not in (None, folder.name):
            continue
        if not options.check:
            train_final_model(system, options.corpus, options.foreign, folder)
            progress_line(f"model: {folder}")
            continue
        with tempfile.TemporaryDirectory(prefix="sernb-") as retrained:
            train_final_model(system, options.corpus, options.foreign, Path(retrained))
            different += [f"{folder.name}: {line}" for line in differences(folder, Path(retrained))]
    if options.check:
        progress_line("\n".join(different) or "retrained, nothing differs")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
