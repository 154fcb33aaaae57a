"""`Augmentation`: the limits within which a training clip is changed. No TensorFlow."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any


def option(default: Any, text: str) -> Any:
    """Dataclass field with a default, and a text for the help of the command line.

    Args:
        default: default value of the field.
        text: help of the option on the command line.
    """
    return dataclasses.field(default=default, metadata={"help": text})


def require(options: Any, names: Sequence[str], is_valid: Callable[[Any], bool], rule: str) -> None:
    """Check fields of options.

    Args:
        options: dataclass with the fields.
        names: names of the fields.
        is_valid: function of a value.
        rule: what a value must do, for the message.

    Raises:
        ValueError: a value is not valid; names the field, the rule and the value.
    """
    for name in names:
        value = getattr(options, name)
        if not is_valid(value):
            raise ValueError(f"`{name}` must {rule}. Received: {name}={value!r}")


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Limits of the random changes of training clips; each clip draws uniformly between them.

    Args:
        shift_ms: earlier or later by up to so many milliseconds; the gap is zeros.
        speed_fraction: faster or slower by up to this share, below 1; pitch changes, too.
        tempo_fraction: faster or slower by up to this share, below 1, at the same pitch.
        pitch_semitones: higher or lower by up to so many semitones at the same tempo.
        vocoder_fraction: share of the clips whose tempo and pitch change, 0 to 1.
        room_fraction: share of the clips that sound in a made room, 0 to 1.
        gain_db: louder or quieter by up to so many decibels.
        noise_fraction: share of the clips that get background noise, 0 to 1.
        min_snr_db, max_snr_db: range of the power of the clip over that of the noise, in decibels.
        hiss_std: Gaussian noise with a standard deviation of up to this; full scale is 1.

    Raises:
        ValueError: a value is negative, a share above 1 (a change of speed or tempo not below), or the SNR range empty.

    Examples:
        >>> Augmentation(noise_fraction=0.8).noise_fraction, Augmentation().shift_ms
        (0.8, 100.0)
        >>> Augmentation(noise_fraction=8)
        Traceback (most recent call last):
            ...
        ValueError: `noise_fraction` must be <= 1. Received: noise_fraction=8
    """

    shift_ms: float = option(100.0, "earlier or later by up to so many milliseconds; the gap is zeros")
    speed_fraction: float = option(0.1, "faster or slower by up to this share (pitch moves along)")
    tempo_fraction: float = option(0.0, "faster or slower by up to this share at the same pitch")
    pitch_semitones: float = option(0.0, "higher or lower by up to so many semitones at the same tempo")
    vocoder_fraction: float = option(0.25, "share of the clips whose tempo and pitch change: it takes the longest")
    room_fraction: float = option(0.0, "share of the clips that sound in a made room (needs pyroomacoustics)")
    gain_db: float = option(6.0, "louder or quieter by up to so many decibels")
    noise_fraction: float = option(0.5, "share of the clips that get background noise")
    min_snr_db: float = option(5.0, "least power of the clip over that of the noise")
    max_snr_db: float = option(30.0, "greatest power of the clip over that of the noise")
    hiss_std: float = option(0.0, "Gaussian noise with a standard deviation of up to this, full scale being 1")

    def __post_init__(self):
        names = tuple(field.name for field in dataclasses.fields(self) if not field.name.endswith("snr_db"))
        require(self, names, lambda value: value >= 0, "not be negative")
        require(self, ("speed_fraction", "tempo_fraction"), lambda value: value < 1, "be < 1")
        require(self, ("noise_fraction", "vocoder_fraction", "room_fraction"), lambda value: value <= 1, "be <= 1")
        if self.min_snr_db > self.max_snr_db:
            raise ValueError(
                "`min_snr_db` must be <= `max_snr_db`. "
                f"Received: min_snr_db={self.min_snr_db!r}, max_snr_db={self.max_snr_db!r}"
            )

    def require_apart(self) -> None:
        """Check that all changes are of those that `data.augment.draw_changes` draws.

        Raises:
            ValueError: another change is switched on; names the field.
        """
        names = ("room_fraction", "hiss_std", "tempo_fraction", "pitch_semitones")
        require(self, names, lambda value: value == 0, "be 0 where the network's device augments")
