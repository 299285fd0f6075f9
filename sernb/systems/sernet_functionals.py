"""Ensemble of sernet and functionals: the product of the posteriors of the network and a classifier on functionals.

Ours. The inputs are complementary: the network models the sequence of frames, functionals their distribution. Members
are trained separately. The exponent was selected for the SVM on validation speakers, see the page
``23_develop_sernet``, and is the same in the variants. The variant ``…-ridge-light`` has Light-SERNet as a second
network: training takes six times as long, without a proven gain.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from sernb.systems.functionals_ridge import SYSTEM as RIDGE
from sernb.systems.functionals_ridge import Settings as RidgeSettings
from sernb.systems.functionals_svm import SYSTEM as CLASSIFIER
from sernb.systems.functionals_svm import Settings as MachineSettings
from sernb.systems.light_sernet import SHORT as LIGHT
from sernb.systems.light_sernet import Settings as LightSettings
from sernb.systems.sernet import SYSTEM as NETWORK
from sernb.systems.sernet import Settings as NetworkSettings


@dataclass(frozen=True)
class Joining:
    """Settings of the network and its exponent."""

    sernet: NetworkSettings = NETWORK.settings
    share: float = 1.0  # exponent of the network's probabilities


@dataclass(frozen=True)
class Settings(Joining):
    """With the SVM."""

    functionals_svm: MachineSettings = CLASSIFIER.settings


@dataclass(frozen=True)
class WithRidgeSettings(Joining):
    """With ridge regression."""

    functionals_ridge: RidgeSettings = RIDGE.settings


@dataclass(frozen=True)
class WithLightSettings(WithRidgeSettings):
    """With ridge regression and a second network."""

    light_sernet_short: LightSettings = LIGHT.settings


def combine(settings: Joining, scores: list[np.ndarray]) -> np.ndarray:
    """Return the normalised product of the members' probabilities, the first with its exponent.

    Args:
        scores: ``(clips, classes)`` of each member

    Returns:
        ``(clips, classes)``, rows sum to 1

    Examples:
        >>> combine(Settings(share=2.0), [np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])]).round(2)
        array([[0.9, 0.1]])
    """
    from scipy.special import softmax

    network, *others = (np.log(np.maximum(each, np.finfo(np.float32).tiny)) for each in scores)
    return softmax(settings.share * network + sum(others), axis=1)


SYSTEM = dataclasses.replace(
    NETWORK,
    name="sernet-functionals",
    title="sernet and functionals",
    description="The product of the posteriors of sernet and functionals-svm.",
    settings=Settings(),
    quick={},
    fit=None,
    network=None,
    collate=None,
    to_numpy=None,
    members=(NETWORK, CLASSIFIER),
    combine=combine,
    variants=(),
)

SYSTEM = dataclasses.replace(
    SYSTEM,
    variants=(
        SYSTEM.variant(
            "ridge",
            "ridge regression instead of the SVM",
            description="The product of the posteriors of sernet and functionals-ridge.",
            settings=WithRidgeSettings(),
            members=(NETWORK, RIDGE),
        ),
        SYSTEM.variant(
            "ridge-light",
            "ridge regression instead of the SVM, and Light-SERNet",
            description="The product of the posteriors of sernet, functionals-ridge and light-sernet-short.",
            settings=WithLightSettings(),
            members=(NETWORK, RIDGE, LIGHT),
        ),
    ),
)
