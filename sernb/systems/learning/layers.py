"""Layers that Keras lacks."""

from typing import TYPE_CHECKING

from sernb.systems.learning.training import keras

if TYPE_CHECKING:
    pass


@keras.saving.register_keras_serializable("sernb")
class EachWindow(keras.layers.Wrapper):
    """One model for every window of a clip: ``(clips, windows, …)`` → ``(clips, windows, outputs)``.

    All windows of all clips go through at once, as in Keras 2; Keras 3's TimeDistributed takes one after the other, and
    batch normalisation would see one window at a time.
    """

    def __init__(self, layer: keras.Model, windows: int, **options):
        super().__init__(layer, **options)
        self.windows = windows

    def call(self, inputs, training=None):
        """Apply the model to each window."""
        flat = keras.ops.reshape(inputs, (-1, *inputs.shape[2:]))
        outputs = self.layer(flat, training=training)
        return keras.ops.reshape(outputs, (-1, self.windows, *outputs.shape[1:]))

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        return (input_shape[0], self.windows, *self.layer.output_shape[1:])

    def get_config(self):
        """Return what makes the layer again."""
        return {**super().get_config(), "windows": self.windows}
