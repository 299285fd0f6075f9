"""AdamW with a learning rate of its own for each variable: pretrained layers move less the deeper they lie."""

from collections.abc import Callable, Sequence

from sernb.systems.learning.training import keras


class LayerwiseAdamW(keras.optimizers.Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019, arXiv:1711.05101), scaled variable by variable.

    Rates that fall with depth: Howard and Ruder (2018), doi:10.18653/v1/P18-1031.

    Args:
        learning_rate: or a schedule, of a variable whose factor is 1
        factors: of each trainable variable, in the order of the model
        decays: as Keras's ``weight_decay``, of each of them; it is scaled by the variable's own rate
    """

    def __init__(self, learning_rate: object, *, factors: Sequence[float], decays: Sequence[float], **options: object):
        super().__init__(learning_rate, **options)
        self.factors, self.decays = tuple(factors), tuple(decays)

    def update_step(self, gradient, variable, learning_rate):
        """Take one step with one variable; Keras's own optimizers, too, find its place by ``_get_variable_index``."""
        place = self._get_variable_index(variable)
        rate = learning_rate * self.factors[place]
        if decay := self.decays[place]:
            self.assign_sub(variable, variable * (decay * rate))
        super().update_step(gradient, variable, rate)

    def get_config(self):
        """Return what makes the optimizer again."""
        return {**super().get_config(), "factors": list(self.factors), "decays": list(self.decays)}


def layerwise_adamw(
    model: keras.Model, factor_of: Callable[[str], float], learning_rate: object, *, decay: float, **options: object
) -> LayerwiseAdamW:
    """Return the optimizer of a model, and freeze what it does not train.

    Args:
        factor_of: name of a layer → factor of its rate; 0: it is not trained
        decay: of kernels; biases and what normalises have none
    """
    factors, decays = [], []
    for layer in model.layers:
        factor = factor_of(layer.name)
        layer.trainable = bool(factor)
        factors += [factor] * len(layer.trainable_variables)
        decays += [decay * each.path.endswith("kernel") for each in layer.trainable_variables]
    return LayerwiseAdamW(learning_rate, factors=factors, decays=decays, **options)
