"""Figures in one style, each with an alternative text for readers who cannot see it.

Every function returns a :class:`Drawing`; ``show(*drawing)`` puts it on a page.
"""

from sernb.figures import ablation, studies
from sernb.figures.corpora import cepstra, class_counts, durations, spectrograms
from sernb.figures.evaluation import (
    comparison,
    confusion,
    costs,
    coverage,
    predictions,
    ranks,
    recalls,
    reliability,
    values_with_intervals,
)
from sernb.figures.exploration import maps, ratings, trimming, voice, waveforms
from sernb.figures.numbers import numbers_by_speaker, predicted_numbers
from sernb.figures.occlusion import deletion_and_insertion, occlusion_maps
from sernb.figures.style import PALETTE, Drawing
from sernb.figures.training import training_curves

__all__ = [
    "PALETTE",
    "Drawing",
    "ablation",
    "cepstra",
    "class_counts",
    "comparison",
    "confusion",
    "costs",
    "coverage",
    "deletion_and_insertion",
    "durations",
    "maps",
    "numbers_by_speaker",
    "occlusion_maps",
    "predicted_numbers",
    "predictions",
    "ranks",
    "ratings",
    "recalls",
    "reliability",
    "spectrograms",
    "studies",
    "training_curves",
    "trimming",
    "values_with_intervals",
    "voice",
    "waveforms",
]
