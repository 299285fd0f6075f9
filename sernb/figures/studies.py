"""Figures of studies: trained here and tested there, under stress, by speaker, by leak, by epoch."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sernb.evaluation import Interval
from sernb.figures.style import ACCENT, FLOOR, INK, WIDTH, Drawing, canvas, gender_looks, styled

LINES = ((ACCENT, "o", "-"), ("#b8860b", "s", "--"), ("#3b8b6f", "D", ":"))


@styled
def matrix(found: pd.DataFrame, title: str) -> Drawing:
    """UAR by what was trained on (rows) and tested on (columns), with interval, chance level and clips in each cell.

    Args:
        found: columns trained, tested, metrics (:class:`sernb.evaluation.Metrics`)
    """
    rows, columns = list(dict.fromkeys(found.trained)), list(dict.fromkeys(found.tested))
    shares = np.full((len(rows), len(columns)), np.nan)
    texts = np.full(shares.shape, "", object)
    for cell in found.itertuples():
        at = rows.index(cell.trained), columns.index(cell.tested)
        uar = cell.metrics.uar
        shares[at] = 100 * uar.value
        texts[at] = (
            f"{100 * uar.value:.1f}\n[{100 * uar.low:.1f}, {100 * uar.high:.1f}]\n"
            f"chance {100 * cell.metrics.uar_floor:.1f}\nn = {cell.metrics.clips}"
        )
    figure, axes = canvas(height=0.85 * len(rows) + 1.3, width=min(WIDTH, 1.5 * len(columns) + 3.2))
    axes.grid(visible=False)
    sns.heatmap(
        shares, annot=texts, fmt="", cmap="Blues", vmin=0, vmax=100, linewidths=1, ax=axes, mask=np.isnan(shares),
        xticklabels=_wrapped(columns), yticklabels=_wrapped(rows), annot_kws={"fontsize": 8.5},
        cbar_kws={"label": "UAR (%)"},
    )  # fmt: skip
    axes.set(title=title, xlabel="tested on", ylabel="trained on")
    axes.tick_params(axis="both", rotation=0, length=0)
    words = "; ".join(
        f"{cell.trained} to {cell.tested} {cell.metrics.uar} %, chance level {100 * cell.metrics.uar_floor:.1f}, "
        f"{cell.metrics.clips} clips"
        for cell in found.itertuples()
    )
    return Drawing(figure, f"Matrix of UAR with 95 % intervals, trained on … tested on …: {words}.")


@styled
def differences(found: Mapping[str, Interval], title: str, axis: str) -> Drawing:
    """Named differences with their intervals, one a line, and a line where there is none."""
    figure, axes = canvas(height=0.42 * len(found) + 1.0)
    for row, each in enumerate(found.values()):
        _interval(axes, row, each, *LINES[0][:2])
    _none(axes)
    axes.set(title=title, xlabel=axis, yticks=range(len(found)), yticklabels=_wrapped(found, 38))
    axes.set_ylim(len(found) - 0.5, -0.5)
    words = "; ".join(f"{name} {each}" for name, each in found.items())
    return Drawing(figure, f"{axis} with 95 % intervals: {words}.")


@styled
def robustness_curves(found: pd.DataFrame, title: str) -> Drawing:
    """UAR by strength, a panel for each kind of condition tried at three strengths or more, one line a training.

    Args:
        found: columns trained, kind, condition, strength, uar (an :class:`Interval`), floor, clips
    """
    strengths = found[found.kind != "clean"].groupby("kind", sort=False).condition.nunique()
    kinds = list(strengths.index[strengths >= 3])
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    panels = figure.subplots(1, max(len(kinds), 1), sharey=True, squeeze=False)[0]
    words = []
    for axes, kind in zip(panels, kinds, strict=False):
        for (trained, part), look in zip(found.groupby("trained", sort=False), LINES, strict=False):
            shown = pd.concat([part[part.kind == "clean"], part[part.kind == kind]])
            labels = ["clean" if row.kind == "clean" else f"{row.strength:g}" for row in shown.itertuples()]
            _band(axes, np.arange(len(shown)), list(shown.uar), look, trained)
            words.append(f"{kind}, {trained}: {_listed(labels, shown.uar)}")
        axes.set_xticks(range(len(labels)), labels)
        unit = shown.condition.iloc[-1].rpartition(f"{shown.strength.iloc[-1]:g} ")[2]
        axes.set(xlabel=f"{kind} ({unit})", ylim=(0, 100))
        axes.axhline(100 * found.floor.iloc[0], color=FLOOR, lw=1.2, ls="--", label="chance level")
        axes.grid(axis="y")
    panels[0].set_ylabel(f"UAR (%), n = {found.clips.iloc[0]} clips")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    _legend_below(figure, panels[0])
    return Drawing(figure, f"UAR by strength, chance level {100 * found.floor.iloc[0]:.1f} %. {'; '.join(words)}.")


@styled
def changes(found: pd.DataFrame, title: str) -> Drawing:
    """Change of UAR against the clean clips under each condition, one marker a training.

    Args:
        found: columns trained, condition, change (an :class:`Interval`)
    """
    found = found[found.kind != "clean"]
    conditions = list(dict.fromkeys(found.condition))
    trainings = list(dict.fromkeys(found.trained))
    figure, axes = canvas(height=0.34 * len(conditions) + 1.4)
    for row in found.itertuples():
        number = trainings.index(row.trained)
        at = conditions.index(row.condition) + 0.24 * (number - (len(trainings) - 1) / 2)
        _interval(axes, at, row.change, *LINES[number][:2])
    for name, (colour, marker, _) in zip(trainings, LINES, strict=False):
        axes.plot([], [], marker, color=colour, label=name)
    _none(axes)
    axes.set(
        title=title, xlabel="UAR against clean clips (points)", yticks=range(len(conditions)), yticklabels=conditions
    )
    axes.set_ylim(len(conditions) - 0.5, -0.5)
    _legend_below(figure, axes)
    words = "; ".join(f"{row.condition}, {row.trained} {row.change}" for row in found.itertuples())
    return Drawing(figure, f"Change of UAR in points with 95 % intervals: {words}.")


@styled
def by_speaker(found: pd.DataFrame, title: str, *, floor: float) -> Drawing:
    """UAR of each test speaker, the best recognised first, with their mean.

    Args:
        found: columns speaker, gender, uar, clips
        floor: the chance level of UAR
    """
    figure, axes = canvas(height=3.4)
    places = np.arange(len(found))
    for gender, (colour, hatch, _) in gender_looks(found.assign(gender=found.gender.replace("", "not given"))).items():
        part = found.gender.replace("", "not given") == gender
        axes.bar(places[part], 100 * found.uar[part], color=colour, hatch=hatch, ec="white", label=gender)
    axes.axhline(100 * found.uar.mean(), color=INK, lw=1, label="mean of speakers")
    axes.axhline(100 * floor, color=FLOOR, lw=1.2, ls="--", label="chance level")
    names = [name.partition("-")[2] or name for name in found.speaker]  # without the corpus
    axes.set_xticks(places, names, rotation=90 if len(found) > 12 else 0, fontsize=8)
    axes.set(ylabel="UAR (%)", ylim=(0, 100))
    few, most = found.clips.min(), found.clips.max()
    axes.set_xlabel(f"speaker, n = {few if few == most else f'{few} to {most}'} clips each")
    axes.grid(axis="x", visible=False)
    axes.grid(axis="y")
    axes.set_title(title)
    _legend_below(figure, axes, columns=4)
    words = ", ".join(f"{name} {100 * row.uar:.0f}" for name, row in zip(names, found.itertuples(), strict=True))
    return Drawing(
        figure,
        f"UAR by speaker in per cent, mean {100 * found.uar.mean():.1f}, chance level {100 * floor:.1f}: {words}.",
    )


@styled
def adaptation_curve(found: pd.DataFrame, title: str, *, floor: float) -> Drawing:
    """UAR against the number of a new speaker's unlabelled clips, over all clips and over those not available.

    Args:
        found: columns count (None: all), uar, unseen (intervals)
    """
    figure, axes = canvas(height=3.4)
    labels = ["all" if count is None else str(count) for count in found["count"]]
    places = np.arange(len(found))
    _band(axes, places, list(found.uar), LINES[0], "all test clips")
    some = found.unseen.notna().to_numpy()
    _band(axes, places[some], list(found.unseen[some]), LINES[1], "clips that were not available", band=False)
    axes.axhline(100 * floor, color=FLOOR, lw=1.2, ls="--", label="chance level")
    axes.set_xticks(places, labels)
    axes.set(title=title, xlabel="unlabelled clips of the new speaker", ylabel="UAR (%)", ylim=(0, 100))
    axes.grid(axis="y")
    _legend_below(figure, axes)
    return Drawing(
        figure,
        f"UAR with 95 % interval by available clips: {_listed(labels, found.uar)}. Chance level {100 * floor:.1f} %.",
    )


@styled
def epochs(found: pd.DataFrame, choices: pd.DataFrame, title: str) -> Drawing:
    """Accuracy on validation and test part by epoch, one panel a fold, with the epochs that were chosen.

    Args:
        found: columns fold, epoch, validation, test, clips
        choices: columns fold, choice, epoch, war
    """
    folds = list(dict.fromkeys(found.fold))[:4]
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    panels = figure.subplots(1, len(folds), sharey=True, squeeze=False)[0]
    for axes, fold in zip(panels, folds, strict=True):
        part = found[found.fold == fold]
        axes.plot(part.epoch, 100 * part.test, color=ACCENT, lw=1.3, label="test part")
        axes.plot(part.epoch, 100 * part.validation, color="#9aa0a8", lw=1.1, ls="--", label="validation speakers")
        for marker, row in zip("vo*", choices[choices.fold == fold].itertuples(), strict=False):
            size = {"*": 15, "o": 9}.get(marker, 8)
            axes.plot(row.epoch, 100 * row.war, marker, color="white", mec=INK, ms=size, label=row.choice)
        axes.set_title(f"fold {fold + 1}, n = {part.clips.iloc[0]} test clips", fontsize=9.5, fontweight="normal")
        axes.set(xlabel="epoch", ylim=(0, 100))
        axes.grid(axis="y")
    panels[0].set_ylabel("accuracy (%)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    _legend_below(figure, panels[0])
    words = "; ".join(
        f"fold {row.fold + 1}, {row.choice}: epoch {row.epoch}, {100 * row.war:.1f} %" for row in choices.itertuples()
    )
    return Drawing(figure, f"Accuracy by epoch. On the test part: {words}.")


def _interval(axes: Axes, row: float, each: Interval, colour: str, marker: str) -> None:
    axes.plot([100 * each.low, 100 * each.high], [row, row], color=colour, lw=2.5, alpha=0.55)
    axes.plot(100 * each.value, row, marker, color=colour, ms=6.5)


def _band(
    axes: Axes,
    places: np.ndarray,
    values: Sequence[Interval],
    look: tuple[str, str, str],
    label: str,
    *,
    band: bool = True,
) -> None:
    colour, marker, line = look
    axes.plot(places, [100 * each.value for each in values], marker=marker, ls=line, color=colour, ms=5, label=label)
    if band:
        low, high = ([100 * getattr(each, end) for each in values] for end in ("low", "high"))
        axes.fill_between(places, low, high, color=colour, alpha=0.15, lw=0)


def _none(axes: Axes) -> None:
    axes.axvline(0, color=INK, lw=1)


def _legend_below(figure: Figure, axes: Axes, *, columns: int = 3) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns, fontsize=8.5)


def _listed(labels: Sequence[str], values: Sequence[Interval]) -> str:
    return ", ".join(f"{label} {each} %" for label, each in zip(labels, values, strict=True))


def _wrapped(names: Sequence[str], width: int = 22) -> list[str]:
    return [textwrap.fill(name, width) for name in names]
