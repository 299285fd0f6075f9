"""Figures of studies: training by test group, robustness, scores by speaker, adaptation, selection of epochs."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sernb.evaluation import Interval
from sernb.figures.style import ACCENT, FLOOR, INK, WIDTH, Drawing, canvas, gender_looks, gender_names, styled

LINES = ((ACCENT, "o", "-"), ("#b8860b", "s", "--"), ("#3b8b6f", "D", ":"))


@styled
def matrix(cells: pd.DataFrame, title: str) -> Drawing:
    """UAR by training group (rows) and test group (columns), with interval, chance level and clips in each cell.

    Args:
        cells: columns trained, tested, metrics (:class:`sernb.evaluation.Metrics`)
    """
    rows, columns = list(dict.fromkeys(cells.trained)), list(dict.fromkeys(cells.tested))
    shares = np.full((len(rows), len(columns)), np.nan)
    texts = np.full(shares.shape, "", object)
    for cell in cells.itertuples():
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
        f"{cell.trained} to {cell.tested} {cell.metrics.uar.as_percent()}, chance level "
        f"{100 * cell.metrics.uar_floor:.1f}, {cell.metrics.clips} clips"
        for cell in cells.itertuples()
    )
    return Drawing(figure, f"Matrix of UAR with 95 % intervals, training to test: {words}.")


@styled
def differences(intervals: Mapping[str, Interval], title: str, axis: str) -> Drawing:
    """Named differences with their intervals, one per row, and a line at zero."""
    figure, axes = canvas(height=(0.42 if len(intervals) < 8 else 0.3) * len(intervals) + 1.0)
    for row, each in enumerate(intervals.values()):
        _interval(axes, row, each, *LINES[0][:2])
    _zero_line(axes)
    axes.set(title=title, xlabel=axis, yticks=range(len(intervals)), yticklabels=_wrapped(intervals, 38))
    axes.set_ylim(len(intervals) - 0.5, -0.5)
    words = "; ".join(f"{name} {each}" for name, each in intervals.items())
    return Drawing(figure, f"{axis} with 95 % intervals: {words}.")


@styled
def robustness_curves(robustness: pd.DataFrame, title: str) -> Drawing:
    """UAR by strength: one panel per kind of condition with three or more strengths, one line per training variant.

    Args:
        robustness: columns trained, kind, condition, strength, uar (an :class:`Interval`), floor, clips
    """
    strengths = robustness[robustness.kind != "clean"].groupby("kind", sort=False).condition.nunique()
    kinds = list(strengths.index[strengths >= 3])
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    panels = figure.subplots(1, max(len(kinds), 1), sharey=True, squeeze=False)[0]
    words, chance = [], robustness.floor.iloc[0]
    for axes, kind in zip(panels, kinds, strict=False):
        for (trained, part), look in zip(robustness.groupby("trained", sort=False), LINES, strict=False):
            shown = pd.concat([part[part.kind == "clean"], part[part.kind == kind]])
            labels = ["clean" if row.kind == "clean" else f"{row.strength:g}" for row in shown.itertuples()]
            _band(axes, np.arange(len(shown)), list(shown.uar), look, trained)
            words.append(f"{kind}, {trained}: {_listed(labels, shown.uar)}")
        axes.set_xticks(range(len(labels)), labels)
        unit = shown.condition.iloc[-1].rpartition(f"{shown.strength.iloc[-1]:g} ")[2]
        axes.set(xlabel=f"{kind} ({unit})", ylim=(0, 100))
        axes.axhline(100 * chance, color=FLOOR, lw=1.2, ls="--", label="chance level")
        axes.grid(axis="y")
    panels[0].set_ylabel(f"UAR (%), n = {robustness.clips.iloc[0]} clips")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    _legend_below(figure, panels[0])
    return Drawing(figure, f"UAR by strength, chance level {100 * chance:.1f} %. {'; '.join(words)}.")


@styled
def changes(robustness: pd.DataFrame, title: str) -> Drawing:
    """Change in UAR from clean clips under each condition, one marker per training variant.

    Args:
        robustness: columns trained, kind, condition, change (an :class:`Interval`)
    """
    degraded = robustness[robustness.kind != "clean"]
    conditions = list(dict.fromkeys(degraded.condition))
    trainings = list(dict.fromkeys(degraded.trained))
    figure, axes = canvas(height=0.34 * len(conditions) + 1.4)
    for row in degraded.itertuples():
        number = trainings.index(row.trained)
        at = conditions.index(row.condition) + 0.24 * (number - (len(trainings) - 1) / 2)
        _interval(axes, at, row.change, *LINES[number][:2])
    for name, (colour, marker, _) in zip(trainings, LINES, strict=False):
        axes.plot([], [], marker, color=colour, label=name)
    _zero_line(axes)
    axes.set(title=title, xlabel="change in UAR (points)", yticks=range(len(conditions)), yticklabels=conditions)
    axes.set_ylim(len(conditions) - 0.5, -0.5)
    _legend_below(figure, axes)
    words = "; ".join(f"{row.condition}, {row.trained} {row.change}" for row in degraded.itertuples())
    return Drawing(figure, f"Change in UAR in points with 95 % intervals: {words}.")


@styled
def by_speaker(scores: pd.DataFrame, title: str, *, floor: float) -> Drawing:
    """UAR of each test speaker, in the given order, with the mean over speakers.

    Args:
        scores: columns speaker, gender, uar, clips
        floor: the chance level of UAR
    """
    figure, axes = canvas(height=3.4)
    positions, genders = np.arange(len(scores)), gender_names(scores)
    for gender, (colour, hatch, _) in gender_looks(scores.assign(gender=genders)).items():
        part = genders == gender
        axes.bar(positions[part], 100 * scores.uar[part], color=colour, hatch=hatch, ec="white", label=gender)
    axes.axhline(100 * scores.uar.mean(), color=INK, lw=1, label="mean over speakers")
    axes.axhline(100 * floor, color=FLOOR, lw=1.2, ls="--", label="chance level")
    names = [name.partition("-")[2] or name for name in scores.speaker]  # without the corpus
    axes.set_xticks(positions, names, rotation=90 if len(scores) > 12 else 0, fontsize=8)
    axes.set(ylabel="UAR (%)", ylim=(0, 100))
    fewest, most = scores.clips.min(), scores.clips.max()
    axes.set_xlabel(f"speaker, n = {fewest if fewest == most else f'{fewest} to {most}'} clips each")
    axes.grid(axis="x", visible=False)
    axes.grid(axis="y")
    axes.set_title(title)
    _legend_below(figure, axes, columns=4)
    words = ", ".join(f"{name} {100 * row.uar:.0f}" for name, row in zip(names, scores.itertuples(), strict=True))
    return Drawing(
        figure,
        f"UAR by speaker in per cent, mean {100 * scores.uar.mean():.1f}, chance level {100 * floor:.1f}: {words}.",
    )


@styled
def adaptation_curve(curve: pd.DataFrame, title: str, *, floor: float) -> Drawing:
    """UAR against the number of available unlabelled clips of a new speaker, on all and on unavailable test clips.

    Args:
        curve: columns count (None: all), uar, unseen (intervals)
    """
    figure, axes = canvas(height=3.4)
    labels = ["all" if count is None else str(count) for count in curve["count"]]
    positions = np.arange(len(curve))
    _band(axes, positions, list(curve.uar), LINES[0], "all test clips")
    some = curve.unseen.notna().to_numpy()
    _band(axes, positions[some], list(curve.unseen[some]), LINES[1], "unavailable test clips", band=False)
    axes.axhline(100 * floor, color=FLOOR, lw=1.2, ls="--", label="chance level")
    axes.set_xticks(positions, labels)
    axes.set(title=title, xlabel="unlabelled clips of the new speaker", ylabel="UAR (%)", ylim=(0, 100))
    axes.grid(axis="y")
    _legend_below(figure, axes)
    return Drawing(
        figure,
        f"UAR with 95 % interval by available clips: {_listed(labels, curve.uar)}. Chance level {100 * floor:.1f} %.",
    )


@styled
def epochs(history: pd.DataFrame, selected: pd.DataFrame, title: str) -> Drawing:
    """Validation and test accuracy by epoch, one panel per fold, with the selected epochs.

    Args:
        history: columns fold, epoch, validation, test, clips
        selected: columns fold, selection, epoch, war
    """
    folds = list(dict.fromkeys(history.fold))[:4]
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    panels = figure.subplots(1, len(folds), sharey=True, squeeze=False)[0]
    for axes, fold in zip(panels, folds, strict=True):
        part = history[history.fold == fold]
        axes.plot(part.epoch, 100 * part.test, color=ACCENT, lw=1.3, label="test part")
        axes.plot(part.epoch, 100 * part.validation, color="#9aa0a8", lw=1.1, ls="--", label="validation speakers")
        for marker, row in zip("vo*", selected[selected.fold == fold].itertuples(), strict=False):
            size = {"*": 15, "o": 9}.get(marker, 8)
            axes.plot(row.epoch, 100 * row.war, marker, color="white", mec=INK, ms=size, label=row.selection)
        axes.set_title(f"fold {fold + 1}, n = {part.clips.iloc[0]} test clips", fontsize=9.5, fontweight="normal")
        axes.set(xlabel="epoch", ylim=(0, 100))
        axes.grid(axis="y")
    panels[0].set_ylabel("accuracy (%)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    _legend_below(figure, panels[0])
    words = "; ".join(
        f"fold {row.fold + 1}, {row.selection}: epoch {row.epoch}, {100 * row.war:.1f} %"
        for row in selected.itertuples()
    )
    return Drawing(figure, f"Accuracy by epoch. On the test part: {words}.")


def _interval(axes: Axes, row: float, each: Interval, colour: str, marker: str) -> None:
    axes.plot([100 * each.low, 100 * each.high], [row, row], color=colour, lw=2.5, alpha=0.55)
    axes.plot(100 * each.value, row, marker, color=colour, ms=6.5)


def _band(
    axes: Axes,
    positions: np.ndarray,
    values: Sequence[Interval],
    look: tuple[str, str, str],
    label: str,
    *,
    band: bool = True,
) -> None:
    colour, marker, line = look
    axes.plot(positions, [100 * each.value for each in values], marker=marker, ls=line, color=colour, ms=5, label=label)
    if band:
        low, high = ([100 * getattr(each, end) for each in values] for end in ("low", "high"))
        axes.fill_between(positions, low, high, color=colour, alpha=0.15, lw=0)


def _zero_line(axes: Axes) -> None:
    axes.axvline(0, color=INK, lw=1)


def _legend_below(figure: Figure, axes: Axes, *, columns: int = 3) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns, fontsize=8.5)


def _listed(labels: Sequence[str], values: Sequence[Interval]) -> str:
    return ", ".join(f"{label} {each} %" for label, each in zip(labels, values, strict=True))


def _wrapped(names: Sequence[str], width: int = 22) -> list[str]:
    return [textwrap.fill(name, width) for name in names]
