"""Numeric targets for regression: a column of numbers, such as arousal, instead of a label set."""

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

NO_TARGETS = ("bytes", "seconds", "sampling_rate", "channels")  # technical metadata of the files
STRATA = 5  # quantile bins for stratified folds


@dataclass(frozen=True)
class NumericTarget(LabelSet):
    """A numeric column of the index as prediction target; clips without a value are dropped."""

    becomes: tuple[tuple[str, str], ...] = ()  # no classes
    scale: tuple[float, float] | None = None  # lowest and highest value of the rating scale, if known

    @property
    def column(self) -> str:
        """The column of the index, which is the name of the target."""
        return self.name

    @property
    def numeric(self) -> bool:
        """Whether the targets are numbers: always true."""
        return True

    def read(self, index: "pd.DataFrame") -> "pd.Series":
        """Return the value of each clip, NaN if it has none.

        Raises:
            DataError: if the index has no such numeric column; the message lists the available ones
        """
        if self.name in _numeric_columns(index):
            return index[self.name]
        available = ", ".join(find_numeric_columns(index)) or "none"
        problem = f"{self.name!r} is not a numeric column of these corpora" if self.name else "is not named"
        raise DataError(f"target: {problem}; give --target with a column that has values: {available}")

    def truths(self, emotions: "pd.Series") -> "pd.Series":
        """Return the values unchanged."""
        return emotions

    def encode(self, truth: "pd.Series") -> np.ndarray:
        """Return the values as an array, shape ``(clips,)``."""
        return truth.to_numpy(float)

    def within(self, index: "pd.DataFrame") -> "NumericTarget":
        """Return the target itself, after checking its values.

        Raises:
            DataError: as :meth:`read`, or if a value is outside the scale
            Infeasible: if no clip has a value
        """
        values = self.read(index).to_numpy(float)
        if np.isnan(values).all():
            available = ", ".join(find_numeric_columns(index)) or "none"
            raise Infeasible(f"no clip has a value of {self.name}; numeric columns with values: {available}")
        low, high = self.scale or (-np.inf, np.inf)
        outside = (values < low) | (values > high)
        if outside.any():
            problems = [
                f"clip {clip}: {self.name} {value:g} is outside {low:g} to {high:g}; correct it or the scale"
                for clip, value in zip(index["clip"][outside], values[outside], strict=True)
            ]
            raise DataError.of_many(problems, "more like these")
        return self

    def dropped(self, index: "pd.DataFrame") -> dict[str, int]:
        """Return the number of clips without a value under ""; empty if all clips have one."""
        missing = int(self.read(index).isna().sum())
        return {"": missing} if missing else {}


def parse_target(text: str) -> NumericTarget:
    """Parse a target option: a column, optionally with its scale.

    Raises:
        DataError: if the scale is malformed

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
        raise DataError(f"target {text!r}: {scale!r} is not a scale; write it as in arousal:1..5")
    return NumericTarget(name.strip().casefold(), scale=(float(match[1]), float(match[2])))


def refuse_odd_values(target: NumericTarget, pool: "Pool") -> None:
    """Stop if a user's label table has target values that are not numbers or are outside the scale.

    Raises:
        DataError: with file, line and value
    """
    for part in pool.parts:
        corpus = part.corpus
        if not corpus.own:
            continue
        if problems := find_odd_numbers(corpus.home / corpus.label_files[0], target.name, target.scale):
            raise DataError.of_many(problems, "more like these")


def find_numeric_columns(index: "pd.DataFrame") -> list[str]:
    """Return the columns of an index that can be targets: numeric metadata of the speech with at least one value."""
    return [name for name in _numeric_columns(index) if index[name].notna().any()]


def make_strata(values: np.ndarray) -> np.ndarray:
    """Return strata for stratified splits: the classes, or quintiles of numbers with equal values in one bin.

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


def _numeric_columns(index: "pd.DataFrame") -> list[str]:
    return [name for name in index.select_dtypes("number") if name not in NO_TARGETS]
