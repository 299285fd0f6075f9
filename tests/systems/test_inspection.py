"""The graph of a network, and networks made again from what a run keeps."""

from dataclasses import replace
from math import prod

import numpy as np
import pytest

from sernb.config import DataError
from sernb.figures import ablation
from sernb.runs.planning import plan
from sernb.systems.registry import get_system

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["multiscale-cnn", "multitask-cnn", "timedistributed-cnn-lstm", "cnn-ensemble"])
def test_steps_hold_all_weights_and_all_work(name):
    from sernb.systems.inspection import build_network, count_multiply_adds, list_steps

    model = build_network(get_system(name))
    steps = list_steps(model)
    assert sum(step.parameters for step in steps) == sum(prod(weight.shape) for weight in model.weights)
    assert sum(step.multiply_adds for step in steps) == count_multiply_adds(model)
    assert [number for number, step in enumerate(steps) if not step.inputs] == [0]
    assert all(before < number for number, step in enumerate(steps) for before in step.inputs)
    heard = {before for step in steps for before in step.inputs}
    assert set(range(len(steps))) - heard == {len(steps) - 1}, "every output is heard, but the last"
    alt = ablation.network_graph(steps, name).alt
    assert f"{sum(step.parameters for step in steps):,} parameters" in alt


def test_steps_show_gates_scales_and_windows():
    from sernb.systems.inspection import build_network, list_steps

    multiscale = list_steps(build_network(get_system("multiscale-cnn")))
    gates = [number for number, step in enumerate(multiscale) if step.layers == "Multiply"]
    assert len(gates) == 8
    assert multiscale[-2].inputs == tuple(gates), "the mean over time hears all scales"
    assert sum("dilated by 128" in step.layers for step in multiscale) == 2
    windows = [
        step for step in list_steps(build_network(get_system("timedistributed-cnn-lstm"))) if "windows" in step.layers
    ]
    # 5 windows of 128 × 128 points, 3 × 3 weights from 1 to 64 channels
    assert (len(windows), windows[0].multiply_adds) == (4, 5 * 128 * 128 * 9 * 64)


def test_a_network_is_made_again_at_the_size_of_its_run(rng):
    from sernb.systems.inspection import keras, restore_network

    experiment = plan(["dummynet-energy"], "demo", ["speaker-independent"], profile="quick")[0]
    assert experiment.settings.width < experiment.system.settings.width
    clips = list(rng.random((3, 690, 42), dtype=np.float32))
    model = experiment.system.network(experiment.settings, clips[0].shape, len(experiment.labels.classes))
    weights = {f"{n:03d} {each.path}": keras.ops.convert_to_numpy(each) for n, each in enumerate(model.weights)}
    said = restore_network(experiment, weights)(clips)
    np.testing.assert_allclose(said, model.predict(np.stack(clips), verbose=0), atol=1e-6)
    with pytest.raises(DataError, match="do not fit its network; run it again"):
        restore_network(replace(experiment, settings=replace(experiment.settings, width=1 / 8)), weights)


def test_attention_has_no_parameters_and_can_be_left_out():
    from sernb.systems.inspection import build_network, count_parameters

    system = get_system("multitask-cnn")
    without = replace(system, settings=replace(system.settings, attention=None))
    assert count_parameters(without) == count_parameters(system)
    assert "attention" in {layer.name for layer in build_network(system).layers}
    assert "attention" not in {layer.name for layer in build_network(without).layers}
