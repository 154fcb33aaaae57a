"""LiteRT and SavedModel files of word recognisers."""

import functools
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kaggle_speech.audio import CLIP_SAMPLES
from kaggle_speech.export.check import Comparison, write_checked
from kaggle_speech.inference.runtimes import LiteRTModel, SavedModel


def export_litert(
    model: keras.Model, out_path: Path | str, comparison: Comparison, *, precision: str = "float32"
) -> np.ndarray:
    """Write a LiteRT (TFLite) file for one clip at a time; a file with other probabilities is not kept.

    Args:
        model: Keras model, waveform in, probabilities out.
        out_path: the `.tflite` file.
        comparison: clips to compare on, and the probabilities of the model.
        precision: `float32`; `float16` stores the weights in half the bytes.

    Returns:
        Probabilities of the file, `(clips, labels)`.

    Raises:
        ExportError: the probabilities of the file are not those of the model.
    """
    waveform_input = keras.Input(batch_shape=(1, CLIP_SAMPLES))  # recurrent layers convert for a fixed batch only
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(waveform_input, model(waveform_input)))
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    def write(path: Path) -> None:
        path.write_bytes(converter.convert())

    return write_checked(out_path, write, LiteRTModel, comparison, precision)


def export_saved_model(model: keras.Model, out_dir: Path | str, comparison: Comparison) -> np.ndarray:
    """Write a SavedModel folder, whose `serve` takes any number of clips; with other probabilities it is not kept.

    Args:
        model: Keras model, waveform in, probabilities out.
        out_dir: the folder.
        comparison: clips to compare on, and the probabilities of the model.

    Returns:
        Probabilities of the SavedModel, `(clips, labels)`.

    Raises:
        ExportError: the probabilities of the SavedModel are not those of the model.
    """
    export = functools.partial(model.export, verbose=False)
    return write_checked(out_dir, export, SavedModel, comparison, "float32")
