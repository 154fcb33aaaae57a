"""Train a transcriber: from a recipe to a finished run."""

import dataclasses
from pathlib import Path

import keras
import pandas as pd

from kaggle_speech import files
from kaggle_speech.data import splits, utterances
from kaggle_speech.data.utterance_batches import make_utterance_dataset
from kaggle_speech.evaluation.transcripts import decoders, summarize_transcripts, transcribe_utterances
from kaggle_speech.files import listing
from kaggle_speech.models import cost, registry, runs
from kaggle_speech.models.resnet_ctc import num_output_frames
from kaggle_speech.text import ngram
from kaggle_speech.text.alphabet import ALPHABET
from kaggle_speech.training import fit
from kaggle_speech.training.recipe import TranscriptRecipe

#: Fields of a recipe that are arguments of `training.compile_and_fit`.
FIT_OPTIONS = ("num_epochs", "learning_rate", "weight_decay", "warmup_fraction", "clip_norm", "average_epochs")
#: Training utterances that the curve of their error rate is made of.
NUM_WATCHED = 50
#: Training utterances whose errors are counted at the end, where there are more: a beam search takes its time.
MAX_JUDGED = 2000


def train_transcriber(recipe, utterances_df, run_dir, *, bad_df=None, overwrite=False):
    """Train a model on all speakers but some, and count its errors on both.

    The last epoch counts: nobody's speech chooses one. A killed run continues where it stopped; a finished one of the
    same recipe and utterances is not trained again.

    Args:
        recipe: `TranscriptRecipe`.
        utterances_df: from `utterances.index_utterances`.
        run_dir: folder of the run (see `runs`); the language model of the training transcripts goes there, too.
        bad_df: utterances that cannot be used, to be listed in the folder's `left_out.csv` with those of unfit lengths.
        overwrite: set a run of another recipe or of other utterances aside (see `runs.start_run`).

    Returns:
        dict, what `metrics.json` holds: minutes, and `transcript_evaluation.summarize` of both splits (of the training
        utterances `MAX_JUDGED` at most).

    Raises:
        ValueError: the recipe's model makes no transcripts, there are too few speakers or no utterances that fit, or
            the folder holds a run of another recipe or of other utterances.
    """
    if recipe.model.split(",")[0] not in registry.TRANSCRIBERS:
        raise ValueError(f"`model` must be one of {sorted(registry.TRANSCRIBERS)}. Received: {recipe.model!r}")
    train_df, val_df, unfit_df = _split(recipe, utterances_df)
    fit.set_seed(recipe.seed)
    model = registry.build_model(recipe.model, len(ALPHABET), precision=recipe.precision)
    settings = dataclasses.asdict(recipe) | {
        "architecture": cost.architecture_fingerprint(model),
        "data": utterances.utterances_fingerprint(pd.concat([train_df, val_df])),
    }
    defaults = dataclasses.asdict(TranscriptRecipe(recipe.model)) | {"architecture": settings["architecture"]}
    if runs.is_finished(run_dir, ALPHABET, settings, defaults):
        return files.read_json(Path(run_dir) / "metrics.json")
    run_dir = runs.start_run(run_dir, ALPHABET, settings, defaults=defaults, overwrite=overwrite)
    left_out_df = pd.concat([unfit_df] if bad_df is None else [bad_df, unfit_df])
    if len(left_out_df):
        left_out_df.to_csv(run_dir / "left_out.csv", index=False)
    language_model = ngram.count_ngrams(train_df["text"], recipe.ngram_order)
    language_model.write(run_dir / ngram.FILE_NAME)
    history_df = _fit(recipe, model, train_df, val_df, run_dir)
    model = registry.float32_copy(model, recipe.model, len(ALPHABET))
    metrics = {"training_minutes": round(history_df["seconds"].sum() / 60, 2)}
    ways = decoders(language_model)
    for split, split_df in (("train", _some(train_df, MAX_JUDGED)), ("val", val_df)):
        transcripts_df = transcribe_utterances(model, split_df, ways)
        metrics[split] = summarize_transcripts(transcripts_df, ways)
        transcripts_df.to_csv(run_dir / f"transcripts_{split}.csv", index=False)
    runs.finish_run(run_dir, model, metrics)
    return files.read_json(run_dir / "metrics.json")


def _split(recipe, utterances_df):
    """The training utterances, the held-out ones, and `name, path, error` of those that cannot be trained on."""
    utterances_df = splits.split_speakers(utterances_df, recipe.num_val_speakers)
    is_val = utterances_df["split"] == "val"  # any length can be judged
    train_df, unfit_df = utterances.select_utterances(
        utterances_df[~is_val],
        lambda num_samples: num_output_frames(int(num_samples / (1 + recipe.speed_fraction))),
        max_seconds=recipe.max_seconds,
    )
    if train_df.empty:
        raise ValueError(
            f"`utterances_df` must hold training utterances of at most {recipe.max_seconds:g} s (`max_seconds`). "
            f"Received: {len(unfit_df)}, none of which fits:\n  {listing(list(unfit_df['error']))}"
        )
    return train_df, utterances_df[is_val], unfit_df


def _some(utterances_df, num_utterances, seed=0):
    """So many utterances, drawn; all where there are not more."""
    return utterances_df.sample(min(num_utterances, len(utterances_df)), random_state=seed)


def _fit(recipe, model, train_df, val_df, run_dir):
    """Train, and watch the error rates of some training utterances and of the held-out ones."""
    train_ds = make_utterance_dataset(
        train_df,
        recipe.batch_size,
        shuffle=True,
        speed_fraction=recipe.speed_fraction,
        gain_db=recipe.gain_db,
        seed=recipe.seed,
    )
    watched_df = _some(train_df, NUM_WATCHED, recipe.seed)

    def judge(model):
        found = ((split, transcribe_utterances(model, df)) for split, df in (("train", watched_df), ("val", val_df)))
        return {
            f"{split}_cer": summarize_transcripts(transcripts_df)["greedy"]["cer"] for split, transcripts_df in found
        }

    options = {name: getattr(recipe, name) for name in FIT_OPTIONS}
    return fit.compile_and_fit(
        model, train_ds, None, run_dir, loss=keras.losses.CTC(), judge=judge, monitor=None, **options
    )
