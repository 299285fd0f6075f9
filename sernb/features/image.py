"""Log-mel spectrogram as a square grey picture (multitask-cnn)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.config import DataError
from sernb.features.mel import DYNAMIC_RANGE, POWER_FLOOR, LogMel, mel_power


@dataclass(frozen=True)
class LogMelPicture:
    """Square grey pictures of a trimmed clip, one for each segment of it, the time axis stretched to the square.

    As published, a spectrogram of 256 mel bands in decibels below its maximum is drawn with the colours of magma on
    256 × 256 points, turned to grey, made smaller to 128 × 128, and standardised with the mean and deviation of the
    authors' own pictures, their test part included. The route ``array`` leaves out the drawing: the decibels
    themselves, 0 for the floor and 1 for the maximum, are made smaller and standardised. It needs its own mean and
    deviation: 0.314 and 0.204 over a twelfth of RAVDESS.

    Chosen here, where the source does not say: how long a segment may be, below which length a further segment is
    dropped, and that pictures are made smaller by area-true bilinear weights, as the authors' library does by default.
    """

    sampling_rate: Hertz = 22_050
    resampling: ClassVar[str] = "soxr"
    trim: float = 40.0  # dB below the loudest frame: what is quieter at both ends is cut off
    longest: Seconds = 6.0
    shortest: Seconds = 2.0  # of a segment after the first
    window: int = 2048  # samples
    hop: int = 512  # samples
    bands: int = 256
    drawn: int = 256  # points on a side of the drawing
    side: int = 128  # points on a side of the result
    route: str = "picture"  # or "array"
    mean: float = 0.27468
    deviation: float = 0.17491

    def __post_init__(self):
        """Refuse an unknown route."""
        if self.route not in ("picture", "array"):
            raise DataError(f"route: {self.route!r} is neither 'picture' nor 'array'")

    @property
    def width(self) -> int:
        """Columns of the result: from the lowest band to the highest."""
        return self.side

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [f"band {band:03d}" for band in range(self.side)]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the pictures one below the other, time downwards, shape ``(segments * side, side)``, float32."""
        return self.of_section(self.section(signal))

    def section(self, signal: np.ndarray) -> np.ndarray:
        """Return the signal without quiet ends; what augments it comes after."""
        from librosa.effects import trim

        return trim(signal, top_db=self.trim, frame_length=self.window, hop_length=self.hop)[0]

    def of_section(self, section: np.ndarray) -> np.ndarray:
        """Return the pictures of a trimmed signal."""
        length = int(self.longest * self.sampling_rate)
        segments = [section[start : start + length] for start in range(0, max(len(section), 1), length)]
        enough = self.shortest * self.sampling_rate
        kept = [segment for number, segment in enumerate(segments) if number == 0 or len(segment) >= enough]
        return np.concatenate([(self.picture(segment) - self.mean) / self.deviation for segment in kept])

    def picture(self, segment: np.ndarray) -> np.ndarray:
        """Return the picture before it is standardised: time × bands, 0 … 1, float32."""
        from PIL import Image

        level = self._level(segment)
        if self.route == "picture":
            drawn = self._drawing(level).convert("L")
            small = drawn.resize((self.side, self.side), Image.Resampling.BILINEAR)
            return np.asarray(small, np.float32) / 255
        return np.asarray(Image.fromarray(level).resize((self.side, self.side), Image.Resampling.BILINEAR))

    def _level(self, segment: np.ndarray) -> np.ndarray:
        """Return decibels as 0 (floor) … 1 (maximum), time × bands, float32."""
        power = mel_power(segment, LogMel(self.sampling_rate, window=self.window, hop=self.hop, bands=self.bands))
        level = 10 * np.log10(np.maximum(power, POWER_FLOOR) / max(power.max(), POWER_FLOOR))
        level = np.maximum(level, -DYNAMIC_RANGE)
        return ((level - level.min()) / max(np.ptp(level), POWER_FLOOR)).astype(np.float32)

    def _drawing(self, level: np.ndarray):
        from matplotlib import colormaps
        from PIL import Image

        colours = colormaps["magma"](level, bytes=True)[..., :3]  # (time, bands, 3)
        # Each point shows the cell that it falls into, as in a drawing without smoothing.
        return Image.fromarray(colours).resize((self.drawn, self.drawn), Image.Resampling.NEAREST)
