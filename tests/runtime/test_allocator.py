"""Memory that is freed stays with the process: counted by the pages that the system hands out anew."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")

# Three pieces of 4 MB, taken, filled and freed 50 times: every page anew if none is used again.
TAKEN = """
import resource, sys
import numpy as np
from sernb.runtime.allocator import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    pieces = [np.ones(2**20, np.float32) for _ in range(3)]
    del pieces
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

# Batches of 64 clips of 256 frames: each layer takes 4 MB forwards, and about as much backwards.
TRAINED = """
import resource
import numpy as np
from sernb.systems.learning.training import keras, train

heard = keras.Input((256, 64))
x = heard
for _ in range(4):
    x = keras.layers.ReLU()(keras.layers.Dense(64)(x))
model = keras.Model(heard, keras.layers.Dense(2, activation="softmax")(keras.layers.GlobalAveragePooling1D()(x)))
model.compile("sgd", "categorical_crossentropy")
clips, targets = np.ones((640, 256, 64), np.float32), np.tile(np.eye(2, dtype=np.float32), (320, 1))
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    train(model, clips, targets, [], np.array([], int), epochs=3, batch=64, seed=0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _pages(program: str, *arguments: str) -> int:
    ran = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return int(ran.stdout)


def test_what_is_freed_is_used_again():
    assert _pages(TAKEN, "kept") < 10_000


@pytest.mark.slow
def test_training_uses_again_what_is_freed():
    """TensorFlow lowers the limit whenever it makes a data set, and Keras makes one every epoch."""
    assert _pages(TRAINED) < 60_000  # 30 steps; 300,000 where nothing is kept
