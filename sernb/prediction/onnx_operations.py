"""ONNX backend: the operations of :mod:`sernb.prediction.exported_parts` as nodes of a graph (opset 18)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, FORMAT = 18, 8  # versions of operations and file format, as old as possible for older runtimes
Value = str | np.ndarray | np.generic


class OnnxOperations:
    """Builds a graph; values are names of outputs, or arrays that become constants."""

    def __init__(self):
        self.nodes, self.constants = [], {}

    def _name(self, value: Value) -> str:
        if isinstance(value, str):
            return value
        array = np.asarray(value)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(array, f"constant {len(self.constants)}")
        return self.constants[key].name

    def _node(self, kind: str, *inputs: Value, **attributes: object) -> str:
        name = f"{kind} {len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self._name(each) for each in inputs], [name], **attributes))
        return name

    def finish(self, inputs: Mapping[str, Sequence], output: str, shape: Sequence, metadata: Mapping[str, str]):
        """Return the ONNX model.

        Args:
            inputs: shapes by name; strings are dynamic sizes
            output: the value that becomes ``probabilities``
            shape: of the output
            metadata: stored in the file
        """
        self.nodes.append(helper.make_node("Identity", [output], ["probabilities"]))

        def tensor(name: str, shape: Sequence) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

        graph = helper.make_graph(
            self.nodes,
            "sernb",
            [tensor(*each) for each in inputs.items()],
            [tensor("probabilities", shape)],
            list(self.constants.values()),
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, producer_name="sernb", opset_imports=[opset], ir_version=FORMAT)
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model)
        return model

    def add(self, a: Value, b: Value) -> str:
        return self._node("Add", a, b)

    def sub(self, a: Value, b: Value) -> str:
        return self._node("Sub", a, b)

    def mul(self, a: Value, b: Value) -> str:
        return self._node("Mul", a, b)

    def div(self, a: Value, b: Value) -> str:
        return self._node("Div", a, b)

    def matmul(self, a: Value, b: Value) -> str:
        return self._node("MatMul", a, b)

    def maximum(self, a: Value, b: Value) -> str:
        return self._node("Max", a, b)

    def minimum(self, a: Value, b: Value) -> str:
        return self._node("Min", a, b)

    def at_least(self, a: Value, b: Value) -> str:
        return self.real(self._node("GreaterOrEqual", a, b))

    def above(self, a: Value, b: Value) -> str:
        return self.real(self._node("Greater", a, b))

    def sqrt(self, a: Value) -> str:
        return self._node("Sqrt", a)

    def log(self, a: Value) -> str:
        return self._node("Log", a)

    def tanh(self, a: Value) -> str:
        return self._node("Tanh", a)

    def round(self, a: Value) -> str:
        return self._node("Round", a)

    def softmax(self, a: Value, axis: int) -> str:
        return self._node("Softmax", a, axis=axis)

    def mean(self, a: Value, axis: int) -> str:
        return self._node("ReduceMean", a, np.array([axis]))

    def sum(self, a: Value, axis: int) -> str:
        return self._node("ReduceSum", a, np.array([axis]))

    def max(self, a: Value, axis: int) -> str:
        return self._node("ReduceMax", a, np.array([axis]))

    def min(self, a: Value, axis: int) -> str:
        return self._node("ReduceMin", a, np.array([axis]))

    def transpose(self, a: Value, order: Sequence[int]) -> str:
        return self._node("Transpose", a, perm=list(order))

    def concat(self, values: Sequence[Value], axis: int) -> str:
        return self._node("Concat", *values, axis=axis)

    def take(self, a: Value, places: Value) -> str:
        return self._node("Gather", a, places)

    def whole(self, a: Value) -> str:
        return self._node("Cast", a, to=TensorProto.INT64)

    def real(self, a: Value) -> str:
        return self._node("Cast", a, to=TensorProto.FLOAT)

    def gelu(self, a: Value) -> str:
        share = self.add(self._node("Erf", self.mul(a, np.float32(0.5**0.5))), np.float32(1))
        return self.mul(self.mul(a, share), np.float32(0.5))

    def reshape(self, a: Value, shape: Sequence[int]) -> str:
        return self._node("Reshape", a, np.array(shape, np.int64))

    def pad_signal(self, a: Value, before: int, after: int, *, reflect: bool = False) -> str:
        return self._node("Pad", a, np.array([before, after]), mode="reflect" if reflect else "constant")

    def pad(self, a: Value, before: int, after: int) -> str:
        # Pad all axes explicitly: onnxruntime's optimiser mishandles a subset of axes after a transposition.
        return self._node("Pad", a, np.array([before, 0, after, 0]))

    def rows(self, a: Value, start: Value, stop: Value) -> str:
        return self._node("Slice", a, start, stop, np.array([0]))

    def largest(self, a: Value, count: Value) -> str:
        name = f"TopK {len(self.nodes)}"
        self.nodes.append(helper.make_node("TopK", [self._name(a), self._name(count)], [name, f"{name} places"]))
        return name

    def count(self, a: Value) -> str:
        return self._node("Shape", a, start=0, end=1)

    def numbers(self, count: Value) -> str:
        return self._node("Range", np.int64(0), self._node("Squeeze", count), np.int64(1))

    def convolve(self, a: Value, kernel: np.ndarray, stride: int, dilation: int) -> str:
        clip = self._node("Unsqueeze", self.transpose(a, (1, 0)), np.array([0]))  # (1, channels, frames)
        weights = np.ascontiguousarray(kernel.transpose(2, 1, 0))
        output = self._node("Conv", clip, weights, strides=[stride], dilations=[dilation])
        return self.transpose(self._node("Squeeze", output, np.array([0])), (1, 0))


def write(model, path: Path) -> None:
    """Write a model to a file."""
    path.write_bytes(model.SerializeToString())


def build(program, shapes, shape, notes):
    """Return the ONNX model of a program.

    Args:
        program: function of the operations and the inputs by name that returns the probabilities
        shapes: of the inputs by name; strings are dynamic sizes
        shape: of the output
        notes: metadata of the file, stored as strings
    """
    ops = OnnxOperations()
    metadata = {key: value if isinstance(value, str) else json.dumps(value) for key, value in notes.items()}
    return ops.finish(shapes, program(ops, {name: name for name in shapes}), shape, metadata)


def run(path: Path, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the probabilities that onnxruntime computes from inputs by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], dict(inputs))[0]
