"""Systems by name."""

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
    "finetuned-product",
)
# Of numbers, such as arousal; in no table of systems that predict classes.
REGRESSORS = (
    "training-mean",
    "functionals-ridge-regression",
    "functionals-svr",
    "embedding-ridge-regression",
    "embedding-svr",
    "sernet-regression",
)
# What a report shows unless told otherwise: the floor, one system of each publication, and ours.
SHOWN = (
    "majority",
    "statistics-svm",
    "multiscale-cnn",
    "feature-cnn",
    "multitask-cnn",
    "dummynet-zcr",
    "functionals-ridge",
)
# Of these, what a first report on synthetic speech leaves out: multiscale-cnn takes two thirds of all training
# time there and stays at chance level on unseen voices; multitask-cnn's pictures of altered clips are slow to compute.
SLOW = ("multiscale-cnn", "multitask-cnn")
# Where the file is not named as the system.
MODULES = {
    **dict.fromkeys(("dummynet-zcr", "dummynet-energy", "dummynet-zcr-energy", "dummynet-mel"), "dummynet"),
    **dict.fromkeys(REGRESSORS, "regression"),
    "sernet-regression": "sernet",
    **dict.fromkeys(
        ("embedding-functionals", "embedding-sernet-functionals", "embedding-pair", "finetuned-product"),
        "embedding_products",
    ),
}


def get_system(name: str) -> System:
    """Return the record of a system, or of a variant of one; ``SYSTEM@ENCODER`` reads another pretrained encoder.

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
        f"variants of them; of numbers: {', '.join(REGRESSORS)}"
    )
