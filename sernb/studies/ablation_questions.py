"""The questions of the development pages: which variants answer each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sernb.audio.augmentation import View
from sernb.features import Features, FrameValues
from sernb.protocols.labels import ALL_EIGHT, LabelSet
from sernb.systems import feature_cnn, multitask_cnn, multitask_losses


@dataclass(frozen=True)
class Variant:
    """One variant: a system, and what is different about it."""

    name: str
    system: str
    settings: Mapping[str, object] = field(default_factory=dict)  # changes of the profile's settings
    features: Features | None = None  # instead of the system's own
    training_views: tuple[View, ...] | None = None  # instead of the system's own
    quick: Mapping[str, object] = field(default_factory=dict)  # settings in the quick profile


@dataclass(frozen=True)
class Question:
    """What is asked: all other variants are compared with the first one."""

    name: str
    variants: tuple[Variant, ...]
    labels: LabelSet | None = None  # instead of the systems' own
    quick: Mapping[str, object] = field(default_factory=dict)  # settings of all in the quick profile


# -- What the pages ask -- #


def _variants(system: str, named: Mapping[str, Mapping[str, object]], **common: object) -> tuple[Variant, ...]:
    return tuple(Variant(name, **{"system": system, **common, **changes}) for name, changes in named.items())


BASELINES = Question(
    "baselines",
    (
        Variant("majority", "majority"),
        Variant("energy alone, a small network", "dummynet-energy-narrow", training_views=()),
        Variant("200 statistics, RBF SVM", "statistics-svm"),
        Variant("7,828 functionals, linear SVM", "functionals-svm"),
        Variant("7,828 functionals, RBF SVM", "functionals-svm-rbf"),
        Variant("7,828 functionals, ridge regression", "functionals-ridge"),
    ),
    labels=ALL_EIGHT,
)
STATISTICS = Question(
    "statistics",
    (
        Variant("as published", "statistics-svm"),
        Variant("with pre-emphasis", "statistics-svm-pre-emphasis"),
        Variant("with first differences", "statistics-svm-differences"),
        Variant("with both", "statistics-svm-as-described"),
    ),
)
MACHINE = Question(
    "machine",
    _variants(
        "statistics-svm",
        {
            "as published: RBF kernel, 140 components, gender learned": {},
            "linear kernel": {"settings": {"kernel": "linear"}},
            "polynomial kernel of degree 2": {"settings": {"kernel": "poly2"}},
            "polynomial kernel of degree 3": {"settings": {"kernel": "poly3"}},
            "no PCA": {"settings": {"components": None}},
            "gender not learned": {"settings": {"gendered": False}},
        },
    ),
)
CURVES = Question(
    "curves",
    (
        Variant("zero-crossing rate and energy", "dummynet-zcr-energy-narrow", training_views=()),
        Variant("zero-crossing rate", "dummynet-zcr-narrow", training_views=()),
        Variant("energy", "dummynet-energy-narrow", training_views=()),
    ),
)
VALUES = Question(
    "values",
    _variants(
        "feature-cnn-narrow",
        {
            "as published": {},
            "right sampling rate for the MFCC": {"features": FrameValues(mfcc_sampling_rate=8025)},
            "short clips padded kind by kind": {"features": FrameValues(aligned=True)},
            "22,050 instead of 8,025 Hz": {"features": FrameValues(sampling_rate=22_050)},
        },
        training_views=(),
    ),
)
FEATURES = (BASELINES, STATISTICS, MACHINE, VALUES, CURVES)

SCALES = Question(
    "scales",
    _variants(
        "multiscale-cnn",
        {
            "as published: eight blocks, dilations 1 to 128": {},
            "four blocks, dilations 1 to 8": {"settings": {"dilations": (1, 2, 4, 8)}},
            "eight blocks without dilation": {"settings": {"dilations": (1,) * 8}},
        },
    ),
    quick={"epochs": 4},
)
ATTENTION = Question(
    "attention",
    _variants(
        "multitask-cnn-narrow",
        {"with attention, as published": {}, "without attention": {"settings": {"attention": None}}},
        training_views=(),
    ),
)
MEMORY = Question(
    "memory",
    _variants(
        "timedistributed-cnn-lstm-narrow",
        {"one LSTM cell, as in the code": {}, "two, as in the text": {"settings": {"cells": 2}}},
        training_views=(),
    ),
    quick={"epochs": 2},
)
SOFTMAX = Question(
    "softmax",
    _variants(
        "dummynet-energy-narrow",
        {"softmax twice, as published": {}, "softmax once": {"settings": {"softmax_twice": False}}},
        training_views=(),
    ),
)
ARCHITECTURE = (SCALES, ATTENTION, MEMORY, SOFTMAX)

_NOISE, _PITCH, _BOTH = feature_cnn.SYSTEM.training_views
COPIES = Question(
    "copies",
    _variants(
        "feature-cnn-narrow",
        {
            "no copies": {"training_views": ()},
            "noise": {"training_views": (_NOISE,)},
            "pitch": {"training_views": (_PITCH,)},
            "noise, pitch, and both at once, as published": {"training_views": (_NOISE, _PITCH, _BOTH)},
        },
    ),
)
VIEWS = Question(
    "views",
    _variants(
        "multitask-cnn-narrow",
        {
            "no copies": {"training_views": ()},
            **{view.name: {"training_views": (view,)} for view in multitask_cnn.VIEWS[1:]},
            "all five, as published": {"training_views": multitask_cnn.VIEWS[1:]},
        },
    ),
)
LOSSES = Question(
    "losses",
    _variants(
        "multitask-cnn-narrow",
        {
            "emotion alone": {"settings": {"combination": "emotion"}},
            **{
                f"all tasks: {combination}": {"settings": {"combination": combination}}
                for combination in multitask_losses.COMBINATIONS[1:]
            },
        },
        training_views=(),
    ),
)
AUGMENTATION = (COPIES, VIEWS, LOSSES)

NETWORK = Question(
    "network",
    _variants(
        "sernet",
        {
            "as it is": {},
            "frames weigh alike": {"settings": {"attention": 0}},
            "no dilation": {"settings": {"dilations": (1,) * 4}},
            "half the filters": {"settings": {"filters": 32}},
        },
    ),
    quick={"epochs": 8},
)
ALTERATIONS = Question(
    "alterations",
    _variants(
        "sernet",
        {
            "as it is": {},
            "not stretched": {"settings": {"stretch": 0.0}},
            "not warped": {"settings": {"warp": 0.0}},
            "not masked": {"settings": {"masked_bands": 0, "masked_frames": 0}},
            "not mixed": {"settings": {"mixup": 0.0}},
            "nothing of all this": {
                "settings": {"stretch": 0.0, "warp": 0.0, "masked_bands": 0, "masked_frames": 0, "mixup": 0.0}
            },
        },
    ),
    quick={"epochs": 8},
)
LENGTH = Question(
    "length",
    _variants(
        "sernet",
        {
            "as it is": {},
            "half as many epochs": {"settings": {"epochs": 50}, "quick": {"epochs": 4}},
            "twice as many": {"settings": {"epochs": 200}, "quick": {"epochs": 16}},
        },
    ),
    quick={"epochs": 8},
)
JOINED = Question(
    "joined",
    (
        Variant("functionals and SVM alone", "functionals-svm"),
        Variant("sernet alone", "sernet"),
        Variant("both, the network's share 1", "sernet-functionals"),
        Variant("share 0.5", "sernet-functionals", {"share": 0.5}),
        Variant("share 2", "sernet-functionals", {"share": 2.0}),
        Variant("functionals and ridge regression alone", "functionals-ridge"),
        Variant("sernet and ridge regression, share 1", "sernet-functionals-ridge"),
    ),
)
OURS = (NETWORK, ALTERATIONS, LENGTH, JOINED)

# By page of model development.
PAGES = {"features": FEATURES, "architecture": ARCHITECTURE, "augmentation": AUGMENTATION, "sernet": OURS}
