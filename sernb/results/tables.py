"""Tables of results: scores with intervals, chance levels and published scores."""

from collections.abc import Iterator, Sequence

import pandas as pd

from sernb.audio.augmentation import ORIGINAL
from sernb.config import DataError
from sernb.evaluation import (
    FEWEST_SPEAKERS,
    RESAMPLES,
    average_over_seeds,
    paired_difference,
    uar,
    unpaired_difference,
    war,
)
from sernb.protocols.protocol import (
    PROTOCOLS,
)
from sernb.results.numbers import collect_either
from sernb.results.result import (
    CLIPS,
    MEAN_OF_VIEWS,
    NEVER_VALIDATED,
    Result,
    collect_results,
)
from sernb.runs.experiment import Experiment
from sernb.runs.feasibility import remarks
from sernb.runtime.provenance import UNCOMMITTED_CODE

NAMES = {"war": "WAR", "uar": "UAR", "top3": "top-3"}


def results_table(experiments: Sequence[Experiment], *, headings: bool = False) -> pd.DataFrame:
    """Return the results formatted for display: per cent, intervals in brackets, chance levels, published scores.

    Args:
        headings: for pages, use :attr:`Result.heading` and the column name "chance level"; files keep the keys

    Raises:
        DataError: if an experiment has not been run
    """
    results = collect_results(experiments)
    rows, marked = [], not all(map(_clean, results))
    for result in results:
        metrics = result.metrics()
        row = {"System": result.system.name, "Protocol": result.heading if headings else result.protocol}
        row |= {"Options": result.options} if any(each.options for each in results) else {}
        row |= {"Seed": result.seed} if len({each.seed for each in results}) > 1 else {}
        row |= {UNCOMMITTED_CODE: "" if _clean(result) else "yes"} if marked else {}
        row |= {
            "UAR": str(metrics.uar),
            "UAR floor": f"{100 * metrics.uar_floor:.1f}",
        }
        row |= {NEVER_VALIDATED: _never_validated(result)} if any(map(_never_validated, results)) else {}
        row |= {
            "WAR": str(metrics.war),
            "WAR floor": f"{100 * metrics.war_floor:.1f}",
            "WAR reported": _reported(result, "war"),
            "Macro-F1": str(metrics.macro_f1),
            "Top-3": str(metrics.top3),
            "Top-3 floor": f"{100 * metrics.top3_floor:.1f}",
            "WAR with TTA": str(result.metrics(MEAN_OF_VIEWS).war) if len(result.views) > 1 else None,
            "Classes": len(result.classes),
            "Clips": metrics.clips,
            "Speakers": metrics.speakers,
            "Folds": result.folds,
        }
        rows.append(row)
    table = pd.DataFrame(rows)
    return table.rename(columns=lambda name: name.replace("floor", "chance level")) if headings else table


def caption(experiments: Sequence[Experiment]) -> str:
    """Return the caption of the results table: units, intervals, chance levels and clips that were left out."""
    results = collect_results(experiments)
    resampled = {result.metrics().resampled for result in results}
    how = "speakers" if resampled == {"speakers"} else f"clips, as there are fewer than {FEWEST_SPEAKERS} speakers"
    if len(resampled) == 2:
        how = f"speakers where there are {FEWEST_SPEAKERS} or more, else clips"
    sentences = [
        f"Per cent, with 95 % intervals from {RESAMPLES} resamplings of {how}. UAR is the mean recall over emotions, "
        "WAR the share of correct predictions. Chance levels: the best constant prediction (top-3: ranking) "
        "on the same clips. TTA averages the scores over several views of each clip.",
        *_over_clips(resampled),
        *_unseen_by_design(results),
        *_partial(experiments),
        *_dropped(experiments),
        *_planted(results),
        *remarks(experiments),
        *(f"Left out: {sentence}." for sentence in getattr(experiments, "left_out", ())),
    ]
    return " ".join(sentences)


def _partial(experiments: Sequence[Experiment]) -> Iterator[str]:
    for pool in {experiment.corpus.name: experiment.corpus for experiment in experiments}.values():
        if any(len(part.clips) < part.published for part in pool.parts):
            yield f"The clips are those of {pool.title}."


def _dropped(experiments: Sequence[Experiment]) -> Iterator[str]:
    systems_by_text: dict[str, list[str]] = {}
    for experiment in experiments:
        if dropped := experiment.dropped:
            systems = systems_by_text.setdefault(f"{sum(dropped.values())} clips dropped ({_list_counts(dropped)})", [])
            systems += [experiment.system.name] * (experiment.system.name not in systems)
    for text, systems in systems_by_text.items():
        yield f"By the labels of {', '.join(systems)}: {text}."


def _list_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{emotion or 'without label'} {count}" for emotion, count in counts.items())


def _planted(results: Sequence[Result]) -> Iterator[str]:
    names = dict.fromkeys(result.protocol for result in results if PROTOCOLS[result.protocol].introduced_leak)
    if names:
        yield f"{', '.join(names)}: deliberately introduced leaks, to measure the effect of a leak; not results."


def corpora_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return the results of each corpus of a pool.

    Raises:
        DataError: if an experiment has not been run
    """
    rows = []
    for result in collect_results(experiments):
        for corpus in result.clips["corpus"].unique():
            metrics = result.metrics_where((result.clips["corpus"] == corpus).to_numpy())
            rows.append(
                {
                    "System": result.system.name,
                    "Protocol": result.heading,
                    "Corpus": corpus,
                    "UAR": str(metrics.uar),
                    "UAR chance level": f"{100 * metrics.uar_floor:.1f}",
                    "WAR": str(metrics.war),
                    "WAR chance level": f"{100 * metrics.war_floor:.1f}",
                    "Clips": metrics.clips,
                    "Speakers": metrics.speakers,
                }
            )
    return pd.DataFrame(rows)


def seeds_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return mean and standard deviation over seeds for each system, protocol and set of options.

    Raises:
        DataError: if an experiment has not been run
    """
    by_settings: dict[tuple[str, ...], list[Result]] = {}
    for result in collect_results(experiments):
        by_settings.setdefault((result.system.name, result.heading, result.options), []).append(result)
    rows = []
    for (system, protocol, options), results in by_settings.items():
        row = {"System": system, "Protocol": protocol} | ({"Options": options} if options else {})
        for name in ("uar", "war"):
            values = [getattr(result.metrics(), name).value for result in results]
            row[name.upper()] = str(average_over_seeds(values))
        rows.append(row | {"Clips": results[0].metrics().clips})
    return pd.DataFrame(rows)


def comparison_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return the results as plot data: system, protocol, heading, uar (an interval), floor, reported (a share)."""
    rows = []
    for result in collect_results(experiments):
        metrics, published = result.metrics(), result.reported("uar")
        rows.append(
            {
                "system": result.system.name,
                "protocol": result.protocol,
                "heading": result.heading,
                "uar": metrics.uar,
                "floor": metrics.uar_floor,
                "reported": published.value if published else float("nan"),
            }
        )
    return pd.DataFrame(rows)


def published_differences(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Compare the as-published and the speaker-independent UAR of each system that uses audio.

    Raises:
        DataError: if an experiment has not been run
    """
    by_key = {
        (result.system.name, result.options, result.seed, result.protocol): result
        for result in collect_results(experiments)
    }
    rows = []
    for key in dict.fromkeys(key[:3] for key in by_key):
        pair = by_key.get((*key, "as-published")), by_key.get((*key, "speaker-independent"))
        if None not in pair and pair[0].system.features:
            published, independent = pair
            rows.append(
                {
                    "System": published.system.name + f" ({published.heading})" * (published.heading != "as-published"),
                    "UAR, speakers shared": str(published.metrics().uar),
                    "UAR speaker-independent": str(independent.metrics().uar),
                    "Difference (points)": str(
                        unpaired_difference(uar, published.to_predictions(), independent.to_predictions())
                    ),
                    "UAR chance level": f"{100 * independent.metrics().uar_floor:.1f}",
                    "Clips": f"{len(published.clips)} / {len(independent.clips)}",
                }
            )
    return pd.DataFrame(rows)


def reported_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Compare each published score with ours under the same protocol, with caveats.

    On the authors' corpora, a published score outside our interval comes with the reason, where it is known.
    """
    rows = []
    for result in collect_results(experiments):
        evidence = result.experiments[0].corpus.evidence
        for published in result.comparable:
            ours = getattr(result.metrics(), published.metric)
            within = ours.low <= published.value <= ours.high
            reason = published.missed_because or "the reason is not known"
            rows.append(
                {
                    "System": result.system.name,
                    "Metric": NAMES[published.metric],
                    "Published": f"{100 * published.value:.1f}",
                    "Ours": str(ours),
                    "Our folds": result.folds,
                    "Within our interval": None if not evidence else "yes" if within else f"no: {reason}",
                    "Caveats": published.caveat,
                }
            )
    return pd.DataFrame(rows)


def views_table(result: Result) -> pd.DataFrame:
    """Return WAR and UAR of each TTA view and of their mean, with the gain in WAR over the original recording."""
    base = result.to_predictions()
    rows = []
    for name in [*result.views, MEAN_OF_VIEWS]:
        metrics = result.metrics(name)
        gain = None if name == ORIGINAL.name else paired_difference(war, base, result.to_predictions(name))
        rows.append({"View": name, "WAR": str(metrics.war), "UAR": str(metrics.uar), "Gain in WAR (points)": gain})
    return pd.DataFrame(rows)


def _reported(result: Result, metric: str) -> str | None:
    published = result.reported(metric)
    return f"{100 * published.value:.1f}" if published else None


def _never_validated(result: Result) -> str | None:
    """Return UAR on speakers never used for validation, for our own systems, which were designed on the others."""
    ours = result.system.features and not result.system.published_on
    return str(result.never_validated.uar) if ours and result.never_validated else None


def made_table(experiments: Sequence[Experiment], *, dirty: bool) -> pd.DataFrame:
    """Return the provenance of each row of a results table, in the same order.

    Raises:
        DataError: if uncommitted code made a run, unless ``dirty`` is true
    """
    results = collect_either(experiments)
    unclean = [run.folder for result in results if not _clean(result) for run in result.runs]
    if unclean and not dirty:
        lines = [f"{folder}: was made by uncommitted code; remove it and run the command again" for folder in unclean]
        raise DataError.of_many(lines, "more; or add --dirty, which marks their rows")
    return pd.DataFrame([result.provenance for result in results])


def _clean(result: Result) -> bool:
    return result.provenance["Clean"] == "yes"


def _over_clips(resampled: set[str]) -> Iterator[str]:
    if "clips" in resampled:
        yield f"Intervals over clips are marked (clips): {CLIPS}."


def _unseen_by_design(results: Sequence[Result]) -> Iterator[str]:
    speakers = {each.never_validated.speakers for each in results if _never_validated(each)}
    if speakers:
        yield (
            f"{NEVER_VALIDATED}: UAR on the {', '.join(map(str, sorted(speakers)))} test speakers that are validation "
            "speakers in no fold; our own systems were designed on the others."
        )
