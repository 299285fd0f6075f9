"""A research workbook for speech emotion recognition, and a library for those who use its models elsewhere.

What other programs call is imported when it is asked for, so that ``import sernb`` takes no time:

    load       a model → :class:`sernb.api.Classifier`, which has ``predict`` and ``embed``
    features   recordings → features as a table; the room of that name, which can be called
    corpus     the clips of a corpus as a table, and what is known of it
    evaluate   truth and scores → UAR, WAR, macro F1 with intervals and chance levels
    DataError  what all of them raise where the input cannot be used: its text is one line, with the next step
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sernb import features
    from sernb.api import Classifier, corpus, evaluate, load
    from sernb.config import DataError

__version__ = "0.1.0"
__all__ = ["Classifier", "DataError", "corpus", "evaluate", "features", "load"]


def __getattr__(name: str) -> object:
    """Import what is asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "features":
        return importlib.import_module("sernb.features")
    return getattr(importlib.import_module("sernb.config" if name == "DataError" else "sernb.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
