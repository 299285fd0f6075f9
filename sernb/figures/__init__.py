"""Data → figures in one style, each with a description in words for those who cannot see it.

Every function returns a :class:`Drawing`; ``show(*drawing)`` puts it on a page.
"""

from sernb.figures.corpora import class_counts, durations, spectrograms
from sernb.figures.evaluation import comparison, confusion, recalls, values_with_intervals
from sernb.figures.exploration import maps, ratings, trimming, voice, waveforms
from sernb.figures.style import PALETTE, Drawing
from sernb.figures.training import training_curves

__all__ = [
    "PALETTE",
    "Drawing",
    "class_counts",
    "comparison",
    "confusion",
    "durations",
    "maps",
    "ratings",
    "recalls",
    "spectrograms",
    "training_curves",
    "trimming",
    "values_with_intervals",
    "voice",
    "waveforms",
]
