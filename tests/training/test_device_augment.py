"""Augmentation where the network is computed, against that of the input pipeline: the same clips, the same training."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kaggle_speech.audio import CLIP_SAMPLES, INT16_SCALE, to_int16
from kaggle_speech.data import augment, clip_batches, clips
from kaggle_speech.data.augmentation import Augmentation
from kaggle_speech.models import runs
from kaggle_speech.training import device_augment
from kaggle_speech.training.callbacks import read_history
from kaggle_speech.training.recipe import Recipe
from kaggle_speech.training.words import train

WIDE = Augmentation(shift_ms=150, speed_fraction=0.2, gain_db=12, min_snr_db=-5)
#: Shifts and speeds are left out: `tf.image.crop_and_resize` rounds positions, and a training makes much of little.
TINY = Recipe(
    "cnn,num_filters=(4,8)",
    num_epochs=2,
    batch_size=32,
    optimizer="sgd",
    learning_rate=0.02,
    augmentation=Augmentation(shift_ms=0, speed_fraction=0, min_snr_db=-5),
)


def assert_same_clips(changed, expected):
    """They differ by what `tf.image.crop_and_resize` rounds, a five-hundredth of a sample."""
    error = keras.ops.convert_to_numpy(changed) - np.asarray(expected)
    assert np.sqrt(np.mean(error**2, axis=1)).max() < 2e-3
    assert np.sqrt(np.mean(np.asarray(expected) ** 2)) > 0.05


@pytest.fixture
def sounds(rng):
    """Clips, of which one is digital silence, and noise; both are whole 16-bit samples. Returns: two int16 arrays."""
    waveform = rng.normal(0, 0.2, (24, CLIP_SAMPLES))
    waveform[3] = 0
    return to_int16(waveform), to_int16(rng.normal(0, 0.1, 40_000))


@pytest.mark.parametrize("has_noise", [True, False])
def test_changes_are_those_of_the_input_pipeline(sounds, has_noise):
    waveform, noise = (np.float32(sound / INT16_SCALE) for sound in sounds)
    for seed in ((1, 2), (3, 4)):
        expected = augment.augment_waveforms(waveform, seed, WIDE, noise if has_noise else None)
        changes = augment.draw_changes(24, CLIP_SAMPLES, seed, WIDE, sounds[1] if has_noise else None)
        assert ("noise" in changes) == has_noise
        assert_same_clips(device_augment.apply_changes(sounds[0], changes), expected)


def test_shift_and_speed_read_between_samples():
    """A ramp, whose value is its place, and zero outside."""
    ramp = np.arange(1, 101, dtype="float32")[None]
    moved, faster = (
        keras.ops.convert_to_numpy(device_augment.shift_and_speed(ramp, np.float32([shift]), np.float32([speed])))[0]
        for shift, speed in ((2.5, 1), (0, 2))
    )
    np.testing.assert_allclose(moved[:5], [0, 0, 0, 1.5, 2.5], atol=1e-4)
    np.testing.assert_allclose(faster[24:76], [0, *np.arange(1.5, 100, 2), 0], atol=1e-4)


def test_batches_are_the_same_clips(sample_dir):
    clips_df, _ = clips.read_clips_table(sample_dir, progress=False)
    options = {"augmentation": WIDE, "batch_size": 32, "num_clips": 64, "joined_fraction": 0.1, "seed": 5}
    plain_ds, _ = clip_batches.make_datasets(clips_df, **options)
    apart_ds, tune_ds = clip_batches.make_datasets(clips_df, changes_apart=True, **options)
    assert isinstance(tune_ds.element_spec[0], tf.TensorSpec)
    for (waveform, target), (inputs, same_target) in zip(plain_ds, apart_ds, strict=True):
        assert inputs["clips"].dtype == inputs["noise"].dtype == tf.int16
        np.testing.assert_array_equal(target, same_target)
        assert_same_clips(device_augment.apply_changes(inputs["clips"], inputs), waveform)


def test_training_is_the_same_and_the_model_takes_waveforms(sample_dir, tmp_path):
    clips_df, _ = clips.read_clips_table(sample_dir, progress=False)
    train(TINY, clips_df, tmp_path / "pipeline")
    train(dataclasses.replace(TINY, augment_on_device=True), clips_df, tmp_path / "device")
    histories = [read_history(tmp_path / name).drop(columns="seconds") for name in ("pipeline", "device")]
    pd.testing.assert_frame_equal(*histories, atol=1e-4)
    waveform = np.zeros((2, CLIP_SAMPLES), "float32")
    models = [runs.load_run(tmp_path / name)[0] for name in ("pipeline", "device")]
    np.testing.assert_allclose(*(model.predict_on_batch(waveform) for model in models), atol=1e-4)
    with pytest.raises(ValueError, match=r"`teachers` must be left out .*pipeline"):
        train(
            dataclasses.replace(TINY, augment_on_device=True),
            clips_df,
            tmp_path / "taught",
            teachers=[tmp_path / "pipeline"],
        )


@pytest.mark.parametrize(
    "options",
    [
        {"mixup_fraction": 0.5},
        {"augmentation": Augmentation(room_fraction=0.1)},
        {"augmentation": Augmentation(hiss_std=0.01)},
        {"augmentation": Augmentation(tempo_fraction=0.1)},
        {"augmentation": Augmentation(pitch_semitones=1)},
    ],
)
def test_other_changes_are_refused(options):
    assert Recipe(**options)
    with pytest.raises(ValueError, match=r"must be 0 where the network's device augments\. Received: \w+=[01]"):
        Recipe(augment_on_device=True, **options)
    clips_df = pd.DataFrame({"path": ["a.wav"], "label": ["yes"]})
    with pytest.raises(ValueError, match="Received"):
        clip_batches.make_dataset(clips_df, changes_apart=True, **({"augmentation": Augmentation()} | options))
