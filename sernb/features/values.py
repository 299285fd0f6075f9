"""Zero-crossing rates, RMS and MFCC of all frames, concatenated in one row (feature-cnn)."""

from dataclasses import dataclass

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.audio.reading import fit_end
from sernb.features.base import Features
from sernb.features.mel import LogMel, decibels, mel_power

SILENCE = 1e-10  # amplitudes up to this count as 0, as in librosa


@dataclass(frozen=True)
class FrameValues(Features):
    """Zero-crossing rates, RMS and MFCC of all frames of a section: 40 + 40 + 800 values.

    Definitions follow the published code including its errors. Its MFCC use the frame length as sampling rate: the mel
    bands cover 1,024 Hz instead of 4,012, so that their axis is nearly linear. A section shorter than ``longest`` is
    zero-padded at the end of the row, which moves its RMS and MFCC to other columns than those of a long section.
    """

    sampling_rate: Hertz = 8025
    start: Seconds = 0.6  # of the section
    longest: Seconds = 2.5
    window: int = 2048  # samples
    hop: int = 512  # samples
    coefficients: int = 20
    bands: int = 128
    mfcc_sampling_rate: Hertz = 2048  # as published; 8025 is correct
    aligned: bool = False  # whether zero-crossing rates, RMS and MFCC are padded separately

    @property
    def frames(self) -> int:
        """Number of frames of a section of full length."""
        return 1 + self._samples // self.hop

    @property
    def names(self) -> list[str]:
        """Names of the columns for a section of full length, ``feature frame``."""
        mfcc = [f"MFCC {k} frame {frame}" for frame in range(self.frames) for k in range(self.coefficients)]
        return [f"{name} frame {n}" for name in ("zero-crossing rate", "RMS") for n in range(self.frames)] + mfcc

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the values as one row, shape ``(1, width)``, float32, zero-padded."""
        return self.compute(self.preprocess(signal))

    def preprocess(self, signal: np.ndarray) -> np.ndarray:
        """Return the section."""
        start = int(self.start * self.sampling_rate)
        return signal[start : start + self._samples]

    def compute(self, section: np.ndarray) -> np.ndarray:
        """Return the values of a section, shape ``(1, width)``, float32."""
        section = section[: self._samples] if len(section) else np.zeros(1, np.float32)
        blocks = [self._zero_crossings(section), self._rms(section), self._mfcc(section).ravel()]
        if self.aligned:
            sizes = (self.frames, self.frames, self.frames * self.coefficients)
            blocks = [fit_end(block, size) for block, size in zip(blocks, sizes, strict=True)]
        return fit_end(np.concatenate(blocks).astype(np.float32), self.width)[None]

    @property
    def _samples(self) -> int:
        return int(np.ceil(self.longest * self.sampling_rate))

    def _zero_crossings(self, section: np.ndarray) -> np.ndarray:
        padded = np.pad(section, self.window // 2, mode="edge")
        negative = np.signbit(np.where(np.abs(padded) <= SILENCE, 0, padded))
        changes = negative[1:] != negative[:-1]
        # A frame has 2,047 pairs of neighbours; the count is divided by 2,048, as in librosa.
        return self._framed(changes, self.window - 1).sum(axis=1) / self.window

    def _rms(self, section: np.ndarray) -> np.ndarray:
        frames = self._framed(np.pad(section, self.window // 2), self.window)
        return np.sqrt(np.mean(np.square(frames), axis=1))

    def _mfcc(self, section: np.ndarray) -> np.ndarray:
        from scipy.fft import dct

        mel = LogMel(self.mfcc_sampling_rate, window=self.window, hop=self.hop, bands=self.bands)
        return dct(decibels(mel_power(section, mel)), axis=1, norm="ortho")[:, : self.coefficients]  # (frames, 20)

    def _framed(self, values: np.ndarray, length: int) -> np.ndarray:
        return np.lib.stride_tricks.sliding_window_view(values, length)[:: self.hop]
