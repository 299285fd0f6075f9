"""Paired differences between results, described in sentences that claim no more than the tests show."""

from collections.abc import Mapping, Sequence

from sernb.evaluation import Interval, Predictions, format_p
from sernb.results.result import Result, collect_results
from sernb.runs.experiment import Experiment, Plan


class Variants(dict[str, Plan]):
    """Experiments of a study, by variant."""

    left_out: tuple[str, ...] = ()  # reasons, in sentences, for variants that the recordings do not allow


def excludes_zero(interval: Interval) -> bool:
    """Return whether the interval of a difference excludes 0; if not, no difference is shown.

    Examples:
        >>> excludes_zero(Interval(0.02, -0.01, 0.05)), excludes_zero(Interval(0.04, 0.01, 0.07))
        (False, True)
    """
    return interval.low > 0 or interval.high < 0


def describe_difference(name: str, difference: Interval, p: float | None = None) -> str:
    """Describe a difference in a sentence that claims no more than its interval and its test.

    Args:
        p: of a test, corrected for the number of tests; a difference is shown only if p is below 0.05

    Examples:
        >>> print(describe_difference("Noise in training, under noise", Interval(0.02, -0.01, 0.05)))
        Noise in training, under noise: no difference is shown, +2.0 points [-1.0, +5.0].
    """
    points = f"{100 * difference.value:+.1f} points [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
    test = "" if p is None else f", p {format_p(p).replace('<', 'below')} after correction"
    shown = excludes_zero(difference) and (p is None or p < 0.05)
    return f"{name}: {'' if shown else 'no difference is shown, '}{points}{test}."


def results_by_variant(variants: Mapping[str, Sequence[Experiment]]) -> dict[str, Result]:
    """Return the finished runs of each variant, pooled.

    Raises:
        DataError: if an experiment has not been run
    """
    return {name: collect_results(experiments)[0] for name, experiments in variants.items()}


def rows_by_clip(result: Result) -> dict[str, int]:
    """Return the row of each test clip in the scores of a result."""
    return {clip: row for row, clip in enumerate(result.clips["clip"])}


def predictions_for(result: Result, clips: list[str]) -> Predictions:
    """Return the predictions of a result for these test clips, in this order."""
    rows = [rows_by_clip(result)[clip] for clip in clips]
    return Predictions(result.truth[rows], result.scores()[rows], result.clips.speaker.to_numpy()[rows])
