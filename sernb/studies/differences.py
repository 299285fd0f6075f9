"""Differences between results, clip by clip, in sentences that claim no more than was shown."""

from collections.abc import Mapping, Sequence

from sernb.evaluation import Interval, Predictions, format_p
from sernb.results.result import Result, collect_results
from sernb.runs.experiment import Experiment, Plan


class Variants(dict[str, Plan]):
    """Experiments of a study, by what is different about them."""

    left_out: tuple[str, ...] = ()  # what the recordings do not allow, a sentence each


def excludes_zero(interval: Interval) -> bool:
    """Return whether an interval of a difference leaves out 0; where it does not, none was shown.

    Examples:
        >>> excludes_zero(Interval(0.02, -0.01, 0.05)), excludes_zero(Interval(0.04, 0.01, 0.07))
        (False, True)
    """
    return interval.low > 0 or interval.high < 0


def describe_difference(what: str, difference: Interval, p: float | None = None) -> str:
    """Return a sentence about a difference that claims no more than its interval, and its test, do.

    Args:
        p: of a test, corrected for the number of tests; a difference is shown below 0.05 only

    Examples:
        >>> print(describe_difference("Noise in training, under noise", Interval(0.02, -0.01, 0.05)))
        Noise in training, under noise: no difference is shown, +2.0 points [-1.0, +5.0].
    """
    points = f"{100 * difference.value:+.1f} points [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
    tested = "" if p is None else f", p {format_p(p).replace('<', 'below')} after correction"
    found = excludes_zero(difference) and (p is None or p < 0.05)
    return f"{what}: {'' if found else 'no difference is shown, '}{points}{tested}."


def results_by_variant(variants: Mapping[str, Sequence[Experiment]]) -> dict[str, Result]:
    """Return the finished runs of each variant, pooled.

    Raises:
        DataError: if an experiment has not been run
    """
    return {name: collect_results(experiments)[0] for name, experiments in variants.items()}


def rows_by_clip(result: Result) -> dict[str, int]:
    """Return where each test clip lies in the scores of a result."""
    return {clip: row for row, clip in enumerate(result.clips["clip"])}


def predictions_for(result: Result, clips: list[str]) -> Predictions:
    """Return the answers of a result to these of its test clips, in this order."""
    rows = [rows_by_clip(result)[clip] for clip in clips]
    return Predictions(result.truth[rows], result.scores()[rows], result.clips.speaker.to_numpy()[rows])
