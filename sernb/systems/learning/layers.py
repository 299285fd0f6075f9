"""Custom Keras layers."""

from sernb.systems.learning.training import keras


@keras.saving.register_keras_serializable("sernb")
class EachWindow(keras.layers.Wrapper):
    """Apply a model to each window of a clip: ``(clips, windows, …)`` → ``(clips, windows, outputs)``.

    All windows of all clips are in one batch, as in Keras 2. Keras 3's TimeDistributed loops over the windows, which
    changes batch normalisation.
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
        """Return the configuration for serialisation."""
        return {**super().get_config(), "windows": self.windows}
