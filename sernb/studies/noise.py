"""Noise: robustness of a system to degraded recordings, with and without noisy copies in training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.augmentation import Gain, Noise, OneOf, SteadyNoise, View, apply_view
from sernb.audio.degradation import Babble, Bank, Clipping, Cut, Room, Telephone, Tilt, signal_to_noise
from sernb.audio.reading import load
from sernb.config import DataError
from sernb.corpora.files import find_files, locate
from sernb.corpora.index import fingerprint_index
from sernb.corpora.pool import Pool
from sernb.evaluation import paired_difference, uar
from sernb.results.result import Result
from sernb.results.summary import describe_result
from sernb.runs.experiment import Experiment
from sernb.runs.planning import plan
from sernb.studies.differences import describe_difference, excludes_zero
from sernb.studies.examples import RATE, Sound

BABBLE_CLIPS = 4  # per speaker, to limit memory


# -- The conditions -- #


@dataclass(frozen=True)
class Condition:
    """A degradation of a recording, with its strength."""

    kind: str
    strength: float
    unit: str
    view: View | Babble | Room | Telephone | Clipping | Tilt | Cut

    def __str__(self) -> str:
        """Return kind and strength."""
        return f"{self.kind}, {self.strength:g} {self.unit}" if self.unit else self.kind


RATIOS = (20, 10, 5, 0, -5)  # dB
# The noise that the authors of multiscale-cnn add to neutral clips.
PUBLISHED = Condition("noise of deviation 1, as published", 0, "", SteadyNoise("deviation 1", 1.0))


def list_conditions(pool: Pool, data: str | Path | None = None) -> tuple[Condition, ...]:
    """List the conditions of the robustness test for one corpus.

    Args:
        data: the folder of the recordings, from which the babble is made

    Raises:
        DataError: if the pool has several corpora, or its recordings are not available
    """
    under = "dB under the peak"
    return (
        *(Condition("white noise", snr, "dB SNR", Noise(f"white {snr} dB", snr)) for snr in RATIOS),
        *(Condition("babble", view.snr, "dB SNR", view) for view in make_babble(pool, data)),
        *(Condition("room", t60, "s T60", Room(f"room {t60} s", t60)) for t60 in (0.3, 0.6, 1.2)),
        Condition("telephone", 0, "", Telephone()),
        *(Condition("gain", gain, "dB", Gain(f"gain {gain} dB", gain)) for gain in (-20.0, 10.0)),
        *(Condition("clipping", level, under, Clipping(f"clipped {level} dB", level)) for level in (10, 20)),
        *(Condition("tilt", slope, "dB an octave", Tilt(f"tilt {slope} dB", slope)) for slope in (-3, 3)),
        *(Condition("cut", 100 * kept, "% kept", Cut(f"cut {kept}", kept)) for kept in (0.75, 0.5)),
        PUBLISHED,
    )


def make_babble(pool: Pool, data: str | Path | None = None) -> tuple[Babble, ...]:
    """Return babble noise from the speakers of a corpus, one view for each of ``RATIOS``.

    Raises:
        DataError: as :func:`list_conditions`
    """
    if len(pool.parts) > 1:
        raise DataError(f"{pool.name}: babble is made from one corpus; give one")
    part = pool.parts[0]
    places = find_files(part.corpus, locate(part.corpus, data), part.unfiltered)
    clips = part.unfiltered[part.unfiltered["clip"].isin(places)]
    order = clips.groupby("speaker").cumcount() * BABBLE_CLIPS % clips.groupby("speaker")["clip"].transform("size")
    sampled = clips[order < BABBLE_CLIPS].groupby("speaker").head(BABBLE_CLIPS)  # evenly over each speaker's clips
    bank = Bank(
        dict(zip(part.unfiltered["clip"], part.unfiltered.speaker, strict=True)),
        tuple((row.speaker, places[row.clip]) for row in sampled.itertuples()),
    )
    made_from = part.corpus.name, fingerprint_index(sampled)
    return tuple(Babble(f"babble {snr} dB", snr, *made_from, bank=bank) for snr in RATIOS)


def example_sounds(pool: Pool, conditions: Sequence[Condition], data: str | Path | None = None) -> Iterator[Sound]:
    """Yield one clip, angry if possible, without degradation and under one condition of each kind, to play."""
    clip = pool.index["clip"][pool.index.emotion.eq("angry").idxmax()]
    signal = load(pool.files(data)[clip], RATE)
    yield signal, RATE, f"{clip}, as recorded"
    for condition in {each.kind: each for each in conditions if each != PUBLISHED}.values():
        yield apply_view(clip, condition.view, signal, RATE), RATE, f"{clip}, {condition}"


# One noisy copy of each training clip, at a random one of four ratios.
NOISY_COPY: View = OneOf("white 0 to 20 dB", tuple(Noise(f"white {snr} dB", snr) for snr in RATIOS if snr >= 0))

PROTOCOL = "speaker-independent"
CLEAN, NOISY = "trained as published", "trained with noisy copies"


def plan_variants(
    system: str,
    corpus: str,
    conditions: Sequence[Condition],
    *,
    profile: str,
    seed: int = 0,
    data: str | Path | None = None,
) -> dict[str, list[Experiment]]:
    """List the experiments by training variant; each is tested under every condition."""
    views = [condition.view for condition in conditions]
    given = {"profile": profile, "seeds": [seed], "views": views, "data": data}
    return {
        CLEAN: plan([system], corpus, [PROTOCOL], **given),
        NOISY: plan([system], corpus, [PROTOCOL], training_views=[NOISY_COPY], **given),
    }


def measure_robustness(variants: Mapping[str, Result], conditions: Sequence[Condition]) -> pd.DataFrame:
    """Return one row per variant and condition; the first is without degradation (kind ``clean``).

    Returns:
        columns trained (the variant), condition, kind, strength, uar and change from clean clips (intervals), floor,
        clips
    """
    rows = []
    for name, result in variants.items():
        clean = result.to_predictions()
        common = {"trained": name, "floor": result.metrics().uar_floor, "clips": len(result.clips)}
        rows.append(common | {"condition": "clean", "kind": "clean", "strength": np.inf, "uar": result.metrics().uar})
        for condition in conditions:
            view = condition.view.name
            rows.append(
                common
                | {
                    "condition": str(condition),
                    "kind": condition.kind,
                    "strength": condition.strength,
                    "uar": result.metrics(view).uar,
                    "change": paired_difference(uar, clean, result.to_predictions(view), seed=result.seed),
                }
            )
    return pd.DataFrame(rows)


def robustness_table(robustness: pd.DataFrame) -> pd.DataFrame:
    """Return the conditions formatted for display, both variants side by side; per cent, changes in points."""
    rows = []
    for condition, part in robustness.groupby("condition", sort=False):
        row = {"Condition": condition}
        for each in part.itertuples():
            row |= {f"UAR, {each.trained}": str(each.uar), f"change, {each.trained}": _text(each.change)}
        rows.append(row)
    return pd.DataFrame(rows)


def _text(change: object) -> str:
    return "–" if isinstance(change, float) else str(change)


def headline(variants: Mapping[str, Result], robustness: pd.DataFrame) -> list[str]:
    """Summarise the robustness of the system and the effect of noisy copies in training, in sentences."""
    first, *others = conclusions(variants, robustness)
    compared = [sentence for sentence in others if sentence.startswith("Noisy copies")]
    shown = [sentence for sentence in compared if "no difference" not in sentence]
    return [
        f"On clean clips, {describe_result(variants[CLEAN])}.",
        f"{first} Noisy copies in training show a difference in {len(shown)} of {len(compared)} comparisons: on clean "
        "clips, and under each kind of condition at its first strength.",
    ]


def conclusions(variants: Mapping[str, Result], robustness: pd.DataFrame) -> list[str]:
    """Return the effect of the conditions on each variant, and that of noisy copies in training, in sentences."""
    sentences, degraded = [], robustness[robustness.kind != "clean"]
    for name, part in degraded.groupby("trained", sort=False):
        worse = part[[excludes_zero(change) and change.value < 0 for change in part.change]]
        worst = min(part.itertuples(), key=lambda row: row.change.value)
        sentences.append(
            f"{name[0].upper()}{name[1:]}: under {len(worse)} of {len(part)} conditions the interval of the change is "
            f"below 0; UAR falls most under {worst.condition}, to {worst.uar.as_percent()} (chance level "
            f"{100 * worst.floor:.1f} %)."
        )
    clean, noisy = variants[CLEAN], variants[NOISY]
    for view, condition in _first_strengths(degraded, clean).items():
        difference = paired_difference(uar, clean.to_predictions(view), noisy.to_predictions(view), seed=clean.seed)
        sentences.append(describe_difference(f"Noisy copies in training, tested under {condition}", difference))
    return sentences


def _first_strengths(degraded: pd.DataFrame, result: Result) -> dict[str, str]:
    """Return the original view and the first strength of each kind of condition: name of the view → condition."""
    first = degraded.drop_duplicates("condition").groupby("kind", sort=False).condition.first()
    names = dict(zip(degraded.condition.drop_duplicates(), result.views[1:], strict=True))
    return {"original": "clean clips"} | {names[condition]: condition for condition in first}


def measured_ratios(pool: Pool, condition: Condition, emotion: str, data: str | Path | None = None) -> np.ndarray:
    """Measure the signal-to-noise ratio in dB of each clip of an emotion under a condition that adds noise."""
    files, rate = pool.files(data), 22_050
    clips = pool.index["clip"][pool.index.emotion == emotion]
    signals = {clip: load(files[clip], rate) for clip in clips}
    return np.array(
        [signal_to_noise(sig, apply_view(clip, condition.view, sig, rate)) for clip, sig in signals.items()]
    )
