"""What a user's computer and settings do not decide: results and pictures. What may still move a digit is recorded."""

import contextlib
import importlib.util
import os
import platform
from collections.abc import Iterator

from sernb.config import DataError, work_folder

BACKENDS = ("tensorflow", "jax", "torch")
# Read when TensorFlow and Keras are imported. oneDNN: by default the processor's generation decides.
FIXED = {
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "KERAS_HOME": os.devnull,  # where no keras.json can be read or written
}
LIMITS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")  # would cut a training short
RECORDED = (
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_ENABLE_X64",
    "KERAS_NNX_ENABLED",
    "MKL_CBWR",
    "NPY_DISABLE_CPU_FEATURES",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
)
# What brings a package that is not part of the light install; all others come with the workbook.
EXTRAS = {
    "ai_edge_litert": "litert",
    "distributed": "cluster",
    "ipywidgets": "widgets",
    "jax": "jax",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "pyarrow": "parquet",
    "torch": "hf",
    "transformers": "hf",
}


def advise_install(error: ModuleNotFoundError) -> str:
    """Return in one line which package is missing, and how to get it.

    Examples:
        >>> advise_install(ModuleNotFoundError(name="sklearn.svm"))
        "needs the package sklearn, which is not installed; run: pip install 'sernb[workbook]'"
    """
    package = (error.name or str(error)).partition(".")[0]
    extra = EXTRAS.get(package, "workbook")
    return f"needs the package {package}, which is not installed; run: pip install 'sernb[{extra}]'"


def backend() -> str:
    """Return the backend of Keras: ``$KERAS_BACKEND``, else TensorFlow; ``keras.json`` is not asked."""
    return os.environ.get("KERAS_BACKEND") or "tensorflow"


def recorded_settings() -> dict[str, str]:
    """Return variables that are set and may move a digit of a result; of a value with a path only that it is set."""
    found = {name: os.environ[name] for name in RECORDED if os.environ.get(name)}
    return {name: "set" if {"/", "\\"} & set(value) else value for name, value in found.items()}


@contextlib.contextmanager
def fixed_keras() -> Iterator[None]:
    """Import Keras in this block: afterwards it is set as every result of ours was made.

    Raises:
        DataError: if ``$KERAS_BACKEND`` is none of Keras, or not installed
        ModuleNotFoundError: if no backend is installed, as where prediction alone is
    """
    name = backend()
    if name not in BACKENDS or importlib.util.find_spec(name) is None:
        known = ", ".join(each for each in BACKENDS if importlib.util.find_spec(each))
        if not known:
            raise ModuleNotFoundError(name=BACKENDS[0])
        raise DataError(f"KERAS_BACKEND={name}: is no backend of Keras that is installed; unset it, or choose {known}")
    os.environ.update(FIXED, KERAS_BACKEND=name)
    for limit in LIMITS:
        os.environ.pop(limit, None)
    yield
    from keras import config

    config.set_floatx("float32")
    config.set_dtype_policy("float32")
    config.set_epsilon(1e-7)
    config.set_image_data_format("channels_last")
    config.set_max_epochs(None)
    config.set_max_steps_per_epoch(None)


def find_home() -> None:
    """Give libraries that keep things at home a place in the work folder, where this user has none to write to."""
    home = os.path.expanduser("~")
    if platform.system() != "Windows" and not (os.path.isdir(home) and os.access(home, os.W_OK)):
        home = work_folder().absolute() / "home"
        with contextlib.suppress(OSError):  # who needs it will say so
            home.mkdir(parents=True, exist_ok=True)
        os.environ["HOME"] = str(home)
