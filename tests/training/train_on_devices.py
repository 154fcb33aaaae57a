"""Train on the devices that Keras sees: a program for the tests, which start it in processes of their own.

python train_on_devices.py TASK DATA OUT DEVICES [--kill-at EPOCH]
"""

import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from fakes import killed_at

from kaggle_speech.audio import write_wav
from kaggle_speech.data.clips import read_clips_table
from kaggle_speech.training.recipe import Recipe, TranscriptRecipe
from kaggle_speech.training.transcripts import train_transcriber
from kaggle_speech.training.words import train

#: Networks of few layers: most of the time goes to compilation.
WORDS = Recipe("cnn,num_filters=(4,8)", num_epochs=3, batch_size=32)
TRANSCRIPTS = TranscriptRecipe(
    "resnet_ctc,num_filters=8,num_residual_blocks=1,num_recurrent_blocks=1,num_units=8",
    num_epochs=2,
    batch_size=4,
    num_val_speakers=1,
    speed_fraction=0,
)


def utterances(folder):
    """Ten utterances of noise of one length, so that one graph is compiled; one speaker is held out."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    rows = []
    for number in range(10):
        path = folder / f"{number}.wav"
        write_wav(path, 0.1 * rng.standard_normal(16_000))
        text = "".join(rng.choice(list("ab "), 5)).strip().ljust(5, "c")
        speaker = str(number // 9)
        row = {"name": path.name, "path": str(path), "text": text, "speaker": speaker}
        rows.append(row | {"num_samples": 16_000, "split": ""})
    return pd.DataFrame(rows)


def main(task, data_dir, run_dir, devices, *options):
    if options:
        keras.Model.fit = killed_at(keras.Model.fit, int(options[1]))
    devices = devices if devices == "all" else int(devices)
    if task == "words":
        clips_df, _ = read_clips_table(data_dir, progress=False)
        train(WORDS, clips_df, run_dir, devices=devices)
    else:
        train_transcriber(TRANSCRIPTS, utterances(Path(data_dir)), run_dir, devices=devices)


if __name__ == "__main__":
    main(*sys.argv[1:])
