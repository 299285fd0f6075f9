"""Interactive choice of a clip in JupyterLab, to see and hear; pages leave it out."""

import os

from sernb import figures
from sernb.audio import reading
from sernb.corpora.pool import Pool
from sernb.features import LogMel
from sernb.reporting import page


def pick(pool: Pool, data: str = "") -> None:
    """Display menus for speaker, emotion and clip, and the selected clip: player, waveform, log-mel spectrogram.

    Without the package ipywidgets, print how to install it; outside an interactive notebook, do nothing.
    """
    if "JPY_SESSION_NAME" not in os.environ:  # set by a Jupyter server for its kernels, not by papermill
        return
    try:
        import ipywidgets
    except ImportError:
        print("To pick clips by hand here: pip install ipywidgets, then reload the page")
        return
    from IPython.display import display

    files, features = pool.files(data), LogMel()
    clips = pool.index[pool.index["clip"].isin(files.index)]
    speaker, emotion = (
        ipywidgets.Dropdown(options=list(clips[name].unique()), description=name.capitalize())
        for name in ("speaker", "emotion")
    )
    clip, shown = ipywidgets.Dropdown(description="Clip"), ipywidgets.Output()

    def list_clips(_: object = None) -> None:
        names = list(clips.loc[(clips.speaker == speaker.value) & (clips.emotion == emotion.value), "clip"])
        clip.options = names
        clip.value = names[0] if names else None

    def show(_: object) -> None:
        shown.clear_output(wait=True)
        with shown:
            if clip.value is None:
                print(f"{speaker.value} has no clip of this emotion.")
                return
            signal = reading.load(files[clip.value], features.sampling_rate)
            page.play(signal, features.sampling_rate, f"{speaker.value}, {emotion.value} ({clip.value})")
            page.show(*figures.waveforms({emotion.value: signal}, features.sampling_rate, clip.value))
            page.show(*figures.spectrograms({emotion.value: features(signal)}, features, clip.value))

    speaker.observe(list_clips, "value")
    emotion.observe(list_clips, "value")
    clip.observe(show, "value")
    display(ipywidgets.VBox([ipywidgets.HBox([speaker, emotion, clip]), shown]))
    list_clips()
