"""Random splits of published systems; they ignore speakers.

Each function takes the clips of a corpus and a seed, and yields the positions of the clips in the parts of each fold. A
``fixed_seed`` is that of the authors.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd


def ten_folds(
    clips: pd.DataFrame, seed: int, *, fixed_seed: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Return ten random folds, not stratified: (train, test) positions."""
    from sklearn.model_selection import KFold

    return KFold(10, shuffle=True, random_state=seed if fixed_seed is None else fixed_seed).split(clips)


def eighty_twenty(
    clips: pd.DataFrame, seed: int, *, fixed_seed: int | None = None, validation: float = 0.0
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield one split, not stratified, with 20 % test clips: (train, test) positions.

    The training clips are in random order: inner folds that follow the order of paths would separate speakers.

    Args:
        validation: fraction of the other clips for validation; then (train, validation, test) positions
    """
    from sklearn.model_selection import train_test_split

    seed = seed if fixed_seed is None else fixed_seed
    rest, test = train_test_split(np.arange(len(clips)), test_size=0.2, random_state=seed)
    if not validation:
        yield rest, test
        return
    yield *train_test_split(rest, test_size=validation, random_state=seed), test
