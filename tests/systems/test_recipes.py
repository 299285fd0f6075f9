"""No system's results change unseen: what decides them stands in a table, by its recipe version."""

import dataclasses
import json

import pytest
import recipes

from sernb.systems import multiscale_cnn
from sernb.systems.registry import get_system

pytestmark = pytest.mark.slow


def test_no_system_changed_without_a_higher_recipe():
    """Where this fails, its message says what to do."""
    table = json.loads(recipes.TABLE.read_text("utf-8"))
    now, problems = recipes.changes(table)
    assert not problems, "\n".join(problems)
    assert now == table, "a recipe was raised, or a system is new or gone: run python -m tests.recipes"


@pytest.fixture
def system():
    return get_system("multiscale-cnn")


def changed_parts(system, other) -> set[str]:
    before, after = recipes.values_of(system), recipes.values_of(other)
    return {part for part in before if before[part] != after[part]}


def test_names_decide_nothing(system):
    other = dataclasses.replace(system, name="other", title="Other", description="other words")
    assert recipes.values_of(system) == recipes.values_of(system)  # Keras counts the names of layers on
    assert changed_parts(system, other) == set()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"views": ()}, "views"),
        ({"features": None}, "features"),
        ({"labels": get_system("statistics-svm").labels}, "labels"),
        ({"quick": {"epochs": 26}}, "settings"),
        ({"selects_epoch": False}, "choice"),
    ],
)
def test_each_value_decides(system, change, part, monkeypatch):
    monkeypatch.setattr(recipes, "_training_of", lambda system: 0)
    assert changed_parts(system, dataclasses.replace(system, **change)) == {part}


@pytest.mark.parametrize("what", ["layers", "optimizer", "targets"])
def test_the_network_and_its_training_decide_though_no_setting_changes(system, what, monkeypatch):
    before = recipes.values_of(system)["network"]
    name, changed = {
        "layers": ("build_scales", lambda settings, mfcc: whole(dataclasses.replace(settings, kernel=3), mfcc)),
        "optimizer": ("compile_network", lambda settings, net: whole(dataclasses.replace(settings, beta_1=0.9), net)),
        "targets": ("smooth_targets", lambda settings, task: 2 * whole(settings, task)),
    }[what]
    whole = getattr(multiscale_cnn, name)
    monkeypatch.setattr(multiscale_cnn, name, changed)
    assert recipes.values_of(system)["network"] != before


def test_a_change_needs_a_higher_recipe(system, monkeypatch):
    table = {system.name: {"recipe": 1, **recipes.values_of(system)}}
    for recipe, settings, problems in ((1, "new", 1), (2, "new", 0), (2, None, 0)):
        values = recipes.values_of(system) | ({"settings": settings} if settings else {})
        monkeypatch.setattr(recipes, "every_system", lambda recipe=recipe: [dataclasses.replace(system, recipe=recipe)])
        monkeypatch.setattr(recipes, "values_of", lambda system, values=values: values)
        now, said = recipes.changes(table)
        assert (len(said), now[system.name]["recipe"]) == (problems, recipe)
        assert not said or ("multiscale-cnn: settings changed" in said[0] and "recipe=2" in said[0])
        monkeypatch.undo()
