"""Fix settings of the user's environment that would change results, and record those that still may."""

import contextlib
import importlib.util
import os
import platform
from collections.abc import Iterator

from sernb.config import DataError, work_folder

BACKENDS = ("tensorflow", "jax", "torch")
# Read when TensorFlow and Keras are imported. oneDNN: the default depends on the generation of the processor.
FIXED = {
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "KERAS_HOME": os.devnull,  # so that no keras.json is read or written
}
LIMITS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")  # would end training early
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
# The extra that installs a package; packages not listed here come with the extra `workbook`.
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
    """Return one line with the missing package and how to install it.

    Examples:
        >>> advise_install(ModuleNotFoundError(name="sklearn.svm"))
        "needs the package sklearn, which is not installed; run: pip install 'sernb[workbook]'"
    """
    package = (error.name or str(error)).partition(".")[0]
    extra = EXTRAS.get(package, "workbook")
    return f"needs the package {package}, which is not installed; run: pip install 'sernb[{extra}]'"


def backend() -> str:
    """Return the backend of Keras: ``$KERAS_BACKEND``, else TensorFlow; ``keras.json`` is ignored."""
    return os.environ.get("KERAS_BACKEND") or "tensorflow"


def recorded_settings() -> dict[str, str]:
    """Return the environment variables that may change a digit of a result; values with paths become "set"."""
    variables = {name: os.environ[name] for name in RECORDED if os.environ.get(name)}
    return {name: "set" if {"/", "\\"} & set(value) else value for name, value in variables.items()}


@contextlib.contextmanager
def fixed_keras() -> Iterator[None]:
    """Fix the settings of Keras, which is to be imported in this block.

    Raises:
        DataError: if ``$KERAS_BACKEND`` is not a backend of Keras, or not installed
        ModuleNotFoundError: if no backend is installed, as with the light install for prediction
    """
    name = backend()
    if name not in BACKENDS or importlib.util.find_spec(name) is None:
        installed = ", ".join(each for each in BACKENDS if importlib.util.find_spec(each))
        if not installed:
            raise ModuleNotFoundError(name=BACKENDS[0])
        raise DataError(f"KERAS_BACKEND={name}: is not an installed backend of Keras; unset it, or choose {installed}")
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
    """Set ``$HOME`` to a folder in the work folder if the user has no writable home, for libraries that need one."""
    home = os.path.expanduser("~")
    if platform.system() != "Windows" and not (os.path.isdir(home) and os.access(home, os.W_OK)):
        home = work_folder().absolute() / "home"
        with contextlib.suppress(OSError):  # a library that needs it raises its own error
            home.mkdir(parents=True, exist_ok=True)
        os.environ["HOME"] = str(home)
