"""The voice that a visitor teaches the page: clips of it, emotions unknown, to which the model's answers adapt.

What is known of the voice are the features of its clips, not their sound. They lie in memory, on disk only when the
visitor keeps them, and are gone with one request.
"""

import itertools
import threading
from http import HTTPStatus
from pathlib import Path

import numpy as np

from sernb.config import DataError
from sernb.prediction.archive import RecordingArchive, RefusedRequest
from sernb.prediction.model import Model
from sernb.prediction.predict import Scores, read_speaker_clips, refuse_unadaptable

LEAST, MOST = 3, 16  # clips; from the least on, answers adapt


class TaughtVoice:
    """Clips of one voice, and what answers for it."""

    def __init__(self, model: Model, archive: RecordingArchive):
        self.model, self.archive = model, archive
        self.lock = threading.Lock()
        self.clips: list[np.ndarray] = []  # features of each, (1, values)
        kept = None if model.adaptation is None else archive.voice(self._key)
        if kept is not None and kept.shape[1:] == model.adaptation.mean.shape and LEAST <= len(kept) <= MOST:
            self.clips = [row[None] for row in kept]
        self.kept = bool(self.clips)

    @property
    def _key(self) -> str:
        return self.model.about.get("weights_sha256", "")  # features of another model mean something else

    @property
    def answers(self) -> tuple[Scores, int] | None:
        """What answers for the voice, and of how many clips; None while too few are known."""
        clips = list(self.clips)
        return (self.model.adaptation.to(clips), len(clips)) if len(clips) >= LEAST else None

    def learn(self, recording: Path) -> None:
        """Take a recording as a clip of the voice, a long one as several, up to the most that count.

        Raises:
            DataError: if the model cannot adapt, or the recording cannot be used or has no voice
            RefusedRequest: if there are as many as count
        """
        refuse_unadaptable(self.model)
        with self.lock:
            if len(self.clips) >= MOST:
                raise RefusedRequest(HTTPStatus.CONFLICT, f"{MOST} clips are enough; forget the voice to teach another")
            clips = list(itertools.islice(read_speaker_clips(self.model, recording), MOST - len(self.clips)))
            if not clips:
                raise DataError(f"{recording}: no speech is heard in it; record a voice, nearer and without music")
            self.clips, self.kept = [*self.clips, *clips], False

    def forget(self) -> None:
        """Know nothing of the voice, here and on disk."""
        with self.lock:
            self.clips, self.kept = [], False
            self.archive.forget_voice()

    def keep(self) -> None:
        """Write what is known of the voice for the next time.

        Raises:
            RefusedRequest: if too few clips are known, or it cannot be written
        """
        with self.lock:
            if len(self.clips) < LEAST:
                raise RefusedRequest(HTTPStatus.CONFLICT, f"teach it {LEAST} clips first")
            self.archive.keep_voice(self._key, np.concatenate(self.clips).astype(np.float32))
            self.kept = True

    @property
    def state(self) -> dict[str, object]:
        """What the page shows."""
        able = self.model.adaptation is not None
        return {"able": able, "clips": len(self.clips), "least": LEAST, "most": MOST, "kept": self.kept}
