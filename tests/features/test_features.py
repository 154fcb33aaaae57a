"""features.py against librosa (in float64), tf.signal and properties."""

import dataclasses
import os
import subprocess
import sys

import keras
import librosa
import numpy as np
import pytest
import scipy.signal
import tensorflow as tf

from kaggle_speech import audio
from kaggle_speech.features import filters, layers, ops
from kaggle_speech.features.filters import FeatureSpec

#: n_fft 384, hop 160, win 256: the framing of the CNN + BiGRU.
SPEC = FeatureSpec(
    frame_length=256, frame_step=160, fft_length=384, num_mel_bins=128, num_mfcc=20, lower_edge_hz=0, upper_edge_hz=8000
)
LIBROSA = {"sr": 16_000, "n_fft": 384, "hop_length": 160, "win_length": 256}
SPECS = [SPEC, FeatureSpec(), FeatureSpec(centered=False, mel_scale="htk", lower_edge_hz=60.0, upper_edge_hz=7600.0)]
LAYERS = [layers.PowerSpectrogram, layers.LogMelSpectrogram, layers.MFCC, layers.SpectrogramImage]


def assert_agrees_with_librosa(waveform):
    waveform_64 = waveform.astype("float64")
    mel = librosa.feature.melspectrogram(y=waveform_64, **LIBROSA)
    log_mel = np.asarray(ops.log_mel_spectrogram(waveform, SPEC))
    expected = librosa.power_to_db(mel)
    near = expected > expected.max() - 70  # float32 sums of loud bins leave a rounding error in those 80 dB under them
    np.testing.assert_allclose(log_mel.T[near], expected[near], atol=1e-3)
    np.testing.assert_allclose(log_mel.T, expected, atol=5e-3)
    mfcc = np.asarray(ops.mfcc(waveform, SPEC))
    np.testing.assert_allclose(mfcc.T, librosa.feature.mfcc(y=waveform_64, **LIBROSA), atol=1e-3)


def test_agreement_with_librosa(speech):
    for waveform in speech:
        assert_agrees_with_librosa(waveform)


def test_agreement_with_librosa_on_real_clips(real_dir):
    paths = sorted((real_dir / "train" / "audio").glob("*/*_nohash_0.wav"))[::60]
    assert len(paths) > 50
    for path in paths:
        assert_agrees_with_librosa(audio.read_clip(path))


def test_power_agrees_with_tf_signal_where_not_centered(speech):
    spec = FeatureSpec(frame_length=400, frame_step=160, fft_length=512, centered=False)
    expected = tf.abs(tf.signal.stft(speech, 400, 160, 512)) ** 2
    np.testing.assert_allclose(ops.power_spectrogram(speech, spec), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("lengths", "radix"),
    [((400, 160, 512), 4), ((401, 160, 512), 4), ((257, 100, 1024), 4), ((400, 161, 512), 1), ((400, 160, 500), 1)],
)
@pytest.mark.parametrize("centered", [True, False])
def test_power_is_numpys_whatever_the_lengths(lengths, radix, centered, speech):
    spec = FeatureSpec(*lengths, centered=centered)
    assert spec.dft_radix == radix
    padded = np.pad(speech, ((0, 0), (lengths[0] // 2,) * 2)) if centered else speech
    frames = np.lib.stride_tricks.sliding_window_view(padded.astype("float64"), lengths[0], axis=1)[:, :: lengths[1]]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(lengths[0]) / lengths[0])
    expected = np.abs(np.fft.rfft(frames * window, lengths[2])) ** 2
    power = np.asarray(ops.power_spectrogram(speech, spec))
    assert power.shape == (4, spec.num_frames(16_000), spec.num_bins)
    np.testing.assert_allclose(power, expected, rtol=1e-3, atol=1e-6 * expected.max())


def test_pre_emphasis_is_librosas(speech):
    for share in (0.5, 0.97):
        expected = librosa.effects.preemphasis(speech, coef=share, zi=np.zeros((4, 1)))
        np.testing.assert_allclose(ops.pre_emphasis(speech, share), expected, atol=1e-6)
    spec = dataclasses.replace(SPEC, pre_emphasis=0.97)
    expected = ops.power_spectrogram(ops.pre_emphasis(speech), SPEC)
    np.testing.assert_allclose(ops.power_spectrogram(speech, spec), expected, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("mel_scale", filters.MEL_SCALES)
def test_mel_matrix_is_librosas(mel_scale):
    spec = FeatureSpec(num_mel_bins=64, lower_edge_hz=50.0, upper_edge_hz=7000.0, mel_scale=mel_scale)
    expected = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=64, fmin=50, fmax=7000, htk=mel_scale == "htk")
    np.testing.assert_allclose(filters.mel_matrix(spec).T, expected, atol=1e-7)


@pytest.mark.parametrize("mel_scale", filters.MEL_SCALES)
def test_mel_scale_round_trip(mel_scale):
    frequency_hz = np.linspace(0, 8000, 101)
    mel = filters.hz_to_mel(frequency_hz, mel_scale)
    np.testing.assert_allclose(mel, librosa.hz_to_mel(frequency_hz, htk=mel_scale == "htk"), atol=1e-9)
    np.testing.assert_allclose(filters.mel_to_hz(mel, mel_scale), frequency_hz, atol=1e-9)


@pytest.mark.parametrize("layer_class", LAYERS)
@pytest.mark.parametrize("spec", SPECS)
def test_a_clip_does_not_depend_on_its_batch(layer_class, spec, speech):
    batch = np.concatenate([speech * 1e-3, speech])  # loud neighbours must not raise the floor of quiet clips
    layer = layer_class(spec)
    together = np.asarray(layer(batch))
    alone = np.concatenate([layer(clip[None]) for clip in batch])
    # An image may differ by one step of its 256 colours where rounding decides.
    np.testing.assert_allclose(together, alone, atol=0.03 if layer_class is layers.SpectrogramImage else 2e-3)


@pytest.mark.parametrize("spec", SPECS)
def test_shapes(spec, speech):
    num_frames = spec.num_frames(16_000)
    assert num_frames == (101 if spec.centered else 98)
    assert ops.power_spectrogram(speech, spec).shape == (4, num_frames, spec.num_bins)
    assert ops.log_mel_spectrogram(speech[0], spec).shape == (num_frames, spec.num_mel_bins)
    assert ops.mfcc(speech.reshape(2, 2, -1), spec).shape == (2, 2, num_frames, spec.num_mfcc)
    assert ops.spectrogram_image(speech, spec, 32, 48).shape == (4, 32, 48, 3)


def test_floor_lies_the_dynamic_range_under_the_maximum(speech):
    log_mel = np.asarray(ops.log_mel_spectrogram(speech, dataclasses.replace(SPEC, dynamic_range_db=30.0)))
    np.testing.assert_allclose(log_mel.max(axis=(1, 2)) - log_mel.min(axis=(1, 2)), 30, atol=1e-4)


def test_digital_silence_is_flat_and_finite():
    silence = np.zeros((1, 16_000), "float32")
    np.testing.assert_array_equal(ops.log_mel_spectrogram(silence), -100)
    assert np.isfinite(ops.mfcc(silence)).all()
    assert np.isfinite(ops.spectrogram_image(silence)).all()


def test_image_shows_time_to_the_right_and_frequency_up():
    time_s = np.arange(16_000) / 16_000
    late_and_high = np.where(time_s > 0.5, np.sin(2 * np.pi * 6000 * time_s), 0).astype("float32")
    brightness = np.asarray(ops.spectrogram_image(late_and_high, height=40, width=40)).sum(axis=-1)
    row, column = np.unravel_index(brightness.argmax(), brightness.shape)
    assert row < 20 and column >= 20


@pytest.mark.parametrize("layer_class", LAYERS)
def test_layer_saves_and_loads(layer_class, speech, tmp_path):
    inputs = keras.Input((16_000,))
    model = keras.Model(inputs, layer_class(SPECS[2])(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.layers[-1].spec == SPECS[2]
    np.testing.assert_array_equal(loaded.predict(speech, verbose=0), model.predict(speech, verbose=0))


def test_layer_stays_float32_under_mixed_precision(speech):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mfcc = layers.MFCC(SPEC)(speech)
    finally:
        keras.config.set_dtype_policy(policy)
    assert keras.backend.standardize_dtype(mfcc.dtype) == "float32"
    np.testing.assert_allclose(mfcc, ops.mfcc(speech, SPEC), atol=1e-3)


def test_works_inside_a_dataset_map(speech):
    mapped_ds = tf.data.Dataset.from_tensor_slices(speech).batch(2).map(lambda waveform: ops.mfcc(waveform, SPEC))
    np.testing.assert_allclose(np.concatenate(list(mapped_ds)), ops.mfcc(speech, SPEC), atol=1e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fft_length": 256}, "`fft_length` must be >= `frame_length`. Received: fft_length=256, frame_length=400"),
        ({"num_mfcc": 41}, "`num_mfcc` must be <= `num_mel_bins`. Received: num_mfcc=41"),
        ({"frame_step": 0}, "`frame_step` must be a positive integer. Received: frame_step=0"),
        ({"frame_length": 2.5}, "`frame_length` must be a positive integer. Received: frame_length=2.5"),
        ({"upper_edge_hz": 9000.0}, "0 <= lower < upper <= sample_rate / 2. Received: 20.0, 9000.0"),
        ({"mel_scale": "bark"}, "`mel_scale` must be one of"),
        ({"dynamic_range_db": 0.0}, "`dynamic_range_db` must be positive"),
    ],
)
def test_bad_specs(values, message):
    with pytest.raises(ValueError, match=message):
        FeatureSpec(**values)


def test_waveform_shorter_than_a_frame():
    with pytest.raises(ValueError, match="at least one frame of 400 samples"):
        ops.power_spectrogram(np.zeros(100, "float32"), FeatureSpec(centered=False))


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_on_other_backends(backend, speech, tmp_path):
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    np.save(tmp_path / "speech.npy", speech)
    code = f"""
import sys
import numpy as np
from kaggle_speech.features import ops
from kaggle_speech.models.tc_resnet import build_tc_resnet
speech = np.load({str(tmp_path / "speech.npy")!r})
probabilities = build_tc_resnet(12).predict(speech, verbose=0)
assert probabilities.shape == (4, 12) and np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
assert "tensorflow" not in sys.modules
arrays = (ops.mfcc(speech), ops.spectrogram_image(speech))
np.savez({str(tmp_path / "features.npz")!r}, *(np.asarray(array) for array in arrays))
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "KERAS_BACKEND": backend})
    arrays = np.load(tmp_path / "features.npz")
    np.testing.assert_allclose(arrays["arr_0"], ops.mfcc(speech), atol=2e-3)
    assert np.isclose(arrays["arr_1"], ops.spectrogram_image(speech), atol=0.03).mean() > 0.999


def test_levels_are_those_of_scipy(rng):
    waveform = (0.1 * rng.standard_normal(48_000) * np.linspace(0, 1, 48_000)).astype("float32")
    spec = FeatureSpec(frame_length=512, frame_step=240, num_mel_bins=56, lower_edge_hz=60, centered=False)
    window = scipy.signal.get_window("hann", 512)
    _, _, magnitude = scipy.signal.spectrogram(
        waveform, 16_000, window, 512, 512 - 240, detrend=False, scaling="spectrum", mode="magnitude"
    )
    decibels = 10 * np.log10(filters.mel_matrix(spec).T @ np.square(window.sum() * magnitude))
    expected = np.clip(1 + (decibels - decibels.max()) / 50, 0, 1)
    np.testing.assert_allclose(filters.log_mel_levels(waveform, spec, range_db=50.0).T, expected, atol=1e-4)
    assert filters.log_mel_levels(1e-5 * waveform, spec).max() < 0.1  # silence is not scaled up
