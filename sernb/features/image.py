"""Log-mel spectrogram as a square greyscale image (multitask-cnn)."""

from dataclasses import dataclass

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.config import DataError
from sernb.features.base import Features
from sernb.features.mel import DYNAMIC_RANGE, POWER_FLOOR, LogMel, mel_power


@dataclass(frozen=True)
class LogMelPicture(Features):
    """Square greyscale images of the segments of a trimmed clip, with the time axis scaled to the square.

    As published, a spectrogram of 256 mel bands in decibels below its maximum is drawn in the colour map magma with
    256 × 256 pixels, converted to greyscale, downsampled to 128 × 128, and standardised with the mean and standard
    deviation of the authors' images, including their test part. The route ``array`` omits the colour map: decibels
    scaled to 0 … 1 are downsampled and standardised. It needs its own mean and deviation, 0.314 and 0.204 on a twelfth
    of RAVDESS.

    Not specified in the source, and chosen here: the maximum length of a segment, the minimum length of further
    segments, and downsampling by antialiased bilinear interpolation, the default of the authors' library.
    """

    sampling_rate: Hertz = 22_050
    trim: float = 40.0  # dB below the loudest frame, the threshold for trimming both ends
    longest: Seconds = 6.0
    shortest: Seconds = 2.0  # of a segment after the first
    window: int = 2048  # samples
    hop: int = 512  # samples
    bands: int = 256
    drawn: int = 256  # pixels per side of the drawing
    side: int = 128  # pixels per side of the result
    route: str = "picture"  # or "array"
    mean: float = 0.27468
    deviation: float = 0.17491

    def __post_init__(self):
        """Refuse an unknown route."""
        if self.route not in ("picture", "array"):
            raise DataError(f"route: {self.route!r} is neither 'picture' nor 'array'")

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [f"band {band:03d}" for band in range(self.side)]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the concatenated images of all segments, time × bands, ``(segments * side, side)``, float32."""
        return self.compute(self.preprocess(signal))

    def preprocess(self, signal: np.ndarray) -> np.ndarray:
        """Return the signal without quiet ends."""
        from librosa.effects import trim

        return trim(signal, top_db=self.trim, frame_length=self.window, hop_length=self.hop)[0]

    def compute(self, signal: np.ndarray) -> np.ndarray:
        """Return the images of a trimmed signal."""
        length = int(self.longest * self.sampling_rate)
        segments = [signal[start : start + length] for start in range(0, max(len(signal), 1), length)]
        shortest = self.shortest * self.sampling_rate
        kept = [segment for number, segment in enumerate(segments) if number == 0 or len(segment) >= shortest]
        return np.concatenate([(self.draw(segment) - self.mean) / self.deviation for segment in kept])

    def draw(self, segment: np.ndarray) -> np.ndarray:
        """Return the image of a segment before standardisation: time × bands, 0 … 1, float32."""
        from PIL import Image

        level = self._level(segment)
        size = self.side, self.side
        if self.route == "picture":
            grey = self._apply_colour_map(level).convert("L")
            return np.asarray(grey.resize(size, Image.Resampling.BILINEAR), np.float32) / 255
        return np.asarray(Image.fromarray(level).resize(size, Image.Resampling.BILINEAR))

    def _level(self, segment: np.ndarray) -> np.ndarray:
        """Return decibels scaled to 0 (floor) … 1 (maximum), time × bands, float32."""
        power = mel_power(segment, LogMel(self.sampling_rate, window=self.window, hop=self.hop, bands=self.bands))
        level = 10 * np.log10(np.maximum(power, POWER_FLOOR) / max(power.max(), POWER_FLOOR))
        level = np.maximum(level, -DYNAMIC_RANGE)
        return ((level - level.min()) / max(np.ptp(level), POWER_FLOOR)).astype(np.float32)

    def _apply_colour_map(self, level: np.ndarray):
        from matplotlib import colormaps
        from PIL import Image

        colours = colormaps["magma"](level, bytes=True)[..., :3]  # (time, bands, 3)
        # Nearest-neighbour interpolation, as in a plot without smoothing.
        return Image.fromarray(colours).resize((self.drawn, self.drawn), Image.Resampling.NEAREST)
