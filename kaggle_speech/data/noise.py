"""Noise recordings: the part of each split, and silence clips cut from them."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kaggle_speech.audio import CLIP_SAMPLES, SAMPLE_RATE, list_wavs, read_audio, write_wav
from kaggle_speech.files import partial_path, what_is_there
from kaggle_speech.labels import BACKGROUND_NOISE_DIR

#: Part of each recording that a split uses, as shares of its length.
#: `all` is for recordings of which training has no part.
REGIONS = {"train": (0.0, 0.45), "tune": (0.45, 0.5), "val": (0.5, 1.0), "test": (0.5, 1.0), "all": (0.0, 1.0)}
#: Files that `find_recordings` finds.
RECORDING_SUFFIXES = (".wav", ".flac", ".ogg")
#: Training silence: probabilities of mixing 0 (digital silence), 1, 2 and 3 noises, each at 0 to 200 %.
NUM_NOISES_PROBABILITIES = (0.05, 0.65, 0.2, 0.1)
MAX_TRAIN_VOLUME = 2.0
#: Training noises are also tilted, to resemble more rooms and microphones than those of the few recordings.
MAX_TILT_DB_PER_OCTAVE = 6.0


def find_noise(audio_dir: Path | str) -> list[Path]:
    """Noise recordings beside the word folders, sorted; an empty list for none.

    Args:
        audio_dir: folder of the word folders.
    """
    noise_dir = Path(audio_dir) / BACKGROUND_NOISE_DIR
    return [Path(path) for path in list_wavs(noise_dir)] if noise_dir.is_dir() else []


def find_recordings(noise_dir: Path | str) -> dict[Path, str]:
    """Audio files in a folder and the folders in it, sorted, and the kind of noise of each.

    Args:
        noise_dir: folder; a folder in it holds the recordings of a kind.

    Returns:
        dict: path to kind, the name of the first folder below `noise_dir`, or of the file where it lies in none.

    Raises:
        ValueError: there is no audio file; names the folder.
    """
    noise_dir = Path(noise_dir).expanduser()
    paths = sorted(
        path
        for path in noise_dir.rglob("*")
        if path.suffix.lower() in RECORDING_SUFFIXES and not path.name.startswith(".")  # `._` files of macOS
    )
    if not paths:
        raise ValueError(
            f"{noise_dir}: must be a folder of recordings, {', '.join(RECORDING_SUFFIXES)}. "
            f"Received: {what_is_there(noise_dir)}"
        )
    return {path: path.stem if path.parent == noise_dir else path.relative_to(noise_dir).parts[0] for path in paths}


def read_noise(noise_paths: Sequence[Path | str], split: str) -> list[np.ndarray]:
    """Read the part of each recording that belongs to a split.

    Shape: -> list of `(samples,)` float32, one a recording, without zeros at its ends, at least one clip long (padded).

    Args:
        noise_paths: files.
        split: a key of `REGIONS`.

    Raises:
        AudioError: a recording cannot be read; names it.
    """
    regions = []
    for path in noise_paths:
        waveform = read_audio(path)
        first, last = (int(share * len(waveform)) for share in REGIONS[split])
        region = np.trim_zeros(waveform[first:last])  # some data sets fill recordings up to one length
        regions.append(np.pad(region, (0, max(0, CLIP_SAMPLES - len(region)))))
    return regions


def tilt_spectrum(waveform: np.ndarray, tilt_db_per_octave: float) -> np.ndarray:
    """Waveform with a tilted spectrum of the same power: brighter (above 0) or duller (below 0).

    Shape: `(samples,)` -> the same.

    Args:
        waveform: float.
        tilt_db_per_octave: change of level with each octave of frequency, in decibels.
    """
    frequency_hz = np.maximum(np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE), 50.0)
    spectrum = np.fft.rfft(waveform) * frequency_hz ** (tilt_db_per_octave / (20 * np.log10(2)))
    tilted = np.fft.irfft(spectrum, len(waveform))
    power, tilted_power = (np.mean(np.square(sound)) for sound in (waveform, tilted))
    return (tilted * np.sqrt(power / max(tilted_power, 1e-20))).astype("float32")


def silence_clip(
    regions: Sequence[np.ndarray], rng: np.random.Generator, region_index: int | None = None
) -> np.ndarray:
    """Random silence clip of one second.

    Args:
        regions: from `read_noise`.
        rng: `numpy.random.Generator`.
        region_index: cut from this recording at a volume of 0 to 100 %, for evaluation;
            None mixes 0 to 3 recordings at 0 to 200 % each, tilted, for training.

    Shape: -> `(CLIP_SAMPLES,)`, float32 in [-1, 1].

    Source: the competition's silence, noise times U(0, 1); the mixes of its winners.
    """
    if region_index is not None:
        indices = [region_index]
        max_volume = 1.0
    else:
        num_noises = rng.choice(len(NUM_NOISES_PROBABILITIES), p=NUM_NOISES_PROBABILITIES)
        indices = rng.integers(len(regions), size=num_noises).tolist()
        max_volume = MAX_TRAIN_VOLUME
    clip = np.zeros(CLIP_SAMPLES, "float32")
    for index in indices:
        start = rng.integers(len(regions[index]) - CLIP_SAMPLES + 1)
        segment = regions[index][start : start + CLIP_SAMPLES] * rng.uniform(0, max_volume)
        if region_index is None:
            segment = tilt_spectrum(segment, rng.uniform(-MAX_TILT_DB_PER_OCTAVE, MAX_TILT_DB_PER_OCTAVE))
        clip += segment
    return np.clip(clip, -1, 1)


def mix_at_snr(waveform: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Clips with noise at a signal-to-noise ratio, in mean power over the whole clip, as in training.

    Digital silence, in clip or noise, has no ratio: the clip stays as it is. Louder samples than 1 are clipped.

    Shape: `(batch, samples)`, `(batch, samples)`, dB -> `(batch, samples)` float32.

    Args:
        waveform: float in [-1, 1].
        noise: float.
        snr_db: power of the clip over that of the noise, in decibels.
    """
    signal_power, noise_power = (np.mean(np.square(sound), axis=1) for sound in (waveform, noise))
    noise_power *= 10 ** (snr_db / 10)
    scale = np.sqrt(np.divide(signal_power, noise_power, out=np.zeros_like(signal_power), where=noise_power > 0))
    return np.clip(waveform + scale[:, None] * noise, -1, 1, dtype="float32")


def write_silence_clips(
    noise_paths: Sequence[Path], num_clips: int, split: str, cache_dir: Path | str, seed: int = 0
) -> list[Path]:
    """Cut silence clips into WAV files; the same arguments find the files of an earlier call.

    Training clips are mixes. The others take the recordings in turn, one recording a clip.

    Args:
        noise_paths: recordings, not empty.
        num_clips: number of clips.
        split: `train`, `tune`, `val` or `test`: its region of the recordings.
        cache_dir: folder for the clips; each set has a folder of its own in it.
        seed: of the random cuts.

    Returns:
        list of paths, `<recording or mix>_<number>.wav`.

    Raises:
        ValueError: there is no recording to cut from.
        AudioError: a recording cannot be read; names it.
    """
    if not noise_paths:
        raise ValueError(f"`noise_paths` must name at least one recording of {BACKGROUND_NOISE_DIR}. Received: none")
    recordings = [(path.name, hashlib.sha1(path.read_bytes()).hexdigest()) for path in noise_paths]
    recipe = [REGIONS, NUM_NOISES_PROBABILITIES, MAX_TRAIN_VOLUME, MAX_TILT_DB_PER_OCTAVE]
    settings = json.dumps([recordings, num_clips, split, seed, recipe])
    out_dir = Path(cache_dir) / f"silence_{split}_{hashlib.sha1(settings.encode()).hexdigest()[:12]}"
    if not out_dir.exists():
        regions = read_noise(noise_paths, split)
        rng = np.random.default_rng(seed)
        with partial_path(out_dir) as new_dir:
            new_dir.mkdir(parents=True)
            for clip_index in range(num_clips):
                region_index = None if split == "train" else clip_index % len(regions)
                name = "mix" if region_index is None else noise_paths[region_index].stem
                write_wav(new_dir / f"{name}_{clip_index:05d}.wav", silence_clip(regions, rng, region_index))
            try:
                new_dir.rename(out_dir)
            except OSError:
                if not out_dir.exists():  # else another process was faster with the same clips
                    raise
    return sorted(out_dir.glob("*.wav"))


def background_noise(noise_paths: Sequence[Path], split: str = "train") -> np.ndarray | None:
    """Source of background noise: the part of a split of every recording, end to end.

    Shape: -> `(samples,)` float32; None where there is no recording.

    Args:
        noise_paths: recordings.
        split: a key of `REGIONS`.

    Raises:
        AudioError: a recording cannot be read; names it.
    """
    return np.concatenate(read_noise(noise_paths, split)) if noise_paths else None
