"""LiteRT backend: the operations of :mod:`sernb.prediction.exported_parts` in TensorFlow, converted to LiteRT."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

METADATA = "about.json"  # in a ZIP archive appended to the model, like TensorFlow's own associated files


class TensorFlowOperations:
    """Computes eagerly or while tracing; a value is a tensor or an array."""

    def _tensor(self, value):
        if isinstance(value, np.ndarray | np.generic) and value.dtype == np.int64:
            return tf.constant(value.astype(np.int32))  # TensorFlow's counts have 32 bits
        return tf.convert_to_tensor(value)

    def add(self, a, b):
        return self._tensor(a) + self._tensor(b)

    def sub(self, a, b):
        return self._tensor(a) - self._tensor(b)

    def mul(self, a, b):
        return self._tensor(a) * self._tensor(b)

    def matmul(self, a, b):
        return tf.matmul(self._tensor(a), self._tensor(b))

    def maximum(self, a, b):
        return tf.maximum(self._tensor(a), self._tensor(b))

    def minimum(self, a, b):
        return tf.minimum(self._tensor(a), self._tensor(b))

    def at_least(self, a, b):
        return self.real(tf.greater_equal(self._tensor(a), self._tensor(b)))

    def above(self, a, b):
        return self.real(tf.greater(self._tensor(a), self._tensor(b)))

    def sqrt(self, a):
        return tf.sqrt(a)

    def log(self, a):
        return tf.math.log(a)

    def tanh(self, a):
        return tf.tanh(a)

    def round(self, a):
        return tf.round(a)

    def gelu(self, a):
        return tf.nn.gelu(a, approximate=False)

    def softmax(self, a, axis: int):
        return tf.nn.softmax(a, axis=axis)

    def mean(self, a, axis: int):
        return tf.reduce_mean(a, axis, keepdims=True)

    def sum(self, a, axis: int):
        return tf.reduce_sum(a, axis, keepdims=True)

    def max(self, a, axis: int):
        return tf.reduce_max(a, axis, keepdims=True)

    def min(self, a, axis: int):
        return tf.reduce_min(a, axis, keepdims=True)

    def reshape(self, a, shape: Sequence[int]):
        return tf.reshape(self._tensor(a), shape)

    def transpose(self, a, order: Sequence[int]):
        return tf.transpose(a, order)

    def concat(self, values: Sequence, axis: int):
        return tf.concat(values, axis)

    def take(self, a, places):
        return tf.gather(self._tensor(a), self._tensor(places))

    def count(self, a):
        return tf.shape(a)[:1]

    def numbers(self, count):
        return tf.range(self._tensor(count)[0])

    def whole(self, a):
        return tf.cast(a, tf.int32)

    def real(self, a):
        return tf.cast(a, tf.float32)

    def pad(self, a, before: int, after: int):
        return tf.pad(a, [[before, after], [0, 0]])

    def div(self, a, b):
        a, b = self._tensor(a), self._tensor(b)
        return a // b if a.dtype.is_integer else a / b

    def pad_signal(self, a, before: int, after: int, *, reflect: bool = False):
        return tf.pad(a, [[before, after]], mode="REFLECT" if reflect else "CONSTANT")

    def rows(self, a, start, stop):
        return self._tensor(a)[self._tensor(start)[0] : self._tensor(stop)[0]]

    def largest(self, a, count):
        return tf.sort(a, direction="DESCENDING")[: self._tensor(count)[0]]

    def convolve(self, a, kernel: np.ndarray, stride: int, dilation: int):
        output = tf.nn.conv1d(a[None], self._tensor(kernel), stride, "VALID", dilations=dilation)
        return output[0]


def build(program, shapes: Mapping[str, Sequence], shape: Sequence, notes: Mapping) -> bytes:
    """Return the content of the LiteRT file of a program.

    Args:
        program: function of the operations and the inputs by name that returns the probabilities
        shapes: of the inputs by name; strings are dynamic sizes
        shape: of the output, unused
        notes: metadata stored in the file
    """
    signature = {
        name: tf.TensorSpec([None if isinstance(each, str) else each for each in size], tf.float32, name=name)
        for name, size in shapes.items()
    }

    @tf.function(input_signature=[signature])
    def probabilities(inputs):
        return {"probabilities": program(TensorFlowOperations(), inputs)}

    module = tf.Module()
    module.run = probabilities
    converter = tf.lite.TFLiteConverter.from_concrete_functions([probabilities.get_concrete_function()], module)
    buffer = io.BytesIO(converter.convert())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(METADATA, json.dumps(notes))
    return buffer.getvalue()


def write(model: bytes, path: Path) -> None:
    """Write a model to a file."""
    path.write_bytes(model)


def run(path: Path, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the probabilities that LiteRT computes from inputs by name."""
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path)).get_signature_runner()(**inputs)["probabilities"]
