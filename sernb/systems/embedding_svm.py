"""A support vector machine on the hidden states of a frozen pretrained encoder: functionals-svm on embeddings."""

from sernb.features import Embedding
from sernb.protocols.labels import ALL_EIGHT
from sernb.systems.base import System
from sernb.systems.functionals_svm import Settings, fit
from sernb.systems.on_encoder import on_all_encoders

SYSTEM = on_all_encoders(
    System(
        name="embedding-svm",
        title="Pretrained encoder and SVM",
        source="ours; encoder by Radford et al. (2023), arXiv:2212.04356",
        description="Mean and standard deviation over time of all hidden states of Whisper's smallest encoder, frozen; "
        "RBF SVM with C and gamma selected by inner cross-validation over speakers.",
        labels=ALL_EIGHT,
        features=Embedding(),
        settings=Settings(kernel="rbf"),
        fit=fit,
        published_selection="inner cross-validation, speakers shared",
    )
)
