"""Functions for all notebooks: open the corpus, run experiments, show tables, figures, sounds and sentences."""

import base64
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sernb.reporting.session import set_session as set_session
from sernb.reporting.session import shared as shared
from sernb.reporting.tables import escape, no_math, table_html

if TYPE_CHECKING:
    import matplotlib.figure
    import numpy as np
    import pandas as pd

    from sernb.corpora.pool import Pool
    from sernb.figures import Drawing
    from sernb.results.result import Result
    from sernb.runs.experiment import Experiment, Plan
    from sernb.runs.run_folder import Run


OVER_CLIPS = " (clips)"  # suffix of an interval over clips
FEW_CARDS = 3  # protocol cards at most that are shown side by side
MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


def show(figure: "matplotlib.figure.Figure", alt: str) -> None:
    """Display a figure as PNG with the alternative text ``alt``, and close it.

    Raises:
        ValueError: if ``alt`` is empty
    """
    from IPython.display import display
    from matplotlib import pyplot

    if not alt.strip():
        raise ValueError("show needs a text for readers who cannot see the figure, with its content and main values")
    picture = encode_png(figure)
    pyplot.close(figure)
    alt = " ".join(alt.split())
    data = {"image/png": picture, "text/plain": alt}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})


def encode_png(figure: "matplotlib.figure.Figure") -> str:
    """Return a figure in our style as PNG in base64."""
    from sernb.figures.style import our_style

    buffer = io.BytesIO()
    with our_style():
        figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight", metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode()


def show_all(drawings: "Iterable[Drawing]", otherwise: str = "") -> None:
    """Display figures, see :func:`show`; if there are none, print ``otherwise``."""
    shown = [show(*drawing) for drawing in drawings]
    if otherwise and not shown:
        print(otherwise)


def show_table(frame: "pd.DataFrame", caption: str, *, index: bool = False, otherwise: str = "") -> None:
    """Display a table with a caption, see `table_html`; if it has no rows, print ``otherwise`` instead, if given."""
    from IPython.display import display

    if frame.empty and otherwise:
        print(otherwise)
        return
    frame, caption = _move_clips_to_caption(frame, caption)
    display({"text/html": table_html(frame, caption, index=index), "text/plain": f"{caption}\n{frame}"}, raw=True)


def _move_clips_to_caption(frame: "pd.DataFrame", caption: str) -> "tuple[pd.DataFrame, str]":
    """If all intervals of a table are over clips, state it in the caption instead of in every cell."""
    intervals = [text for text in map(str, frame.to_numpy().ravel()) if "[" in text and "]" in text]
    if not intervals or not all(text.endswith(OVER_CLIPS) for text in intervals):
        return frame, caption
    plain = frame.map(lambda cell: str(cell).removesuffix(OVER_CLIPS) if str(cell).endswith(OVER_CLIPS) else cell)
    return plain, f"{caption}. Intervals are over clips: too narrow for new speakers"


def show_list(sentences: Sequence[str]) -> None:
    """Display sentences as a list; the first of a page is its headline in the index of a report."""
    from IPython.display import display

    markdown = "\n".join(f"- {no_math(sentence)}" for sentence in sentences)
    display({"text/markdown": markdown, "text/plain": "\n".join(sentences)}, raw=True)


def show_protocol_cards(
    experiments: "Sequence[Experiment]",
    caption: str = "Protocol cards; the last column has the audit's counts of test clips",
    *,
    without: Sequence[str] = (),
) -> None:
    """Display the protocol cards of finished experiments, see `sernb.results.protocol_cards`.

    Args:
        without: columns to leave out

    Raises:
        DataError: if an experiment has not been run
    """
    from sernb.results.protocol_cards import protocol_cards

    cards = protocol_cards(experiments).drop(columns=list(without), errors="ignore").drop_duplicates()
    if 0 < len(cards) <= FEW_CARDS:
        show_table(cards.set_index(["System", "Protocol"]).T.rename_axis(""), caption, index=True)
    elif len(cards):
        show_table(cards, caption)


def show_summary(results: "Sequence[Result]") -> None:
    """Display one row per system, with one column per protocol."""
    from sernb.results.summary import summary_caption, summary_table

    show_table(summary_table(results), summary_caption(results))


def show_results(experiments: "Sequence[Experiment]") -> None:
    """Display all scores of finished experiments, one row per system and protocol.

    Raises:
        DataError: if an experiment has not been run
    """
    from sernb.results.tables import caption, results_table

    show_table(results_table(experiments, headings=True), caption(experiments))


def show_provenance(**about: object) -> None:
    """Display the provenance of the page: its parameters, then commit, software, machine and time."""
    from sernb.runtime.provenance import provenance_table

    show_table(provenance_table(**about), "Provenance of this page")


def open_pool(corpus: str, data: str = "") -> "Pool":
    """Return the corpus or pool of a page; print a warning if its speech is synthetic.

    Args:
        corpus: an expression, see :mod:`sernb.corpora.pool`
        data: the folder of the recordings

    Raises:
        DataError: if the expression is invalid, or its recordings are not available
    """
    from sernb.corpora.pool import parse_pool

    pool = parse_pool(corpus, data)
    if not pool.evidence:
        print("The clips are synthetic: this page shows the machinery and is no evidence about emotion.")
    return pool


def read_results(
    systems: Sequence[str],
    corpus: str,
    protocols: Sequence[str] = (),
    *,
    profile: str,
    seed: int = 0,
    data: str = "",
) -> "tuple[Plan, list[Result]]":
    """Return the experiments of a report, see :func:`sernb.runs.planning.plan_report`, and their finished results.

    Raises:
        MissingRuns: if an experiment has not been run, with the parameters that select finished ones
    """
    from sernb.results.result import collect_results
    from sernb.runs.finished import refuse_missing
    from sernb.runs.planning import plan_report

    experiments = plan_report(systems, corpus, protocols, profile=profile, seeds=[seed], data=data)
    refuse_missing(experiments, {"systems": systems, "protocols": protocols, "profile": profile, "seed": seed}, data)
    return experiments, collect_results(experiments)


def run(experiments: "Sequence[Experiment]", *, data: str = "") -> "list[Run]":
    """Run the unfinished experiments, print the duration of all, and return their runs.

    Raises:
        DataError: as :func:`sernb.runs.runner.run_many`
    """
    from sernb.runs.runner import run_many

    runs = run_many(experiments, data=data)
    print(f"{len(runs)} runs; {sum(each.provenance['seconds'] for each in runs):.0f} s of one core in all")
    return runs


def pick_clip(pool: "Pool", data: str = "") -> None:
    """Display menus for choosing a clip in JupyterLab, not on pages, see `sernb.reporting.clip_picker`."""
    from sernb.reporting.clip_picker import pick

    pick(pool, data)


def play(signal: "np.ndarray", sampling_rate: int, caption: str) -> None:
    """Display a player for a signal at its original level, as level conveys emotion.

    Args:
        signal: samples, shape ``(samples,)``, clipped to [-1, 1]
        sampling_rate: in Hz
        caption: speaker and content; also the accessible name of the player

    Raises:
        ValueError: if the signal is empty, has several channels or is not finite, or ``caption`` is empty
    """
    from IPython.display import display

    if not caption.strip():
        raise ValueError("play needs a caption: speaker and content")
    sound = base64.b64encode(_mp3(signal, sampling_rate)).decode()
    text = escape(" ".join(caption.split()))
    player = f'<audio controls preload="none" aria-label="{text}" src="data:audio/mpeg;base64,{sound}"></audio>'
    page = f"<figure><figcaption>{text}</figcaption>{player}</figure>"
    display({"text/html": page, "text/plain": caption}, raw=True)


def _mp3(signal: "np.ndarray", sampling_rate: int) -> bytes:
    import numpy as np
    import soundfile
    import soxr

    signal = np.asarray(signal, dtype=np.float32)
    if signal.ndim != 1 or not signal.size or not np.isfinite(signal).all():
        raise ValueError(f"play needs finite samples of one channel, shape (samples,), not {signal.shape}")
    rate = next((rate for rate in MP3_RATES if rate >= sampling_rate), MP3_RATES[-1])
    if rate != sampling_rate:
        signal = soxr.resample(signal, sampling_rate, rate)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(signal, -1, 1), rate, format="MP3", subtype="MPEG_LAYER_III")
    return buffer.getvalue()
