"""Features, encoder and classifiers as sequences of operations, shared by all export formats.

The operations are methods of a format's backend, such as :class:`sernb.prediction.onnx_operations.OnnxOperations`: they
map values to values of the backend's own type. Numbers are float32, counts integers. A clip is one waveform of 0.1 to
30 seconds.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Protocol

import numpy as np

from sernb.audio.filterbank import hann, mel_bands
from sernb.encoders import whisper
from sernb.features import Embedding, LevelledEmbedding, SpeechMel
from sernb.features.embedding import QUIET
from sernb.features.levelled import FRAME, LOUDEST
from sernb.features.mel import DYNAMIC_RANGE, POWER_FLOOR
from sernb.features.prosody import LEVEL_FLOOR, Level
from sernb.systems.learning.linear_classifier import LinearClassifier
from sernb.systems.sernet_numpy import SMALLEST_VARIANCE, Convolution, DilatedNetwork, softmax
from sernb.systems.whisper_numpy import EPSILON, FinetunedNetwork

OUT_OF_RANGE = 1e9  # an index beyond the end of any clip


class Operations(Protocol):
    """Operations of an export format; values are of the format's own type, or arrays."""

    def add(self, a, b): ...
    def sub(self, a, b): ...
    def mul(self, a, b): ...
    def div(self, a, b): ...
    def matmul(self, a, b): ...
    def maximum(self, a, b): ...
    def minimum(self, a, b): ...
    def at_least(self, a, b): ...
    def above(self, a, b): ...
    def sqrt(self, a): ...
    def log(self, a): ...
    def tanh(self, a): ...
    def round(self, a): ...
    def gelu(self, a): ...
    def softmax(self, a, axis: int): ...
    def mean(self, a, axis: int): ...
    def sum(self, a, axis: int): ...
    def max(self, a, axis: int): ...
    def min(self, a, axis: int): ...
    def reshape(self, a, shape: Sequence[int]): ...
    def transpose(self, a, order: Sequence[int]): ...
    def concat(self, values: Sequence, axis: int): ...
    def pad_signal(self, a, before: int, after: int, *, reflect: bool = False): ...
    def pad(self, a, before: int, after: int): ...
    def rows(self, a, start, stop): ...
    def take(self, a, places): ...
    def largest(self, a, count): ...
    def count(self, a): ...
    def numbers(self, count): ...
    def whole(self, a): ...
    def real(self, a): ...
    def convolve(self, a, kernel: np.ndarray, stride: int, dilation: int): ...


# -- Signals -- #


def frames(ops: Operations, signal, window: int, hop: int, count):
    """Cut a signal into frames, ``(count, window)``."""
    starts = ops.mul(ops.reshape(ops.numbers(count), (-1, 1)), np.int64(hop))
    return ops.take(signal, ops.add(starts, np.arange(window, dtype=np.int64)[None]))


def mel_power(ops: Operations, frame_values, sampling_rate: int, window: int, bands: int):
    """Return the mel power spectrogram of frames, ``(frames, bands)``."""
    angles = 2 * np.pi * np.outer(np.arange(window), np.arange(1 + window // 2)) / window
    window_weights = hann(window).astype(np.float64)[:, None]
    spectra = [
        ops.matmul(frame_values, (window_weights * function(angles)).astype(np.float32))
        for function in (np.cos, np.sin)
    ]
    power = ops.add(*(ops.mul(part, part) for part in spectra))
    return ops.matmul(power, mel_bands(sampling_rate, window, bands))


def scaled_log10(ops: Operations, power, factor: float):
    """Return the logarithm to base 10 times a factor."""
    return ops.mul(ops.log(power), np.float32(factor / np.log(10)))


def global_max(ops: Operations, level):
    """Return the maximum of all values, ``(1, 1)``."""
    return ops.max(ops.max(level, 0), 1)


def first_and_last(ops: Operations, mask):
    """Return the first and last index of a 1 in a column of zeros and ones, ``(n, 1)``."""
    places = ops.reshape(ops.real(ops.numbers(ops.count(mask))), (-1, 1))
    first = ops.min(ops.add(places, ops.mul(ops.sub(np.float32(1), mask), np.float32(OUT_OF_RANGE))), 0)
    return (ops.whole(ops.reshape(each, (1,))) for each in (first, ops.max(ops.mul(places, mask), 0)))


def speech_mel(ops: Operations, signal, features: SpeechMel):
    """Compute the features of :class:`sernb.features.SpeechMel`."""
    half = features.window // 2
    count = ops.add(ops.div(ops.count(signal), np.int64(features.hop)), np.int64(1))
    framed = frames(ops, ops.pad_signal(signal, half, half), features.window, features.hop, count)
    power = mel_power(ops, framed, features.sampling_rate, features.window, features.bands)
    level = scaled_log10(ops, ops.maximum(power, np.float32(POWER_FLOOR)), 10)
    loudest = global_max(ops, level)
    level = ops.maximum(level, ops.sub(loudest, np.float32(DYNAMIC_RANGE)))
    loud = ops.at_least(ops.max(level, 1), ops.sub(loudest, np.float32(features.loud)))
    first, last = first_and_last(ops, loud)
    start = ops.maximum(ops.sub(first, np.int64(features.margin)), np.int64(0))
    stop = ops.minimum(ops.add(last, np.int64(features.margin + 1)), ops.count(level))
    return ops.rows(level, start, stop)


def normalise_level(ops: Operations, signal, features: LevelledEmbedding):
    """Scale a signal as :func:`sernb.features.levelled.normalise_level` does."""
    length = round(FRAME * features.sampling_rate)
    count = ops.div(ops.count(signal), np.int64(length))
    framed = ops.reshape(ops.rows(signal, np.zeros(1, np.int64), ops.mul(count, np.int64(length))), (-1, length))
    power = ops.mean(ops.mul(framed, framed), 1)  # (frames, 1)
    loud_count = ops.whole(ops.maximum(ops.round(ops.mul(ops.real(count), np.float32(LOUDEST))), np.float32(1)))
    loudest = ops.mean(ops.largest(ops.reshape(power, (-1,)), loud_count), 0)
    gain = ops.div(np.float32(10 ** (features.level / 20)), ops.sqrt(ops.maximum(loudest, np.float32(1e-20))))
    noise = np.random.default_rng(0).standard_normal(whisper.SAMPLES) * 10 ** ((features.level + features.dither) / 20)
    dither = ops.rows(noise.astype(np.float32), np.zeros(1, np.int64), ops.count(signal))
    return ops.add(ops.mul(signal, gain), dither)


def trim_silence(ops: Operations, signal):
    """Trim silence as :func:`sernb.features.embedding.trim_silence` does."""
    level = Level()
    count = ops.add(ops.div(ops.count(signal), np.int64(level.hop)), np.int64(1))
    framed = frames(ops, ops.pad_signal(signal, level.window // 2, level.window // 2), level.window, level.hop, count)
    power = ops.maximum(ops.mean(ops.mul(framed, framed), 1), np.float32(LEVEL_FLOOR))
    first, last = first_and_last(ops, ops.above(power, ops.mul(ops.max(power, 0), np.float32(10 ** (-QUIET / 10)))))
    start = ops.mul(first, np.int64(level.hop))
    stop = ops.minimum(ops.mul(ops.add(last, np.int64(1)), np.int64(level.hop)), ops.count(signal))
    return ops.rows(signal, start, stop)


# -- Encoder -- #


def embedding(ops: Operations, signal, features: Embedding, encoder: whisper.Whisper):
    """Compute :class:`sernb.features.Embedding` with Whisper's encoder, ``(1, width)``."""
    if isinstance(features, LevelledEmbedding):
        signal = normalise_level(ops, signal, features)
    mel = whisper_mel(ops, trim_silence(ops, signal))
    pooled = []
    for states in hidden_states(ops, mel, encoder)[features.layer_numbers.start : features.layer_numbers.stop]:
        mean = ops.mean(states, 0)
        pooled.append(mean)
        if "std" in features.statistics:
            deviations = ops.sub(states, mean)
            pooled.append(ops.sqrt(ops.mean(ops.mul(deviations, deviations), 0)))
    return ops.concat(pooled, 1)


def whisper_mel(ops: Operations, signal):
    """Compute :func:`sernb.encoders.whisper.log_mel`, ``(frames, 80)``."""
    half, hop = whisper.WINDOW // 2, whisper.HOP
    count = ops.maximum(ops.div(ops.count(signal), np.int64(hop)), np.int64(1))
    framed = frames(ops, ops.pad_signal(signal, half, half, reflect=True), whisper.WINDOW, hop, count)
    power = mel_power(ops, framed, whisper.SAMPLING_RATE, whisper.WINDOW, whisper.BANDS)
    level = scaled_log10(ops, ops.maximum(power, np.float32(whisper.POWER_FLOOR)), 1)
    level = ops.maximum(level, ops.sub(global_max(ops, level), np.float32(whisper.RANGE)))
    return ops.mul(ops.add(level, np.float32(4)), np.float32(0.25))


def hidden_states(ops: Operations, mel, encoder: whisper.Whisper) -> list:
    """Return all layers' hidden states, ``(positions, width)``, for one log-mel spectrogram."""
    w = encoder.weights
    x = mel
    for name, stride in (("conv1", 1), ("conv2", 2)):
        kernel = np.ascontiguousarray(w[f"{name}/weight"].transpose(2, 1, 0))  # (3, in, out)
        x = ops.gelu(ops.add(ops.convolve(ops.pad(x, 1, 1), kernel, stride, 1), w[f"{name}/bias"]))
    x = ops.add(x, ops.rows(w["position_encodings/encodings"], np.zeros(1, np.int64), ops.count(x)))
    states = [x]
    for k in range(encoder.blocks):
        x = ops.add(x, _attention(ops, w, f"layer_{k}/self_attention", x))
        prefix = f"layer_{k}/ffn"
        inner = ops.gelu(_linear(ops, w, f"{prefix}/linear_0", _layer_norm(ops, w, f"{prefix}/layer_norm", x)))
        x = ops.add(x, _linear(ops, w, f"{prefix}/linear_1", inner))
        states.append(x)
    states[-1] = _layer_norm(ops, w, "layer_norm", x)
    return states


def _attention(ops: Operations, w, prefix: str, x):
    width = len(w[f"{prefix}/linear_1/bias"])
    heads = width // whisper.HEAD
    projected = _linear(ops, w, f"{prefix}/linear_0", _layer_norm(ops, w, f"{prefix}/layer_norm", x))
    parts = ops.transpose(ops.reshape(projected, (-1, 3, heads, whisper.HEAD)), (1, 2, 0, 3))
    query, key, value = (ops.reshape(ops.take(parts, np.array([part])), (heads, -1, whisper.HEAD)) for part in range(3))
    similarity = ops.matmul(ops.mul(query, np.float32(whisper.HEAD**-0.5)), ops.transpose(key, (0, 2, 1)))
    context = ops.matmul(ops.softmax(similarity, 2), value)  # (heads, positions, 64)
    return _linear(ops, w, f"{prefix}/linear_1", ops.reshape(ops.transpose(context, (1, 0, 2)), (-1, width)))


def _linear(ops: Operations, w, prefix: str, x):
    return ops.add(ops.matmul(x, np.ascontiguousarray(w[f"{prefix}/weight"].T)), w[f"{prefix}/bias"])


def _layer_norm(ops: Operations, w, prefix: str, x):
    x = _standardise(ops, x, whisper.EPSILON)
    return ops.add(ops.mul(x, w[f"{prefix}/gamma"]), w[f"{prefix}/beta"])


def _standardise(ops: Operations, x, epsilon: float):
    centred = ops.sub(x, ops.mean(x, 1))
    return ops.div(centred, ops.sqrt(ops.add(ops.mean(ops.mul(centred, centred), 1), np.float32(epsilon))))


# -- Classifiers -- #


def linear(ops: Operations, rows, classifier: LinearClassifier):
    """Return the probabilities of a linear classifier, ``(clips, classes)``."""
    mean, deviation = (values.astype(np.float32) for values in (classifier.mean, classifier.deviation))
    limit = np.float32(classifier.limit)
    standardised = ops.minimum(ops.maximum(ops.div(ops.sub(rows, mean), deviation), -limit), limit)
    logits = ops.matmul(standardised, np.ascontiguousarray(classifier.planes.T.astype(np.float32)))
    is_trained = classifier.planes.any(axis=1)
    if not is_trained.all():  # classes without training clips are ranked last
        lowest = ops.mul(ops.sub(ops.min(logits, 1), np.float32(1)), (~is_trained).astype(np.float32)[None])
        logits = ops.add(ops.mul(logits, is_trained.astype(np.float32)[None]), lowest)
    return ops.softmax(ops.div(logits, np.float32(classifier.temperature)), 1)


def dilated(ops: Operations, mel, network: DilatedNetwork, temperature: float):
    """Return sernet's probabilities, ``(1, classes)``, for a log-mel, ``(frames, bands)``."""
    x = ops.div(ops.sub(mel, network.mean), network.deviation)
    even = ops.mul(ops.div(ops.add(ops.count(x), np.int64(1)), np.int64(2)), np.int64(2))
    x = _convolution(ops, ops.rows(ops.pad(x, 0, 1), np.zeros(1, np.int64), even), network.first)
    for block in network.blocks:
        x = ops.add(x, _convolution(ops, x, block))
    x = _convolution(ops, x, network.last)
    if network.attention:
        inner, offset, outer, shift = network.attention
        attention_logits = ops.add(ops.matmul(ops.tanh(ops.add(ops.matmul(x, inner), offset)), outer), shift)
        weighted = ops.mul(ops.softmax(attention_logits, 0), x)
        mean, square = ops.sum(weighted, 0), ops.sum(ops.mul(weighted, x), 0)
    else:
        mean, square = ops.mean(x, 0), ops.mean(ops.mul(x, x), 0)
    kernel, offset = network.output
    logits = ops.add(ops.matmul(_mean_and_deviation(ops, mean, square), kernel), offset)
    return ops.softmax(ops.div(logits, np.float32(temperature)), 1)


def _mean_and_deviation(ops: Operations, mean, square):
    """Return the mean beside the standard deviation, from the means of values and of their squares."""
    variance = ops.maximum(ops.sub(square, ops.mul(mean, mean)), np.float32(SMALLEST_VARIANCE))
    return ops.concat([mean, ops.sqrt(variance)], 1)


def finetuned(ops: Operations, mel, network: FinetunedNetwork, temperature: float):
    """Return a fine-tuned encoder's probabilities, ``(1, classes)``, for a log-mel, ``(frames, 80)``."""
    head, states = network.head, hidden_states(ops, mel, network.encoder)

    def dense(layer: str, x):
        return ops.add(ops.matmul(x, head[f"{layer}/kernel"]), head[f"{layer}/bias"])

    shares = softmax(head["mixture/kernel"][0])
    weighted = [ops.mul(_standardise(ops, each, EPSILON), share) for share, each in zip(shares, states, strict=True)]
    x = ops.gelu(dense("projection", reduce(ops.add, weighted)))  # (positions, projected)
    weight = ops.softmax(dense("level", ops.tanh(dense("attention", x))), 0)
    weight = ops.transpose(weight, (1, 0))  # (heads, positions)
    pooled = _mean_and_deviation(ops, ops.matmul(weight, x), ops.matmul(weight, ops.mul(x, x)))
    pooled = _standardise(ops, ops.reshape(pooled, (1, -1)), EPSILON)
    logits = dense("emotion", ops.add(ops.mul(pooled, head["pooled_norm/gamma"]), head["pooled_norm/beta"]))
    return ops.softmax(ops.div(logits, np.float32(temperature)), 1)


def _convolution(ops: Operations, x, layer: Convolution):
    """Apply a convolution with "same" padding and ReLU; the number of frames is even unless the stride is 1."""
    receptive_field = (len(layer.kernel) - 1) * layer.dilation
    padding = max(0, receptive_field + 1 - layer.stride)
    padded = ops.pad(x, padding // 2, padding - padding // 2)
    x = ops.convolve(padded, layer.kernel, layer.stride, layer.dilation)
    return ops.maximum(ops.add(x, layer.offset), np.float32(0))
