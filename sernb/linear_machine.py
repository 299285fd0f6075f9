"""A one-against-one linear SVM as plain arrays: it answers with NumPy alone and is kept without pickle."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

LIMIT = 6.0  # standard deviations: one wild value does not decide
ARRAYS = ("mean", "deviation", "planes", "intercepts", "learned")


@dataclass(frozen=True)
class LinearMachine:
    """Standardisation, one plane for each pair of classes, and how their votes and distances become probabilities."""

    mean: np.ndarray  # (values,)
    deviation: np.ndarray  # (values,)
    planes: np.ndarray  # (pairs, values); pairs in the order of itertools.combinations
    intercepts: np.ndarray  # (pairs,); above 0: the first class of the pair
    learned: np.ndarray  # class numbers that the pairs are made of, (learned,)
    classes: int
    limit: float = LIMIT  # standard deviations
    by_votes: float = 1.0  # how much the votes count in the logarithm of a probability
    by_distances: float = 0.0  # and how much the distances from the planes

    def __post_init__(self):
        """Refuse arrays that do not belong together.

        Raises:
            ValueError: naming the array
        """
        pairs, values = math.comb(len(self.learned), 2), np.shape(self.mean)[-1]
        expected = {"mean": (values,), "deviation": (values,), "planes": (pairs, values), "intercepts": (pairs,)}
        for name, shape in expected.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype.kind != "f" or not np.isfinite(array).all():
                raise ValueError(f"{name}: finite numbers of shape {shape} are expected")
        if self.learned.dtype.kind not in "iu" or not set(self.learned.tolist()) <= set(range(self.classes)):
            raise ValueError(f"learned: numbers of {self.classes} classes are expected")
        if not ((self.deviation > 0).all() and self.limit > 0):
            raise ValueError("deviation, limit: numbers above 0 are expected")
        if not (math.isfinite(self.by_votes) and math.isfinite(self.by_distances)):
            raise ValueError("by_votes, by_distances: finite numbers are expected")

    def standardised(self, rows: np.ndarray) -> np.ndarray:
        """Return features as the planes see them, shape ``(clips, values)``."""
        return np.clip((rows.astype(np.float64) - self.mean) / self.deviation, -self.limit, self.limit)

    def evidence(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what the pairs say of clips: votes, and sums of distances, by class that was learned.

        Among classes of as many votes the distances decide, as in scikit-learn's ``decision_function``, to which the
        votes here are equal.

        Args:
            rows: features, shape ``(clips, values)``

        Returns:
            twice ``(clips, learned)``
        """
        distances = self.standardised(rows) @ self.planes.T.astype(np.float64) + self.intercepts
        votes, sums = np.zeros((2, len(rows), len(self.learned)))
        for distance, (first, second) in zip(distances.T, combinations(range(len(self.learned)), 2), strict=True):
            votes[:, first] += distance >= 0
            votes[:, second] += distance < 0
            sums[:, first] += distance
            sums[:, second] -= distance
        return votes + sums / (3 * (np.abs(sums) + 1)), sums

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of clips, shape ``(clips, classes)``; a class that was never learned comes last."""
        votes, sums = self.evidence(rows)
        logarithms = self.by_votes * votes + self.by_distances * sums
        by_class = np.full((len(rows), self.classes), logarithms.min(initial=0.0) - self.by_votes)
        by_class[:, self.learned] = logarithms
        powers = np.exp(by_class - by_class.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def reasons(self, row: np.ndarray, answer: int) -> np.ndarray:
        """Return by how much each value of a clip moved the distances towards a class, summed over its pairs.

        Together with the intercepts they are what the pairs of this class said.

        Args:
            row: features of one clip, shape ``(values,)``
            answer: number of a class that was learned

        Returns:
            shape ``(values,)``; above 0: for the class
        """
        at = self.learned.tolist().index(answer)
        pairs = list(combinations(range(len(self.learned)), 2))
        signs = np.array([1.0 if first == at else -1.0 if second == at else 0.0 for first, second in pairs])
        return (signs @ self.planes.astype(np.float64)) * self.standardised(row[None])[0]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays, to be kept by name."""
        return {name: getattr(self, name) for name in ARRAYS}


def machine_of(arrays: Mapping[str, np.ndarray], **numbers: float) -> LinearMachine:
    """Return the machine that arrays by name make, with the ``numbers`` that it needs besides.

    Raises:
        ValueError: if one is missing, or they do not belong together
    """
    if missing := [name for name in ARRAYS if name not in arrays]:
        raise ValueError(f"{missing[0]}: is missing")
    return LinearMachine(**{name: arrays[name] for name in ARRAYS}, **numbers)


def fitted(rows: np.ndarray, truth: np.ndarray, penalty: float, classes: int) -> LinearMachine:
    """Train on features of clips, shape ``(clips, values)``, and their class numbers."""
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    scaler = StandardScaler().fit(rows)
    scaled = np.clip(scaler.transform(rows), -LIMIT, LIMIT)
    machine = SVC(C=penalty, kernel="precomputed").fit(scaled @ scaled.T / scaled.shape[1], truth)
    return machine_of(arrays_of(machine, scaled, scaler), classes=classes)


def arrays_of(machine: "SVC", scaled: np.ndarray, scaler: "StandardScaler") -> dict[str, np.ndarray]:
    """Return what a fitted SVM is made of, float32.

    Args:
        machine: fitted on the kernel ``scaled @ scaled.T / values``
        scaled: what it was fitted on, shape ``(clips, values)``
        scaler: that scaled it
    """
    classes, ends = len(machine.classes_), np.cumsum([0, *machine.n_support_])
    vectors = scaled[machine.support_] / scaled.shape[1]
    planes = []
    for first, second in combinations(range(classes), 2):
        # Libsvm keeps of each support vector one coefficient for each other class, leaving out its own.
        of_first, of_second = (slice(ends[each], ends[each + 1]) for each in (first, second))
        plane = machine.dual_coef_[second - 1, of_first] @ vectors[of_first]
        planes.append(plane + machine.dual_coef_[first, of_second] @ vectors[of_second])
    sign = -1 if classes == 2 else 1  # of two classes scikit-learn turns the plane round
    values = {
        "mean": scaler.mean_,
        "deviation": scaler.scale_,
        "planes": sign * np.array(planes),
        "intercepts": sign * machine.intercept_,
    }
    return {name: array.astype(np.float32) for name, array in values.items()} | {"learned": machine.classes_}
