"""AdamW with layer-wise learning rates for fine-tuning of pretrained encoders."""

from collections.abc import Callable, Sequence

from sernb.systems.learning.training import keras


class LayerwiseAdamW(keras.optimizers.Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019, arXiv:1711.05101) and one rate per variable.

    Discriminative learning rates: Howard and Ruder (2018), doi:10.18653/v1/P18-1031.

    Args:
        learning_rate: rate, or schedule, of variables with the factor 1
        factors: of the learning rate, for each trainable variable of the model in order
        decays: as Keras's ``weight_decay``, for each of them; scaled by the variable's learning rate
    """

    def __init__(self, learning_rate: object, *, factors: Sequence[float], decays: Sequence[float], **options: object):
        super().__init__(learning_rate, **options)
        self.factors, self.decays = tuple(factors), tuple(decays)

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable; as in Keras's optimizers, ``_get_variable_index`` returns its position."""
        position = self._get_variable_index(variable)
        rate = learning_rate * self.factors[position]
        if decay := self.decays[position]:
            self.assign_sub(variable, variable * (decay * rate))
        super().update_step(gradient, variable, rate)

    def get_config(self):
        """Return the configuration for serialisation."""
        return {**super().get_config(), "factors": list(self.factors), "decays": list(self.decays)}


def make_layerwise_adamw(
    model: keras.Model, factor_of: Callable[[str], float], learning_rate: object, *, decay: float, **options: object
) -> LayerwiseAdamW:
    """Return the optimizer of a model, and freeze layers whose factor is 0.

    Args:
        factor_of: name of a layer → factor of its learning rate
        decay: weight decay of kernels; biases and normalisation layers have none
    """
    factors, decays = [], []
    for layer in model.layers:
        factor = factor_of(layer.name)
        layer.trainable = bool(factor)
        factors += [factor] * len(layer.trainable_variables)
        decays += [decay * each.path.endswith("kernel") for each in layer.trainable_variables]
    return LayerwiseAdamW(learning_rate, factors=factors, decays=decays, **options)
