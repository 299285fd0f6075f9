"""Registry of systems by name."""

import importlib

from sernb.config import DataError, suggest
from sernb.systems.base import System

SYSTEMS = (
    "majority",
    "statistics-svm",
    "timedistributed-cnn-lstm",
    "multiscale-cnn",
    "feature-cnn",
    "multitask-cnn",
    "dummynet-zcr",
    "dummynet-energy",
    "dummynet-zcr-energy",
    "dummynet-mel",
    "rezonet",
    "exponet",
    "cnn-ensemble",
    "tim-net",
    "light-sernet",
    "functionals-svm",
    "functionals-ridge",
    "adaptive-ridge",
    "sernet",
    "sernet-functionals",
    "embedding-ridge",
    "embedding-svm",
    "embedding-functionals",
    "embedding-sernet-functionals",
    "embedding-pair",
    "whisper-finetuned",
)
# Systems with numeric targets such as arousal.
REGRESSORS = (
    "training-mean",
    "functionals-ridge-regression",
    "functionals-svr",
    "embedding-ridge-regression",
    "embedding-svr",
    "sernet-regression",
)
# Default systems of a report: the baseline, one system of each publication, and ours.
SHOWN = (
    "majority",
    "statistics-svm",
    "multiscale-cnn",
    "feature-cnn",
    "multitask-cnn",
    "dummynet-zcr",
    "functionals-ridge",
)
# Those that a first report on synthetic speech omits: multiscale-cnn takes two thirds of its training time and is at
# chance level for unseen speakers; multitask-cnn's images of augmented copies are slow to compute.
SLOW = ("multiscale-cnn", "multitask-cnn")
# Modules with other names than their systems.
MODULES = {
    **dict.fromkeys(("dummynet-zcr", "dummynet-energy", "dummynet-zcr-energy", "dummynet-mel"), "dummynet"),
    **dict.fromkeys(REGRESSORS, "regression"),
    "sernet-regression": "sernet",
    **dict.fromkeys(
        ("embedding-functionals", "embedding-sernet-functionals", "embedding-pair"),
        "embedding_products",
    ),
}


def get_system(name: str) -> System:
    """Return the record of a system or a variant; ``SYSTEM@ENCODER`` has another pretrained encoder.

    Raises:
        DataError: if the name is unknown; the message lists the known ones
    """
    name, _, encoder = name.partition("@")
    if encoder:
        from sernb.systems.on_encoder import with_encoder

        return with_encoder(get_system(name), encoder)
    for known in (*SYSTEMS, *REGRESSORS):
        if name == known or name.startswith(f"{known}-"):
            module = importlib.import_module(f"sernb.systems.{MODULES.get(known, known.replace('-', '_'))}")
            records = getattr(module, "SYSTEMS", None) or (module.SYSTEM,)
            for system in [each for record in records for each in (record, *record.variants)]:
                if system.name == name:
                    return system
    raise DataError(
        f"no system is named {name!r}{suggest(name, [*SYSTEMS, *REGRESSORS])}; known: {', '.join(SYSTEMS)}, and "
        f"variants of them; for numeric targets: {', '.join(REGRESSORS)}"
    )
