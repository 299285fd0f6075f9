"""The operations of :mod:`sernb.prediction.exported_parts` in TensorFlow, and what LiteRT's converter makes of them."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

NOTES = "about.json"  # in the file: an archive that follows the model, as TensorFlow's own associated files do


class TensorFlowOperations:
    """Computes at once; a value is a tensor, or an array."""

    def _of(self, value):
        if isinstance(value, np.ndarray | np.generic) and value.dtype == np.int64:
            return tf.constant(value.astype(np.int32))  # counts are of 32 bits there
        return tf.convert_to_tensor(value)

    def add(self, a, b):
        return self._of(a) + self._of(b)

    def sub(self, a, b):
        return self._of(a) - self._of(b)

    def mul(self, a, b):
        return self._of(a) * self._of(b)

    def matmul(self, a, b):
        return tf.matmul(self._of(a), self._of(b))

    def maximum(self, a, b):
        return tf.maximum(self._of(a), self._of(b))

    def minimum(self, a, b):
        return tf.minimum(self._of(a), self._of(b))

    def at_least(self, a, b):
        return self.real(tf.greater_equal(self._of(a), self._of(b)))

    def above(self, a, b):
        return self.real(tf.greater(self._of(a), self._of(b)))

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
        return tf.reshape(self._of(a), shape)

    def transpose(self, a, order: Sequence[int]):
        return tf.transpose(a, order)

    def concat(self, values: Sequence, axis: int):
        return tf.concat(values, axis)

    def take(self, a, places):
        return tf.gather(self._of(a), self._of(places))

    def count(self, a):
        return tf.shape(a)[:1]

    def numbers(self, count):
        return tf.range(self._of(count)[0])

    def whole(self, a):
        return tf.cast(a, tf.int32)

    def real(self, a):
        return tf.cast(a, tf.float32)

    def pad(self, a, before: int, after: int):
        return tf.pad(a, [[before, after], [0, 0]])

    def div(self, a, b):
        a, b = self._of(a), self._of(b)
        return a // b if a.dtype.is_integer else a / b

    def pad_signal(self, a, before: int, after: int, *, reflect: bool = False):
        return tf.pad(a, [[before, after]], mode="REFLECT" if reflect else "CONSTANT")

    def rows(self, a, start, stop):
        return self._of(a)[self._of(start)[0] : self._of(stop)[0]]

    def largest(self, a, count):
        return tf.sort(a, direction="DESCENDING")[: self._of(count)[0]]

    def convolve(self, a, kernel: np.ndarray, stride: int, dilation: int):
        found = tf.nn.conv1d(a[None], self._of(kernel), stride, "VALID", dilations=dilation)
        return found[0]


def build(program, shapes: Mapping[str, Sequence], shape: Sequence, notes: Mapping) -> bytes:
    """Return the file that a program of inputs becomes."""
    signature = {
        name: tf.TensorSpec([None if isinstance(each, str) else each for each in size], tf.float32, name=name)
        for name, size in shapes.items()
    }

    @tf.function(input_signature=[signature])
    def probabilities(given):
        return {"probabilities": program(TensorFlowOperations(), given)}

    module = tf.Module()
    module.run = probabilities
    converter = tf.lite.TFLiteConverter.from_concrete_functions([probabilities.get_concrete_function()], module)
    packed = io.BytesIO(converter.convert())
    with zipfile.ZipFile(packed, "a") as notes_at_the_end:
        notes_at_the_end.writestr(NOTES, json.dumps(notes))
    return packed.getvalue()


def write(model: bytes, path: Path) -> None:
    """Write a model into a file."""
    path.write_bytes(model)


def answer(path: Path, given: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return what LiteRT makes of inputs."""
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path)).get_signature_runner()(**given)["probabilities"]
