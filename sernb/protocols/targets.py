"""Numeric targets: a column of numbers, such as arousal, in the place of a label set."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sernb.config import DataError, Infeasible
from sernb.corpora.labelled_folder import find_odd_numbers
from sernb.protocols.labels import LabelSet

if TYPE_CHECKING:
    import pandas as pd

    from sernb.corpora.pool import Pool

NO_TARGETS = ("bytes", "seconds", "sampling_rate", "channels")  # what a file says of itself
STRATA = 5  # parts of equally many clips, for folds with equal shares of low and high values


@dataclass(frozen=True)
class NumericTarget(LabelSet):
    """A numeric column of the index, to be predicted; clips without a value are dropped."""

    becomes: tuple[tuple[str, str], ...] = ()  # no classes
    scale: tuple[float, float] | None = None  # the lowest and the highest value that raters could give, where known

    @property
    def column(self) -> str:
        """The column of the index: its name."""
        return self.name

    @property
    def numeric(self) -> bool:
        """Numbers are predicted."""
        return True

    def read(self, index: "pd.DataFrame") -> "pd.Series":
        """Return the value of each clip, NaN where it has none.

        Raises:
            DataError: if the index has no such column of numbers; the message lists those that it has
        """
        if self.name in _numbers(index):
            return index[self.name]
        known = ", ".join(find_numeric_columns(index)) or "none"
        what = f"{self.name!r} is no numeric column of these corpora" if self.name else "is not named"
        raise DataError(f"target: {what}; give --target with one of those that have values: {known}")

    def truths(self, emotions: "pd.Series") -> "pd.Series":
        """Return the values as they are."""
        return emotions

    def encode(self, truth: "pd.Series") -> np.ndarray:
        """Return the values as an array, shape ``(clips,)``."""
        return truth.to_numpy(float)

    def within(self, index: "pd.DataFrame") -> "NumericTarget":
        """Return the target itself.

        Raises:
            DataError: as :meth:`read`, or if a value lies outside of the scale
            Infeasible: if no clip has a value
        """
        values = self.read(index).to_numpy(float)
        if np.isnan(values).all():
            known = ", ".join(find_numeric_columns(index)) or "none"
            raise Infeasible(f"no clip has a value of {self.name}; numeric columns with values: {known}")
        low, high = self.scale or (-np.inf, np.inf)
        outside = (values < low) | (values > high)
        if outside.any():
            odd = [
                f"clip {clip}: {self.name} {value:g} is outside of {low:g} to {high:g}; correct it or the scale"
                for clip, value in zip(index["clip"][outside], values[outside], strict=True)
            ]
            raise DataError.of_many(odd, "more like these")
        return self

    def dropped(self, index: "pd.DataFrame") -> dict[str, int]:
        """Return how many clips have no value, under ""; nothing where all have one."""
        missing = int(self.read(index).isna().sum())
        return {"": missing} if missing else {}


def parse_target(text: str) -> NumericTarget:
    """Return the target that an option names: a column, and its scale where it is known.

    Raises:
        DataError: if the scale is none

    Examples:
        >>> parse_target("arousal:1..5").scale, parse_target("stress").name
        ((1.0, 5.0), 'stress')
    """
    name, _, scale = text.partition(":")
    if not scale:
        return NumericTarget(name.strip().casefold())
    number = r"\s*(-?\d+(?:\.\d+)?)\s*"
    match = re.fullmatch(rf"{number}\.\.{number}", scale)
    if not match or float(match[1]) >= float(match[2]):
        raise DataError(f"target {text!r}: {scale!r} is no scale; write it as in arousal:1..5")
    return NumericTarget(name.strip().casefold(), scale=(float(match[1]), float(match[2])))


def refuse_odd_values(target: NumericTarget, pool: "Pool") -> None:
    """Stop if a folder of one's own labels has values of a target that are no numbers, or outside of its scale.

    Raises:
        DataError: naming file, line and value
    """
    for part in pool.parts:
        corpus = part.corpus
        if corpus.own and (odd := find_odd_numbers(corpus.home / corpus.labels_at[0], target.name, target.scale)):
            raise DataError.of_many(odd, "more like these")


def find_numeric_columns(index: "pd.DataFrame") -> list[str]:
    """Return the columns of an index that can be a target: of numbers, with some value, about the speech."""
    return [name for name in _numbers(index) if index[name].notna().any()]


def make_strata(values: np.ndarray) -> np.ndarray:
    """Return classes to stratify by: those given, or for numbers fifths of equally many clips, equal values together.

    Examples:
        >>> make_strata(np.array([1.0, 9.0, 3.0, 3.0, 5.0, 7.0])).tolist()
        [0, 4, 1, 1, 2, 3]
        >>> make_strata(np.array(["sad", "calm"])).tolist()
        ['sad', 'calm']
    """
    from scipy.stats import rankdata

    if np.asarray(values).dtype.kind != "f":
        return np.asarray(values)
    return np.minimum(STRATA * (rankdata(values) - 0.5) // len(values), STRATA - 1).astype(int)


def _numbers(index: "pd.DataFrame") -> list[str]:
    return [name for name in index.select_dtypes("number") if name not in NO_TARGETS]
