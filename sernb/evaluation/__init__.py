"""Truth and scores → metrics, each with its interval and its floor. Nothing here draws, prints or reads files.

Everywhere: ``truth`` holds class numbers, shape ``(clips,)``; ``scores`` are higher for likelier classes, shape
``(clips, classes)``; ``speakers`` names who is heard, shape ``(clips,)``. The prediction is the class with the highest
score, the first one of equals.
"""

from sernb.evaluation.baselines import chance, constant_ranking, listener_scores
from sernb.evaluation.calibration import calibration_error, coverage, fit_temperature, reliability, with_temperature
from sernb.evaluation.intervals import (
    DRAWS,
    FEWEST_SPEAKERS,
    LEVEL,
    RESAMPLES,
    Answers,
    Interval,
    Metrics,
    evaluate,
    gain,
    gap,
    interval,
)
from sernb.evaluation.metrics import (
    Metric,
    brier,
    ccc,
    confusion_matrix,
    log_loss,
    macro_f1,
    macro_precision,
    per_class,
    per_group,
    predict,
    rmse,
    top3,
    top_k,
    uar,
    war,
    weighted_f1,
    weighted_precision,
)
from sernb.evaluation.significance import (
    Comparison,
    Spread,
    holm,
    over_seeds,
    p_in_words,
    paired_test,
    ranks,
    smallest_difference,
    speaker_differences,
)
from sernb.evaluation.tta import average_views, view_divergence, view_votes

__all__ = [
    "DRAWS", "FEWEST_SPEAKERS", "LEVEL", "RESAMPLES", "Answers", "Comparison", "Interval", "Metric", "Metrics",
    "Spread", "average_views", "brier", "calibration_error", "ccc", "chance", "confusion_matrix", "constant_ranking",
    "coverage", "evaluate", "fit_temperature", "gain", "gap", "holm", "interval", "listener_scores", "log_loss",
    "macro_f1", "macro_precision", "over_seeds", "p_in_words", "paired_test", "per_class", "per_group", "predict",
    "ranks", "reliability", "rmse", "smallest_difference", "speaker_differences", "top3", "top_k", "uar",
    "view_divergence", "view_votes", "war", "weighted_f1", "weighted_precision", "with_temperature",
]  # fmt: skip
