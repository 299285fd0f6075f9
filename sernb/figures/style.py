"""The style of all figures: a colour per emotion, sizes, fonts, and the class of a drawing."""

import contextlib
from collections.abc import Callable, Iterator
from functools import wraps
from typing import NamedTuple

import pandas as pd
from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sernb.colours import ACCENT as ACCENT  # re-exported, so that other figures import all of the style from here
from sernb.colours import PALETTE

INK = "#30343b"
# Fill, hatch, and text colour on the fill; distinguishable without colours.
GENDERS = {
    "female": ("#a9c7df", "", INK),
    "male": ("#3f6f9c", "///", "white"),
}
OTHER_GENDER = ("#d5d8dc", "..", INK)
FLOOR = "#a33b3b"
WIDTH = 8.0  # inches

STYLE = {
    "axes.edgecolor": "#9aa0a8",
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "font.size": 9.5,
    "grid.color": "#e3e6ea",
    "legend.frameon": False,
    "text.color": INK,
    "text.parse_math": False,  # a $ in the name of a speaker or a folder is a dollar sign
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextlib.contextmanager
def our_style() -> Iterator[None]:
    """Draw or save in the style of the workbook, independently of a user's ``matplotlibrc``."""
    with rc_context():
        rcdefaults()
        rcParams.update(STYLE)
        yield


def styled(draw: Callable[..., "Drawing"]) -> Callable[..., "Drawing"]:
    """Make a function draw in the style of the workbook."""

    @wraps(draw)
    def in_style(*arguments: object, **options: object) -> Drawing:
        with our_style():
            drawing = draw(*arguments, **options)
            _fix_math(drawing.figure)
            return drawing

    return in_style


def _fix_math(figure: Figure) -> None:
    """Parse math only in the labels of logarithmic axes, as labels may be created later, outside the style."""
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        for label in axis.get_ticklabels(which="both"):
            label.set_parse_math(axis.get_scale() == "log")


class Drawing(NamedTuple):
    """A figure and its alternative text."""

    figure: Figure
    alt: str


def canvas(*, height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """Return a figure with one panel; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    return figure, axes


def emotions_among(values: pd.Series) -> list[str]:
    """Return the emotions that occur, in the order of ``EMOTIONS``."""
    return [emotion for emotion in PALETTE if emotion in set(values)]


def gender_names(clips: pd.DataFrame) -> pd.Series:
    """Return the display name of each row's gender."""
    return clips.gender.replace("", "not given")


def gender_looks(clips: pd.DataFrame) -> dict[str, tuple[str, str, str]]:
    """Return fill, hatch and colour of text for each gender that occurs."""
    return {gender: GENDERS.get(gender, OTHER_GENDER) for gender in sorted(set(clips.gender))}
