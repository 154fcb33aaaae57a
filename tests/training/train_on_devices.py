"""Train on the devices that Keras sees: a program for the tests, which start it in processes of their own.

python train_on_devices.py TASK DATA OUT [--kill-at EPOCH] DEVICES ...

One training after another, each in a folder of OUT that is named after its number of devices.
"""

import dataclasses
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from fakes import killed_at

from kaggle_speech.audio import write_wav
from kaggle_speech.data.clips import read_clips_table
from kaggle_speech.training.comparison import compare
from kaggle_speech.training.recipe import Recipe, TranscriptRecipe
from kaggle_speech.training.transcripts import train_transcriber
from kaggle_speech.training.words import train

#: Networks of few layers: most of the time goes to compilation. Adam divides a gradient that is zero but for rounding
#: by its size, so that the rounding of sums over devices grows from step to step; it does not with SGD.
WORDS = Recipe("cnn,num_filters=(4,8)", num_epochs=3, batch_size=32, optimizer="sgd", learning_rate=0.02)
#: The recipe as it is, augmented on the devices, and with the run of the first on one device for a teacher.
WORD_TASKS = ("words", "augmented", "taught")
TRANSCRIPTS = TranscriptRecipe(
    "resnet_ctc,num_filters=8,num_residual_blocks=1,num_recurrent_blocks=1,num_units=8",
    num_epochs=2,
    batch_size=4,
    num_val_speakers=1,
    speed_fraction=0,
    optimizer="sgd",
    learning_rate=0.01,
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


def main(task, data_dir, out_dir, *numbers):
    if numbers[0] == "--kill-at":
        keras.Model.fit = killed_at(keras.Model.fit, int(numbers[1]))
        numbers = numbers[2:]
    for number in numbers:
        devices = number if number == "all" else int(number)
        if task == "compared":
            recipes = {"words": WORDS, "short": dataclasses.replace(WORDS, num_epochs=1)}
            clips_df, _ = read_clips_table(data_dir, progress=False)
            for _ in range(2):  # what the first call trained, the second reads
                compare(recipes, 1, clips_df, Path(out_dir, f"{number}.csv"), devices=devices)
        elif task in WORD_TASKS:
            clips_df, _ = read_clips_table(data_dir, progress=False)
            recipe = dataclasses.replace(WORDS, augment_on_device=task == "augmented")
            teachers = [Path(out_dir).parent / "words" / "1"] if task == "taught" else []
            train(recipe, clips_df, Path(out_dir, number), teachers=teachers, devices=devices)
        else:
            train_transcriber(TRANSCRIPTS, utterances(Path(data_dir)), Path(out_dir, number), devices=devices)


if __name__ == "__main__":
    main(*sys.argv[1:])
