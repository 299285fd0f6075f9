"""Ensembles (products of posteriors) of systems on pretrained encoders, functionals and a network from scratch.

Ours. Members are trained and calibrated separately. Their exponents were selected under the protocol ``development``,
which does not use test speakers.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from sernb.systems.base import System
from sernb.systems.embedding_ridge import RBF as RBF_EMBEDDING
from sernb.systems.embedding_ridge import RBF_BASE, ROBUST_BASE
from sernb.systems.embedding_ridge import ROBUST as ROBUST_EMBEDDING
from sernb.systems.embedding_ridge import SYSTEM as EMBEDDING
from sernb.systems.embedding_ridge import Settings as EmbeddingSettings
from sernb.systems.functionals_ridge import RBF as RBF_FUNCTIONALS
from sernb.systems.functionals_ridge import ROBUST as ROBUST_FUNCTIONALS
from sernb.systems.functionals_ridge import SYSTEM as FUNCTIONALS
from sernb.systems.functionals_ridge import Settings as FunctionalsSettings
from sernb.systems.learning import rbf_ridge
from sernb.systems.on_encoder import on_all_encoders
from sernb.systems.robust import ROBUST, with_variant
from sernb.systems.sernet import SYSTEM as SERNET
from sernb.systems.sernet import Settings as SernetSettings
from sernb.systems.whisper_finetuned import TOP as FINETUNED
from sernb.systems.whisper_finetuned import Settings as FinetunedSettings

BASE = next(each for each in EMBEDDING.variants if each.features.encoder == "whisper-base")
BASE = dataclasses.replace(BASE, member_name="embedding_ridge_base")


@dataclass(frozen=True)
class Shares:
    """Exponents of the members' probabilities in their order; subclasses add the members' settings."""

    shares: tuple[float, ...]


@dataclass(frozen=True)
class Settings(Shares):
    """With a pretrained encoder."""

    embedding_ridge: EmbeddingSettings = EMBEDDING.settings


@dataclass(frozen=True)
class WithFunctionals(Settings):
    """With ridge regression on functionals."""

    functionals_ridge: FunctionalsSettings = FUNCTIONALS.settings


@dataclass(frozen=True)
class RobustWithFunctionals(Shares):
    """With the robust variants of both."""

    embedding_ridge_robust: EmbeddingSettings = ROBUST_EMBEDDING.settings
    functionals_ridge_robust: FunctionalsSettings = ROBUST_FUNCTIONALS.settings


@dataclass(frozen=True)
class WithSernet(WithFunctionals):
    """With a network from scratch."""

    sernet: SernetSettings = SERNET.settings


@dataclass(frozen=True)
class Pair(Settings):
    """With a second encoder."""

    embedding_ridge_base: EmbeddingSettings = BASE.settings


@dataclass(frozen=True)
class PairWithFunctionals(Pair):
    """With ridge regression on functionals."""

    functionals_ridge: FunctionalsSettings = FUNCTIONALS.settings


@dataclass(frozen=True)
class PairWithSernet(PairWithFunctionals):
    """With a network from scratch."""

    sernet: SernetSettings = SERNET.settings


@dataclass(frozen=True)
class PairWithFinetuned(PairWithFunctionals):
    """With a fine-tuned encoder."""

    whisper_finetuned_top: FinetunedSettings = FINETUNED.settings


@dataclass(frozen=True)
class PairWithBoth(PairWithSernet):
    """With a network from scratch and a fine-tuned encoder."""

    whisper_finetuned_top: FinetunedSettings = FINETUNED.settings


@dataclass(frozen=True)
class RbfPair(Shares):
    """With two encoders and RBF kernels."""

    embedding_ridge_rbf: rbf_ridge.Settings = RBF_EMBEDDING.settings
    embedding_ridge_rbf_base: rbf_ridge.Settings = RBF_BASE.settings


@dataclass(frozen=True)
class RbfPairWithFunctionals(RbfPair):
    """With kernel ridge regression on functionals."""

    functionals_ridge_rbf: rbf_ridge.Settings = RBF_FUNCTIONALS.settings


@dataclass(frozen=True)
class RbfPairWithSernet(RbfPairWithFunctionals):
    """With a network from scratch."""

    sernet: SernetSettings = SERNET.settings


@dataclass(frozen=True)
class RobustPairWithFunctionals(RobustWithFunctionals):
    """With a second encoder."""

    embedding_ridge_robust_base: EmbeddingSettings = ROBUST_BASE.settings


def combine(settings: Shares, scores: list[np.ndarray]) -> np.ndarray:
    """Return the normalised product of the members' probabilities, each with its exponent.

    Args:
        scores: ``(clips, classes)`` of each member

    Returns:
        ``(clips, classes)``, rows sum to 1

    Examples:
        >>> combine(Settings((2.0, 1.0)), [np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])]).round(2)
        array([[0.9, 0.1]])
    """
    from scipy.special import softmax

    logarithms = (np.log(np.maximum(each, np.finfo(np.float32).tiny)) for each in scores)
    return softmax(sum(share * each for share, each in zip(settings.shares, logarithms, strict=True)), axis=1)


def _product(name: str, title: str, settings: Settings | RobustWithFunctionals | RbfPair, *members: System) -> System:
    names = [each.name for each in members]
    return dataclasses.replace(
        members[0],
        name=name,
        title=title,
        description=f"The product of the posteriors of {', '.join(names[:-1])} and {names[-1]}.",
        settings=settings,
        fit=None,
        members=members,
        combine=combine,
        variants=(),
    )


_FUNCTIONALS = _product(
    "embedding-functionals",
    "Pretrained encoder and functionals",
    WithFunctionals((1.0, 0.5)),
    EMBEDDING,
    FUNCTIONALS,
)
_ROBUST = _product(
    f"{_FUNCTIONALS.name}-{ROBUST}",
    f"{_FUNCTIONALS.title}: robust",
    RobustWithFunctionals(_FUNCTIONALS.settings.shares),
    ROBUST_EMBEDDING,
    ROBUST_FUNCTIONALS,
)
_PAIR = _product("embedding-pair", "Two pretrained encoders", Pair((1.0, 1.0)), EMBEDDING, BASE)
_RBF_PAIR = (RBF_EMBEDDING, RBF_BASE)
SYSTEMS = (
    with_variant(on_all_encoders(_FUNCTIONALS), _ROBUST),
    on_all_encoders(
        _product(
            "embedding-sernet-functionals",
            "Pretrained encoder, sernet and functionals",
            WithSernet((1.0, 0.5, 0.5)),
            EMBEDDING,
            FUNCTIONALS,
            SERNET,
        )
    ),
    dataclasses.replace(
        _PAIR,
        variants=(
            _product(
                "embedding-pair-functionals",
                "Two pretrained encoders and functionals",
                PairWithFunctionals((1.0, 1.0, 0.5)),
                *_PAIR.members,
                FUNCTIONALS,
            ),
            _product(
                f"embedding-pair-functionals-{ROBUST}",
                "Two pretrained encoders and functionals: robust",
                RobustPairWithFunctionals((1.0, 1.0, 0.5)),
                ROBUST_EMBEDDING,
                ROBUST_BASE,
                ROBUST_FUNCTIONALS,
            ),
            _product(
                "embedding-pair-sernet-functionals",
                "Two pretrained encoders, sernet and functionals",
                PairWithSernet((1.0, 1.0, 0.5, 0.5)),
                *_PAIR.members,
                FUNCTIONALS,
                SERNET,
            ),
            # Fine-tuned encoders have the exponent of frozen ones: nothing was selected for these.
            _product(
                "embedding-pair-finetuned-functionals",
                "Two pretrained encoders, one of them also fine-tuned, and functionals",
                PairWithFinetuned((1.0, 1.0, 0.5, 1.0)),
                *_PAIR.members,
                FUNCTIONALS,
                FINETUNED,
            ),
            _product(
                "embedding-pair-finetuned-sernet-functionals",
                "Two pretrained encoders, one of them also fine-tuned, sernet and functionals",
                PairWithBoth((1.0, 1.0, 0.5, 0.5, 1.0)),
                *_PAIR.members,
                FUNCTIONALS,
                SERNET,
                FINETUNED,
            ),
            # The same shares as without RBF kernels: nothing was selected for these.
            _product("embedding-pair-rbf", "Two pretrained encoders: RBF kernels", RbfPair((1.0, 1.0)), *_RBF_PAIR),
            _product(
                "embedding-pair-functionals-rbf",
                "Two pretrained encoders and functionals: RBF kernels",
                RbfPairWithFunctionals((1.0, 1.0, 0.5)),
                *_RBF_PAIR,
                RBF_FUNCTIONALS,
            ),
            _product(
                "embedding-pair-sernet-functionals-rbf",
                "Two pretrained encoders, sernet and functionals: RBF kernels",
                RbfPairWithSernet((1.0, 1.0, 0.5, 0.5)),
                *_RBF_PAIR,
                RBF_FUNCTIONALS,
                SERNET,
            ),
        ),
    ),
)
