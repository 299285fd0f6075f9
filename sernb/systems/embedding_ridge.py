"""Ridge regression on the hidden states of a pretrained encoder, frozen: what its layers count is chosen by speakers.

Ours. That all layers together do better than any single one of them, and middle ones better than the last, was seen by
us on RAVDESS; which mixture is taken is decided within each fold. The penalties were judged under the protocol
``development``, where no test speaker is scored.
"""

from dataclasses import dataclass, replace

from sernb.features import Embedding
from sernb.protocols.labels import ALL_EIGHT
from sernb.systems.base import Fitted, System, Task
from sernb.systems.learning.ridge import fit_ridge
from sernb.systems.majority import tenfold_split
from sernb.systems.on_encoder import on_all_encoders, with_encoder
from sernb.systems.robust import make_robust, with_variant


@dataclass(frozen=True)
class Settings:
    """Ridge regression on standardised embeddings; penalty and layers are searched by speakers."""

    penalties: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0)  # of the mean square of a clip
    inner_folds: int = 4
    # "chosen" by inner folds: one, all alike, or each by what it is worth alone; or "all" alike; or one by its number
    layers: str = "chosen"


def fit(settings: Settings, task: Task) -> Fitted:
    """Fit on training clips, see :func:`sernb.systems.learning.ridge.fit_ridge`; each layer is a group of columns."""
    layers = len(task.features.layer_numbers) if isinstance(task.features, Embedding) else 1
    columns = task.train.features[0].shape[1] // layers
    groups = [slice(k * columns, (k + 1) * columns) for k in range(layers)]
    if settings.layers.isdecimal():
        groups = [groups[int(settings.layers)]]
    return fit_ridge(task, settings, groups, mix=settings.layers == "chosen" and layers > 1)


_SYSTEM = on_all_encoders(
    System(
        name="embedding-ridge",
        title="Pretrained encoder and ridge regression",
        source="ours; encoder by Radford et al. (2023), arXiv:2212.04356",
        about="Mean and deviation over time of the hidden states of Whisper's smallest encoder, frozen; ridge "
        "regression on the classes, its penalty and what each layer counts by inner cross-validation over speakers.",
        labels=ALL_EIGHT,
        features=Embedding(),
        settings=Settings(),
        quick={},
        fit=fit,
        published_split=tenfold_split,
        published_choice="inner cross-validation, speakers shared",
        tests_choose=False,
    )
)
ROBUST = make_robust(_SYSTEM, settings=Settings(layers="all"))  # mixtures would take minutes with so many copies
ROBUST_BASE = replace(with_encoder(ROBUST, "whisper-base"), seat="embedding_ridge_robust_base")
SYSTEM = with_variant(with_variant(_SYSTEM, ROBUST), ROBUST_BASE)
