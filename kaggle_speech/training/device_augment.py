"""Augmentation where the network is computed: the input pipeline only reads clips and draws numbers.

On a GPU the small networks train on more clips a second than a few CPU cores augment. The numbers are those of
`data.augment.draw_changes`, so that the same seed gives the same clips in both places.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kaggle_speech.audio import INT16_SCALE

#: A tensor of the Keras backend.
Tensor = Any


def shift_and_speed(waveform: Tensor, shift: Tensor, speed: Tensor) -> Tensor:
    """`data.augment.shift_and_speed`: move clips in time and play them faster or slower about their middle.

    Shape: `(batch, samples)` -> the same; samples from outside the clip are zero.

    Args:
        waveform: float.
        shift: `(batch,)`, samples; positive is later.
        speed: `(batch,)`, above 1 is faster and higher.
    """
    num_samples = waveform.shape[1]
    middle = (num_samples - 1) / 2
    # From the middle, where float32 is the most exact.
    position = (ops.arange(num_samples, dtype="float32") - middle - shift[:, None]) * speed[:, None] + middle
    below = ops.floor(position)
    share = position - below
    index = ops.cast(below, "int32")
    first, second = (
        ops.take_along_axis(waveform, ops.clip(index + offset, 0, num_samples - 1), axis=1) for offset in (0, 1)
    )
    is_inside = ops.logical_and(position >= 0, position <= num_samples - 1)
    return ops.where(is_inside, (1 - share) * first + share * second, 0.0)


def apply_changes(clips: Tensor, changes: Mapping[str, Tensor]) -> Tensor:
    """What `data.augment.augment_waveforms` does with the same changes.

    Shape: `(batch, samples)` int16 -> `(batch, samples)` float32 in [-1, 1].

    Args:
        clips: the clips as they are read.
        changes: from `data.augment.draw_changes`.
    """
    waveform = ops.cast(clips, "float32") / INT16_SCALE
    waveform = shift_and_speed(waveform, changes["shift"], changes["speed"])
    waveform *= 10.0 ** (changes["gain_db"][:, None] / 20)
    if "noise" in changes:
        noise = ops.cast(changes["noise"], "float32") / INT16_SCALE
        noise_power = ops.mean(ops.square(noise), axis=1) * 10.0 ** (changes["snr_db"] / 10)
        power = ops.mean(ops.square(waveform), axis=1)
        has_noise = noise_power > 0
        ratio = ops.where(has_noise, power / ops.where(has_noise, noise_power, 1.0), 0.0)
        waveform += ops.sqrt(ratio)[:, None] * noise
    return ops.clip(waveform, -1.0, 1.0)


@keras.saving.register_keras_serializable("kaggle_speech")
class ApplyChanges(keras.layers.Layer):
    """`apply_changes` as a layer: a dict of `clips` and the changes to waveforms, in float32."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**(options | {"dtype": "float32", "autocast": False}))

    def call(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return apply_changes(inputs["clips"], inputs)

    def compute_output_shape(self, input_shape: Mapping[str, tuple]) -> tuple:
        return input_shape["clips"]


def with_changes(model: keras.Model, element: Mapping[str, Any]) -> keras.Model:
    """A model that changes its clips first; the weights are those of the model.

    Args:
        model: waveform in.
        element: inputs of a dataset with `changes_apart` (`data.clip_batches.make_dataset`), or their specs.
    """
    inputs = {name: keras.Input(value.shape[1:], dtype=value.dtype.name, name=name) for name, value in element.items()}
    outputs = model(ApplyChanges(name="apply_changes")(inputs))
    changed_model = keras.Model(inputs, outputs, name=model.name)
    changed_model.dtype_policy = model.dtype_policy
    return changed_model
