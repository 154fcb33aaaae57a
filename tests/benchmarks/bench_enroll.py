"""How well a few recordings make a word that the network never heard.

    python -m kaggle_speech train --data DIR --left-out-words bed five happy one --out runs/left_12
    python -m kaggle_speech export --data DIR --run runs/left_12
    python tests/benchmarks/bench_enroll.py --data DIR --run runs/left_12

Recordings are drawn from training speakers, a few for each word and several times over; validation speakers are asked.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_speech import audio, files
from kaggle_speech.data import archives, clips
from kaggle_speech.inference import personal_words
from kaggle_speech.inference.answers import most_probable
from kaggle_speech.inference.runtimes import OnnxModel
from kaggle_speech.labels import word_to_label

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", help="folder of clips or archives")
parser.add_argument("--run", type=Path, required=True, help="finished run with words left out, and its model.onnx")
parser.add_argument("--num-recordings", type=int, nargs="+", default=[1, 3, 5, 10], help="of each word")
parser.add_argument("--num-draws", type=int, default=20, help="of recordings")
parser.add_argument("--threshold", type=float, nargs="+", default=[0.8, 0.85, 0.9, 0.95], help="cosine similarity")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()


class Cached:
    """A model that has been asked: clips are given by their rows."""

    def __init__(self, model, clips_df):
        waveform, errors = audio.read_clips(list(clips_df["path"]))
        assert not errors, errors
        batches = [model.predict_with_embedding(waveform[at : at + 64]) for at in range(0, len(waveform), 64)]
        self.probabilities, self.embedding = map(np.concatenate, zip(*batches, strict=True))
        self.vocabulary, self.fingerprint = model.vocabulary, model.fingerprint

    def predict_with_embedding(self, rows):
        return self.probabilities[rows], self.embedding[rows]


words = files.read_json(args.run / "run.json")["settings"]["left_out_words"]
clips_df, _ = clips.check_clips(clips.index_clips(archives.prepare_data(args.data)), progress=False)
is_left_out = clips_df["word"].isin(words)
val_df = clips.validation_clips(clips_df)
val_df = pd.concat([val_df[~val_df["word"].isin(words)], clips_df[is_left_out & (clips_df["split"] == "val")]])
train_df = clips_df[is_left_out & (clips_df["split"] == "train")].reset_index(drop=True)
model = OnnxModel(args.run / "model.onnx", embedding=True)
train, val = Cached(model, train_df), Cached(model, val_df)
said, is_command = val_df["word"].to_numpy(), val_df["label"].ne("unknown").to_numpy() & ~val_df["word"].isin(words)
right_before = most_probable(val.probabilities, val.vocabulary)[is_command] == val_df["label"][is_command]

rng, rows = np.random.default_rng(args.seed), []
for num_recordings in args.num_recordings:
    for _ in range(args.num_draws):
        enrolled = None
        for word in words:
            drawn = rng.choice(np.flatnonzero(train_df["word"] == word), num_recordings, replace=False)
            enrolled = personal_words.enroll(train, word, drawn, enrolled)
        for threshold in args.threshold:
            changed = personal_words.PersonalWords(enrolled.words, enrolled.prototypes, enrolled.model, threshold)
            personal = personal_words.PersonalModel(val, changed)
            answers = most_probable(personal.predict_on_batch(np.arange(len(val_df))), personal.vocabulary)
            labels = np.array([answer if answer in words else word_to_label(answer) for answer in answers])
            is_enrolled = np.isin(said, words)
            row = {"recordings": num_recordings, "threshold": threshold}
            row["heard"] = (labels == said)[is_enrolled].mean()
            row["taken for another of them"] = (np.isin(labels, words) & (labels != said))[is_enrolled].mean()
            row["other clips taken for one"] = np.isin(labels, words)[~is_enrolled].mean()
            row["commands right"] = (labels[is_command] == val_df["label"][is_command]).mean()
            rows.append(row)
print(f"{args.run}: {', '.join(words)}; {(~is_enrolled).sum()} other clips, {is_enrolled.sum()} of these words")
print(f"commands and silence right before: {right_before.mean():.4f}")
print(pd.DataFrame(rows).groupby(["recordings", "threshold"]).mean().round(3).to_string())
