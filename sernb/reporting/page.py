"""Figures, tables and sound shown in a notebook."""

import base64
import io
from typing import TYPE_CHECKING

from sernb.reporting.tables import escape, table_html

if TYPE_CHECKING:
    import matplotlib.figure
    import numpy as np
    import pandas as pd


MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


def show(figure: "matplotlib.figure.Figure", alt: str) -> None:
    """Display a figure as PNG with the alternative text ``alt``, and close it.

    Raises:
        ValueError: if ``alt`` is empty
    """
    from IPython.display import display
    from matplotlib import pyplot

    from sernb.figures.style import our_style

    if not alt.strip():
        raise ValueError("show needs a text for those who cannot see the figure: what it shows and what to read off it")
    buffer = io.BytesIO()
    with our_style():
        figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight", metadata={"Software": None})
    pyplot.close(figure)
    alt = " ".join(alt.split())
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": alt}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})


def show_table(frame: "pd.DataFrame", caption: str, *, index: bool = False) -> None:
    """Display a table with a caption; see `table_html`."""
    from IPython.display import display

    display({"text/html": table_html(frame, caption, index=index), "text/plain": f"{caption}\n{frame}"}, raw=True)


def play(signal: "np.ndarray", sampling_rate: int, caption: str) -> None:
    """Display a player for a signal, with its loudness as it is: much of emotion is loudness.

    Args:
        signal: samples, shape ``(samples,)``; what lies outside [-1, 1] is clipped
        sampling_rate: in Hz
        caption: what is heard; also the accessible name of the player

    Raises:
        ValueError: if the signal is empty, has several channels or is not finite, or ``caption`` is empty
    """
    from IPython.display import display

    if not caption.strip():
        raise ValueError("play needs a caption: who speaks, what is heard")
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
