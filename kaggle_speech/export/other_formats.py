"""LiteRT and SavedModel files of trained models."""

import functools

import keras
import tensorflow as tf

from kaggle_speech.audio import CLIP_SAMPLES
from kaggle_speech.export.check import predict_clips, write_checked
from kaggle_speech.inference.runtimes import LiteRTModel, SavedModel


def export_litert(model, out_path, waveform, expected, *, precision="float32"):
    """Write a LiteRT (TFLite) file that takes one clip at a time. Args, Returns, Raises: as `export_onnx`."""
    waveform_input = keras.Input(batch_shape=(1, CLIP_SAMPLES))  # recurrent layers convert for a fixed batch only
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(waveform_input, model(waveform_input)))
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    def write(path):
        path.write_bytes(converter.convert())

    return write_checked(out_path, write, LiteRTModel, predict_clips(waveform), expected, precision)


def export_saved_model(model, out_dir, waveform, expected):
    """Write a SavedModel folder, whose `serve` takes any number of clips. Args, Returns, Raises: as `export_onnx`."""
    export = functools.partial(model.export, verbose=False)
    return write_checked(out_dir, export, SavedModel, predict_clips(waveform), expected, "float32")
