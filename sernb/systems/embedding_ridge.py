"""Ridge regression on the hidden states of a frozen pretrained encoder, with layer weights selected by inner folds.

Ours. On RAVDESS, we saw that all layers together do better than any single one, and middle layers better than the last;
the weights are selected within each fold. The penalties were selected under the protocol ``development``, on validation
speakers, who are test speakers of other folds. There, RBF kernels were 2 points better; on test speakers the
differences go both ways (``reports/reference``).
"""

from dataclasses import dataclass, replace

from sernb.features import Embedding
from sernb.protocols.labels import ALL_EIGHT
from sernb.systems.base import Fitted, System, Task
from sernb.systems.learning import rbf_ridge
from sernb.systems.learning.ridge import fit_ridge
from sernb.systems.on_encoder import on_all_encoders, with_encoder
from sernb.systems.robust import make_robust


@dataclass(frozen=True)
class Settings:
    """Ridge regression on standardised embeddings; penalty and layer weights are selected by inner folds."""

    penalties: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0)  # relative to the mean square of a clip
    inner_folds: int = 4
    # "chosen" by inner folds (one, uniform weights, or weights by their single scores), "all" (uniform), or a number
    layers: str = "chosen"


def fit(settings: Settings, task: Task) -> Fitted:
    """Fit with :func:`sernb.systems.learning.ridge.fit_ridge`; each layer is a group of columns."""
    groups = layer_columns(task)
    mix = settings.layers == "chosen" and len(groups) > 1
    if settings.layers.isdecimal():
        groups = [groups[int(settings.layers)]]
    return fit_ridge(task, settings, groups, mix=mix)


def fit_rbf(settings: rbf_ridge.Settings, task: Task) -> Fitted:
    """Fit with :func:`sernb.systems.learning.rbf_ridge.fit_rbf_ridge`; each layer has a kernel."""
    return rbf_ridge.fit_rbf_ridge(settings, task, layer_columns(task))


def layer_columns(task: Task) -> list[slice]:
    """Return the columns of each layer of the encoder."""
    layers = len(task.features.layer_numbers) if isinstance(task.features, Embedding) else 1
    columns = task.train.features[0].shape[1] // layers
    return [slice(k * columns, (k + 1) * columns) for k in range(layers)]


_SYSTEM = on_all_encoders(
    System(
        name="embedding-ridge",
        title="Pretrained encoder and ridge regression",
        source="ours; encoder by Radford et al. (2023), arXiv:2212.04356",
        description="Mean and standard deviation over time of the hidden states of Whisper's smallest encoder, frozen; "
        "ridge regression with penalty and layer weights selected by inner cross-validation over speakers.",
        labels=ALL_EIGHT,
        features=Embedding(),
        settings=Settings(),
        fit=fit,
        published_selection="inner cross-validation, speakers shared",
    )
)
ROBUST = make_robust(_SYSTEM, settings=Settings(layers="all"))  # with all copies, selecting weights takes minutes
ROBUST_BASE = replace(with_encoder(ROBUST, "whisper-base"), member_name="embedding_ridge_robust_base")
RBF = _SYSTEM.variant(
    "rbf",
    "RBF kernel",
    description="Mean and standard deviation over time of the hidden states of Whisper's smallest encoder, frozen; "
    "kernel ridge regression with an RBF kernel per layer, penalty and gamma selected by inner cross-validation over "
    "speakers.",
    settings=rbf_ridge.Settings(),
    fit=fit_rbf,
    variants=(),
)
RBF_BASE = replace(with_encoder(RBF, "whisper-base"), member_name="embedding_ridge_rbf_base")
SYSTEM = replace(_SYSTEM, variants=(*_SYSTEM.variants, ROBUST, ROBUST_BASE, RBF, RBF_BASE))
