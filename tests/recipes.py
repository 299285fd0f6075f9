"""What decides the results of each system, in digits: ``python -m tests.recipes`` writes ``recipes.json`` anew.

Values only, never source text: settings of both profiles, features, labels, views, layers, loss, optimizer, how batches
and epochs go, and how an ensemble combines fixed scores. Moving or renaming code changes nothing.
"""

import argparse
import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sernb.config import digest, plain
from sernb.systems.base import REDUCED, Examples, System, Task
from sernb.systems.registry import REGRESSORS, SYSTEMS, get_system

TABLE = Path(__file__).with_name("recipes.json")
CLIPS = 24  # of a made-up training part
NAMES = ("name", "module", "registered_name", "shared_object_id", "build_config")  # of layers and of code
OPTIONS = {  # of training.train → their names in the table
    "collate": "together", "augment": "altered", "sample_epoch": "arranged", "average_last": "averaged",
    "prediction_batch": "at_once",
}  # fmt: skip
ADVICE = (
    "{name}: {parts} changed, so its results may. If they do, raise its recipe (`recipe={next}` in its file); if they "
    "do not, give --same-results. Then run: python -m tests.recipes"
)


class _Begun(Exception):  # noqa: N818
    """A training was about to begin."""


def every_system() -> list[System]:
    """Return all systems and their variants."""
    systems = [get_system(name) for name in (*SYSTEMS, *REGRESSORS)]
    return [each for system in systems for each in (system, *system.variants)]


def values_of(system: System) -> dict[str, str]:
    """Return digests of what decides the results of a system, by part."""
    values = {
        "settings": [_nameless(plain(system.settings_for(profile))) for profile in ("full", "quick")],
        "features": system.features,
        "labels": [system.labels.column, sorted(system.labels.becomes)],
        "views": [system.views, system.training_views],
        "choice": [system.selects_epoch, system.selects_on_test],
    }
    if system.members:
        rng = np.random.default_rng(0)
        scores = [rng.dirichlet(np.ones(4), 5) for _ in system.members]
        values["members"] = [[member.name, member.recipe] for member in system.members]
        values["combination"] = np.round(system.combine(system.settings, scores), 4).tolist()
    elif system.network and f"-{REDUCED}" not in system.name:  # what is narrow differs in its settings
        values["network"] = _training_of(system)
    return {part: digest(value)[:8] for part, value in values.items()}


def _nameless(value: object) -> object:
    """Take the names that code gives to things out of nested values."""
    if isinstance(value, dict):
        return {key: _nameless(item) for key, item in value.items() if key not in NAMES and key != "type"}
    return [_nameless(item) for item in value] if isinstance(value, list | tuple) else value


def _training_of(system: System) -> object:
    """Return what a network is, and how it is trained, as values; nothing is trained."""
    from sernb.systems import whisper_finetuned
    from sernb.systems.learning import training
    from sernb.systems.learning.training import keras

    begun = {}

    def begin(model, clips, targets, validation, validation_truth, **options):
        begun.update(options, model=model, targets=targets)
        raise _Begun

    def unfilled(layer, *arguments, **options):
        with keras.StatelessScope(initialize_variables=False):
            return add_weight(layer, *arguments, **options)

    add_weight = keras.Layer.add_weight
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(_Begun):
        patch.setattr(training, "train", begin)
        patch.setattr(whisper_finetuned, "load_encoder_weights", lambda settings, model: None)  # not everywhere
        if system.name.partition("-")[0] != "sernet":  # sets weights itself
            patch.setattr(keras.Layer, "add_weight", unfilled)
        system.fit(system.settings, _made_up(system))
    model = begun.pop("model")
    targets, losses, outputs = (_named(each) for each in (begun.pop("targets"), model.loss, model.output))
    begun = {name: value for name, value in begun.items() if name not in ("checkpoint", "seed")}
    told = {OPTIONS.get(name, name): _told(value) for name, value in begun.items()}
    loss = [_loss(each, targets[name], outputs[name].shape) for name, each in losses.items()]
    means = [f"{np.nanmean(each):.3g}" for each in targets.values()]
    return [_layers(model), _nameless(plain(model.optimizer.get_config())), loss, told, means]


def _named(value: object) -> dict:
    return value if isinstance(value, dict) else {"": value}


def _told(value: object) -> object:
    """Return an option of a training as values: of functions and arrays, only that they are there."""
    if isinstance(value, np.ndarray | dict) or (callable(value) and not dataclasses.is_dataclass(value)):
        return True
    return plain(value)


def _loss(loss: object, targets: np.ndarray, shape: tuple[int, ...]) -> object:
    """Return a loss of Keras as its settings, and one of ours as what it is for fixed outputs of this shape."""
    if isinstance(loss, str):
        return loss
    if hasattr(loss, "get_config"):
        return _nameless(loss.get_config())
    outputs = np.random.default_rng(0).dirichlet(np.ones(shape[1]), 4).astype(np.float32)
    return f"{float(np.mean(loss(targets[:4], outputs))):.3g}"


def _layers(model: object) -> list:
    """Return what each layer or operation is, what it takes its input from, and the shapes it gives and has."""
    from sernb.systems.inspection import _outputs, _parents, keras

    number = {operation: place for place, operation in enumerate(model.operations)}
    rows = []
    for operation in model.operations:
        inner, ours = getattr(operation, "layer", operation), type(operation).__module__.startswith("sernb")
        if isinstance(inner, keras.Model):
            what = [_layers(inner), getattr(operation, "windows", 1)]
        else:
            config = operation.get_config() if isinstance(operation, keras.Layer) else {}
            what = ["" if ours else type(operation).__name__, _nameless(_as_json(config))]
        shapes = [list(each.shape) for each in [*_outputs(operation), *getattr(operation, "weights", ())]]
        rows.append([what, [number[parent] for parent in _parents(operation)], shapes])
    return rows


def _as_json(config: dict) -> object:
    return json.loads(json.dumps(config, default=lambda value: value.get_config()))


def _made_up(system: System) -> Task:
    """Return a task with the shapes that the system's features have."""
    shape, classes = _shape(system.features), system.labels.classes

    def examples(clips: int) -> Examples:
        about = pd.DataFrame({"clip": range(clips), "speaker": "a", "gender": "female"})
        truth = np.arange(clips) % len(classes) if classes else np.arange(float(clips))
        return Examples((np.zeros(shape, np.float32),) * clips, truth, about)

    copies = tuple(examples(CLIPS) for _ in system.training_views)
    return Task(examples(CLIPS), examples(len(classes)), classes, False, np.ones(CLIPS, int), 0, copies=copies)


@cache
def _shape(features: Callable) -> tuple[int, int]:
    from sernb.systems.inspection import SECONDS

    if hasattr(features, "side"):  # a picture
        return features.side, features.side
    noise = np.random.default_rng(0).standard_normal(SECONDS * features.sampling_rate)
    return features(noise.astype(np.float32)).shape


def changes(table: dict[str, dict]) -> tuple[dict[str, dict], list[str]]:
    """Return the table as it is now, and what to do about systems that changed under the same recipe."""
    now = {system.name: {"recipe": system.recipe, **values_of(system)} for system in every_system()}
    problems = []
    for name, new in now.items():
        old = table.get(name, new)
        parts = [part for part in {**old, **new} if old.get(part) != new.get(part) and part != "recipe"]
        if parts and new["recipe"] <= old["recipe"]:
            problems.append(ADVICE.format(name=name, parts=", ".join(parts), next=old["recipe"] + 1))
    return now, problems


def main(arguments: list[str] | None = None) -> int:
    """Write the table; refuse what changed under the same recipe."""
    parser = argparse.ArgumentParser(prog="python -m tests.recipes", description=__doc__.split("\n")[0])
    parser.add_argument("--same-results", action="store_true", help="what changed changes no result")
    options = parser.parse_args(arguments)
    now, problems = changes(json.loads(TABLE.read_text("utf-8")) if TABLE.exists() else {})
    if problems and not options.same_results:
        print("\n".join(problems), file=sys.stderr)
        return 1
    lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(now.items())]
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
