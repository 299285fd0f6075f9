"""sernet and functionals together: the product of what the network and a classifier on functionals predict.

Ours. The two read different things of a clip: the network its course, the functionals its distribution. Both are
trained apart, and their runs are kept; joining them costs nothing. The share was chosen on validation speakers for the
SVM, see the page ``23_develop_sernet``; the variants take it as it is. The second of them has a second network beside
the two, one that reads three seconds as an image: six times as long to train, and no gain was shown.
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
    """The settings of the network, and what it counts beside the others."""

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


def joined(settings: Joining, scores: list[np.ndarray]) -> np.ndarray:
    """Return the product of the systems' probabilities, the first's to the power of its share; rows sum to 1.

    Args:
        scores: ``(clips, classes)`` of each

    Examples:
        >>> joined(Settings(share=2.0), [np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])]).round(2)
        array([[0.9, 0.1]])
    """
    from scipy.special import softmax

    network, *others = (np.log(np.maximum(each, np.finfo(np.float32).tiny)) for each in scores)
    return softmax(settings.share * network + sum(others), axis=1)


SYSTEM = dataclasses.replace(
    NETWORK,
    name="sernet-functionals",
    title="sernet and functionals",
    about="The product of what sernet and functionals-svm say.",
    settings=Settings(),
    quick={},
    fit=None,
    network=None,
    together=None,
    light=None,
    members=(NETWORK, CLASSIFIER),
    joined=joined,
    variants=(),
)

SYSTEM = dataclasses.replace(
    SYSTEM,
    variants=(
        SYSTEM.variant(
            "ridge",
            "ridge regression instead of the SVM",
            about="The product of what sernet and functionals-ridge say.",
            settings=WithRidgeSettings(),
            members=(NETWORK, RIDGE),
        ),
        SYSTEM.variant(
            "ridge-light",
            "ridge regression instead of the SVM, and Light-SERNet",
            about="The product of what sernet, functionals-ridge and light-sernet-short say.",
            settings=WithLightSettings(),
            members=(NETWORK, RIDGE, LIGHT),
        ),
    ),
)
