"""Check the settings of features that users give: each has a type and a range, whatever the kind of features."""

import numbers

from sernb.config import DataError
from sernb.features.pitch import Pitch

# Lowest and highest value; a whole number is expected where both are.
RANGES = {
    "window": (16, 16_384),
    "hop": (1, 16_384),
    "bands": (1, 512),
    "coefficients": (1, 512),
    "samples": (1, 10_000_000),
    "level": (-100.0, 0.0),
    "dither": (-200.0, 0.0),
}
PITCH_RANGES = {
    "lowest": (20.0, 500.0),
    "highest": (20.0, 1_500.0),
    "hop": (0.001, 1.0),
    "candidates": (1, 50),
    **dict.fromkeys(("voicing", "silence", "octave_cost", "octave_jump_cost", "voicing_cost"), (1e-6, 10.0)),
}


def check_settings(kind: str, made: type, settings: dict[str, object]) -> dict[str, object]:
    """Return the settings with numbers of NumPy as plain ones; names that ``made`` does not have stay as they are.

    Args:
        kind: what messages call the features
        made: their class, which has a default for each setting

    Raises:
        DataError: naming the setting, its value and what is allowed
    """
    defaults = {name: getattr(made, name, None) for name in made.__dataclass_fields__}
    checked = dict(settings)
    for name, default in defaults.items():
        if name not in settings and not (name == "coefficients" and "bands" in settings):
            continue
        value = settings.get(name, default)
        where = f"{kind}: {name}={value!r:.60}"
        if name in RANGES:
            low, high = RANGES[name]
            checked[name] = _number(where, value, low, high)
            if name == "coefficients" and checked[name] > (bands := checked.get("bands", defaults["bands"])):
                raise DataError(f"{where}: not more than bands={bands} is expected")
        elif name == "pitch":
            if not isinstance(value, Pitch):
                raise DataError(f"{where}; a sernb.features.pitch.Pitch is expected")
            for part, (low, high) in PITCH_RANGES.items():
                _number(f"{kind}: pitch: {part}={getattr(value, part)!r:.60}", getattr(value, part), low, high)
            if value.lowest >= value.highest:
                raise DataError(f"{kind}: pitch: lowest={value.lowest}: less than highest={value.highest} is expected")
        elif not isinstance(value, type(default)):
            expected = "True or False is" if isinstance(default, bool) else f"text such as {default!r} is"
            raise DataError(f"{where}: {expected} expected")
    return checked


def _number(where: str, value: object, low: float, high: float) -> float:
    is_whole = isinstance(low, int)
    is_number = isinstance(value, numbers.Integral if is_whole else numbers.Real) and not isinstance(value, bool)
    if not (is_number and low <= value <= high):
        raise DataError(f"{where}: a {'whole ' if is_whole else ''}number from {low} to {high} is expected")
    return int(value) if is_whole else float(value)
