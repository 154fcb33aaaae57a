"""diagram.py: the blocks of a network hold all of it, in order."""

import keras
import numpy as np
import pytest
from keras import layers

from kaggle_speech.models import cost
from kaggle_speech.models.architectures import architecture_names
from kaggle_speech.models.diagram import block_table
from kaggle_speech.models.registry import build_model


@pytest.mark.parametrize("name", [*architecture_names(), "resnet_ctc,size=medium"])
def test_every_parameter_is_in_one_block(name):
    model = build_model(name, 12)
    blocks_df = block_table(model)
    assert blocks_df["parameters"].sum() == cost.num_parameters(model)
    assert list(blocks_df["kind"])[:2] == ["input", "features"]
    assert blocks_df["shape"].iloc[-1].split(" x ")[-1] == "12"
    assert len(blocks_df) <= 24  # a page


def test_layers_are_told_by_what_counts():
    blocks_df = block_table(build_model("cnn_bigru", 12))
    first, _, recurrent = blocks_df["block"][2:5]
    assert first == "Conv2D 11x41, 32 filters, stride 2"
    assert recurrent == "bidirectional GRU 128 units each way"
    assert blocks_df["repeats"][4] == 2 and blocks_df["details"][4] == "Dropout 0.3"
    assert blocks_df["details"][2] == "BatchNormalization, relu"
    assert list(blocks_df["shape"][1:5]) == ["101 x 40", "51 x 20 x 32", "51 x 10 x 32", "51 x 256"]


def test_branches_are_one_block():
    blocks_df = block_table(build_model("tc_resnet", 12))
    residual_df = blocks_df[blocks_df["block"] == "residual block"]
    assert list(residual_df["shape"]) == ["51 x 24", "26 x 32", "13 x 48"]
    parts = residual_df["details"].iloc[0].split("; ")
    assert sorted(parts) == sorted(
        ["Conv1D 9, 24 filters, stride 2", "Conv1D 9, 24 filters", "Conv1D 1, 24 filters, stride 2"]
    )


def test_masks_do_not_tie_blocks_together():
    """Each of the residual blocks and of the GRU layers of a transcriber takes the mask of the first frames."""
    blocks_df = block_table(build_model("resnet_ctc", 29)).set_index("block")
    assert blocks_df.loc["residual block", "repeats"] == 2
    assert blocks_df.loc["bidirectional GRU 128 units each way", "repeats"] == 2


def test_a_model_within_a_model_is_one_block():
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(4, activation="relu"), layers.Dense(2)], name="inner")
    waveform = keras.Input((8,), name="waveform")
    blocks_df = block_table(keras.Model(waveform, layers.Dense(1)(inner(waveform))))
    assert list(blocks_df["block"]) == ["waveform", "inner, 2 layers", "Dense 1"]
    assert list(blocks_df["parameters"]) == [0, 4 * 8 + 4 + 2 * 4 + 2, 3]


def test_a_fork_without_layers_in_a_branch():
    """The input itself is one of the branches."""
    x = keras.Input((8,), name="waveform")
    y = layers.Add()([layers.Dense(8)(layers.Activation("relu")(x)), x])
    blocks_df = block_table(keras.Model(x, layers.Dense(2)(y)))
    assert list(blocks_df["block"]) == ["waveform", "residual block", "Dense 2"]
    np.testing.assert_array_equal(blocks_df["parameters"], [0, 72, 18])
