"""Speaker enrolment in the app: unlabelled clips of one speaker, to which the model is adapted.

Only the features of the clips are held, not the audio. They stay in memory, are written to disk only when the user asks
for it, and are deleted with one request.
"""

import itertools
import threading
from http import HTTPStatus
from pathlib import Path

import numpy as np

from sernb.prediction.archive import RecordingArchive, RefusedRequest
from sernb.prediction.model import Model
from sernb.prediction.predict import Predictor, no_speech_error, read_speaker_clips, require_adaptation

LEAST, MOST = 3, 16  # clips; adaptation starts at the least


class EnrolledSpeaker:
    """Enrolment clips of one speaker, and the predictor adapted to them."""

    def __init__(self, model: Model, archive: RecordingArchive):
        self.model, self.archive = model, archive
        self.lock = threading.Lock()
        self.clips: list[np.ndarray] = []  # features of each, (1, values)
        saved = None if model.adaptation is None else archive.read_speaker(self._key)
        if saved is not None and saved.shape[1:] == model.adaptation.mean.shape and LEAST <= len(saved) <= MOST:
            self.clips = [row[None] for row in saved]
        self.is_saved = bool(self.clips)

    @property
    def _key(self) -> str:
        return self.model.metadata.get("weights_sha256", "")  # features are valid for one model only

    @property
    def predictor(self) -> tuple[Predictor, int] | None:
        """The adapted predictor and the number of clips used; None while there are too few clips."""
        clips = list(self.clips)
        return (self.model.adaptation.adapt(clips), len(clips)) if len(clips) >= LEAST else None

    def add(self, recording: Path) -> None:
        """Add a recording of the speaker as one clip, or, if it is long, as several.

        Raises:
            DataError: if the model does not support adaptation, or the recording cannot be read or contains no voice
            RefusedRequest: if the maximum number of clips is reached
        """
        require_adaptation(self.model)
        with self.lock:
            if len(self.clips) >= MOST:
                raise RefusedRequest(HTTPStatus.CONFLICT, f"{MOST} clips are enough; forget the voice to add another")
            clips = list(itertools.islice(read_speaker_clips(self.model, recording), MOST - len(self.clips)))
            if not clips:
                raise no_speech_error(recording)
            self.clips, self.is_saved = [*self.clips, *clips], False

    def clear(self) -> None:
        """Delete the clips, in memory and on disk."""
        with self.lock:
            self.clips, self.is_saved = [], False
            self.archive.delete_speaker()

    def save(self) -> None:
        """Save the features of the clips for the next session.

        Raises:
            RefusedRequest: if there are too few clips, or the folder is not writable
        """
        with self.lock:
            if len(self.clips) < LEAST:
                raise RefusedRequest(HTTPStatus.CONFLICT, f"add at least {LEAST} clips first")
            self.archive.save_speaker(self._key, np.concatenate(self.clips).astype(np.float32))
            self.is_saved = True

    @property
    def state(self) -> dict[str, object]:
        """The state shown on the page, as JSON values."""
        is_supported = self.model.adaptation is not None
        return {"able": is_supported, "clips": len(self.clips), "least": LEAST, "most": MOST, "kept": self.is_saved}
