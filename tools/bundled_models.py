"""Make the bundled models again: ``python -m tools.bundled_models``, half an hour; ``--check`` changes nothing."""

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
    """Return in which values two folders of a model differ beyond rounding; the same make gives none."""
    first, second = ({**load_model(each).metadata} for each in (folder, other))
    for about in (first, second):
        for name in ("provenance", "weights_sha256"):
            about.pop(name)
    left, right = (dict(_leaves(about)) for about in (first, second))
    found = sorted(left.keys() ^ right.keys())
    for name in left.keys() & right.keys():
        a, b = left[name], right[name]
        numbers = isinstance(a, float | int) and isinstance(b, float | int)
        if not (np.isclose(a, b, rtol=1e-3, atol=1e-4) if numbers else a == b):
            found.append(f"{name}: {a} and {b}")
    arrays = [arrays_in(each / "weights.npz") for each in (folder, other)]
    for name, values in arrays[0].items():
        scale = np.abs(values).max() or 1.0
        if name not in arrays[1] or not np.allclose(values, arrays[1][name], rtol=0, atol=1e-3 * scale):
            found.append(f"weights: {name}")
    return found


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(each, f"{name}/{key}")
    else:
        yield name, value


def main() -> None:
    """Make the bundled models, or say how they differ from a new make."""
    parser = argparse.ArgumentParser(prog="python -m tools.bundled_models", description=__doc__.partition(":")[0])
    parser.add_argument("--corpus", default="ravdess", metavar="C", help="to train on")
    parser.add_argument("--foreign", default="tess:available", metavar="C", help="for evaluation only")
    parser.add_argument("--only", choices=[folder.name for folder in MODELS], help="one of the two")
    parser.add_argument(
        "--check", action="store_true", help="change nothing: say how the models differ from a new make"
    )
    options = parser.parse_args()
    found = []
    for folder, system in MODELS.items():
        if options.only not in (None, folder.name):
            continue
        if not options.check:
            train_final_model(system, options.corpus, options.foreign, folder)
            progress_line(f"model: {folder}")
            continue
        with tempfile.TemporaryDirectory(prefix="sernb-") as made:
            train_final_model(system, options.corpus, options.foreign, Path(made))
            found += [f"{folder.name}: {line}" for line in differences(folder, Path(made))]
    if options.check:
        progress_line("\n".join(found) or "made again, nothing differs")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
