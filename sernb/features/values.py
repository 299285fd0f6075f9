"""Zero-crossing rate, RMS and MFCC of each frame, one after the other in one row (feature-cnn)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.audio.reading import fit_end
from sernb.features.mel import LogMel, decibels, mel_power

SILENCE = 1e-10  # amplitudes up to here count as zero, as in librosa's zero crossings


@dataclass(frozen=True)
class FrameValues:
    """The zero-crossing rates, the RMS and the MFCC of all frames of a section of a clip: 40 + 40 + 800 values.

    The definitions are those of the published code, its slips included. Its MFCC take the frame length for the
    sampling rate: the mel bands are spread over 1,024 Hz where the signal has 4,012, so that their axis is nearly
    linear. And a section shorter than ``longest`` is padded at the end of the whole row: its RMS and MFCC then stand
    in other columns than those of a long section.
    """

    sampling_rate: Hertz = 8025
    resampling: ClassVar[str] = "soxr"
    start: Seconds = 0.6  # what lies before is left out
    longest: Seconds = 2.5
    window: int = 2048  # samples
    hop: int = 512  # samples
    coefficients: int = 20
    bands: int = 128
    mfcc_sampling_rate: Hertz = 2048  # as published; 8025 is right
    aligned: bool = False  # pad zero crossings, RMS and MFCC each by itself

    @property
    def frames(self) -> int:
        """Frames of a section that is not short."""
        return 1 + self._samples // self.hop

    @property
    def width(self) -> int:
        """Columns of the result."""
        return self.frames * (2 + self.coefficients)

    @property
    def names(self) -> list[str]:
        """Names of the columns of a section that is not short, ``feature frame``."""
        mfcc = [f"MFCC {k} frame {frame}" for frame in range(self.frames) for k in range(self.coefficients)]
        return [f"{name} frame {n}" for name in ("zero-crossing rate", "RMS") for n in range(self.frames)] + mfcc

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the values as one row, shape ``(1, width)``, float32; zeros where the section is too short."""
        return self.of_section(self.section(signal))

    def section(self, signal: np.ndarray) -> np.ndarray:
        """Return the part of the signal that is read; what augments it comes after."""
        start = int(self.start * self.sampling_rate)
        return signal[start : start + self._samples]

    def of_section(self, section: np.ndarray) -> np.ndarray:
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
        # The first sample of a frame has none before it: 2,047 places for a change, divided by 2,048.
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
