"""The questions of the model development pages, and the variants that are compared for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sernb.audio.augmentation import View
from sernb.features import Features, FrameValues
from sernb.protocols.labels import ALL_EIGHT, LabelSet
from sernb.systems import feature_cnn, multitask_cnn, multitask_losses


@dataclass(frozen=True)
class Variant:
    """A variant: a system and its changes."""

    name: str
    system: str
    settings: Mapping[str, object] = field(default_factory=dict)  # changes to the profile's settings
    features: Features | None = None  # instead of the system's own
    training_views: tuple[View, ...] | None = None  # augmented copies in training, instead of the system's own
    quick: Mapping[str, object] = field(default_factory=dict)  # settings in the quick profile


@dataclass(frozen=True)
class Question:
    """A question: all other variants are compared with the first one."""

    name: str
    variants: tuple[Variant, ...]
    labels: LabelSet | None = None  # instead of the systems' own
    quick: Mapping[str, object] = field(default_factory=dict)  # settings of all variants in the quick profile


# -- Questions -- #


def _variants(system: str, named: Mapping[str, Mapping[str, object]], **common: object) -> tuple[Variant, ...]:
    return tuple(Variant(name, **{"system": system, **common, **changes}) for name, changes in named.items())


BASELINES = Question(
    "baselines",
    (
        Variant("majority", "majority"),
        Variant("energy, small network", "dummynet-energy-narrow", training_views=()),
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
CLASSIFIER = Question(
    "classifier",
    _variants(
        "statistics-svm",
        {
            "as published: RBF kernel, 140 components, classes by gender": {},
            "linear kernel": {"settings": {"kernel": "linear"}},
            "polynomial kernel of degree 2": {"settings": {"kernel": "poly2"}},
            "polynomial kernel of degree 3": {"settings": {"kernel": "poly3"}},
            "no PCA": {"settings": {"components": None}},
            "classes not split by gender": {"settings": {"gendered": False}},
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
            "correct sampling rate for the MFCC": {"features": FrameValues(mfcc_sampling_rate=8025)},
            "short clips padded for each feature": {"features": FrameValues(aligned=True)},
            "22,050 instead of 8,025 Hz": {"features": FrameValues(sampling_rate=22_050)},
        },
        training_views=(),
    ),
)
FEATURES = (BASELINES, STATISTICS, CLASSIFIER, VALUES, CURVES)

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
            "noise, pitch, and both combined, as published": {"training_views": (_NOISE, _PITCH, _BOTH)},
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
            "emotion only": {"settings": {"combination": "emotion"}},
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
            "sernet": {},
            "mean instead of attention": {"settings": {"attention": 0}},
            "no dilation": {"settings": {"dilations": (1,) * 4}},
            "half the filters": {"settings": {"filters": 32}},
        },
    ),
    quick={"epochs": 8},
)
TRAINING_AUGMENTATION = Question(
    "augmentation",
    _variants(
        "sernet",
        {
            "sernet": {},
            "no stretching": {"settings": {"stretch": 0.0}},
            "no warping": {"settings": {"warp": 0.0}},
            "no masking": {"settings": {"masked_bands": 0, "masked_frames": 0}},
            "no mixup": {"settings": {"mixup": 0.0}},
            "none of these": {
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
            "sernet": {},
            "half as many epochs": {"settings": {"epochs": 50}, "quick": {"epochs": 4}},
            "twice as many epochs": {"settings": {"epochs": 200}, "quick": {"epochs": 16}},
        },
    ),
    quick={"epochs": 8},
)
ENSEMBLE = Question(
    "ensemble",
    (
        Variant("functionals and SVM only", "functionals-svm"),
        Variant("sernet only", "sernet"),
        Variant("ensemble, weight of sernet 1", "sernet-functionals"),
        Variant("ensemble, weight 0.5", "sernet-functionals", {"share": 0.5}),
        Variant("ensemble, weight 2", "sernet-functionals", {"share": 2.0}),
        Variant("functionals and ridge regression only", "functionals-ridge"),
        Variant("ensemble of sernet and ridge regression, weight 1", "sernet-functionals-ridge"),
    ),
)
SERNET = (NETWORK, TRAINING_AUGMENTATION, LENGTH, ENSEMBLE)

# Questions by model development page.
PAGES = {"features": FEATURES, "architecture": ARCHITECTURE, "augmentation": AUGMENTATION, "sernet": SERNET}
