"""Train a transcriber: from a recipe to a finished run."""

import dataclasses
from pathlib import Path
from typing import Any, cast

import keras
import pandas as pd

from kaggle_speech.data import splits, utterances
from kaggle_speech.data.made_noise import make_noise
from kaggle_speech.data.rooms import make_rooms
from kaggle_speech.data.utterance_batches import make_utterance_dataset
from kaggle_speech.evaluation.transcripts import decoders, summarize_transcripts, transcribe_utterances
from kaggle_speech.files import listing
from kaggle_speech.models import cost, registry, runs
from kaggle_speech.models.resnet_ctc import num_output_frames
from kaggle_speech.text import ngram
from kaggle_speech.text.alphabet import ALPHABET
from kaggle_speech.training import fit
from kaggle_speech.training.ctc_loss import CTC
from kaggle_speech.training.devices import is_first_process, open_run, use_devices
from kaggle_speech.training.recipe import TranscriptRecipe

#: Number of training utterances whose error rate is in the history.
NUM_WATCHED = 50
#: Highest number of training utterances whose errors are counted at the end: a beam search is slow.
MAX_EVALUATED = 2000
#: Name of the file of utterances that are not trained on, each with the reason, in the folder of the run.
LEFT_OUT_NAME = "left_out.csv"


def train_transcriber(
    recipe: TranscriptRecipe,
    utterances_df: pd.DataFrame,
    run_dir: Path | str,
    *,
    devices: int | str | None = None,
    overwrite: bool = False,
    bad_df: pd.DataFrame | None = None,
    initial: Path | str | None = None,
) -> dict:
    """Train a transcriber and count its errors on training and on held-out speakers.

    The last epoch counts, so no held-out speech chooses an epoch. A killed run continues where it stopped; a finished
    one of the same recipe and utterances is not trained again.

    Args:
        recipe: `TranscriptRecipe`.
        utterances_df: readable utterances (`data.utterances`), of all speakers.
        run_dir: folder of the run (see `models.runs`); the language model of the training transcripts goes there, too.
        devices: number of devices that share every batch, or "all", with Keras on JAX; None for one. A run may be
            continued on another number of devices. Of several hosts (see `training.devices`) each calls this function.
        overwrite: set a run of another recipe or of other utterances aside, instead of raising.
        bad_df: utterances that cannot be used, to be listed in `left_out.csv` of the folder with those of unfit
            lengths.
        initial: folder of a run of the same network, whose weights to start from; a published one has none.

    Returns:
        dict, the content of `metrics.json`: minutes, error rates of both splits by decoder (of the training utterances
        `MAX_EVALUATED` at most), settings, versions.

    Raises:
        ValueError: there are too few speakers or no utterances that fit, the folder holds a run of another recipe or of
            other utterances, or there are not so many devices for batches of that size.

    Examples:
        >>> utterances_df = pd.DataFrame(
        ...     {"path": ["a.flac", "b.flac"], "text": ["go", "stop"], "speaker": ["84", "84"], "split": ["", ""]}
        ... )
        >>> train_transcriber(TranscriptRecipe("resnet_ctc", num_val_speakers=1), utterances_df, "runs/mine")
        Traceback (most recent call last):
            ...
        ValueError: `num_val_speakers` must be at least 1 and below the number of speakers. Received: 1 of 1
    """
    train_df, val_df, unfit_df = _split(recipe, utterances_df)
    fit.set_seed(recipe.seed)
    use_devices(devices, recipe.batch_size)  # before the model: JAX cannot connect hosts later
    model = registry.build_model(recipe.model, len(ALPHABET), precision=recipe.precision)
    settings = _settings(recipe, model, pd.concat([train_df, val_df]))
    if initial is not None:
        settings["initial"] = runs.model_fingerprint(initial)
    with open_run(
        run_dir,
        task="transcripts",
        vocabulary=ALPHABET,
        settings=settings,
        defaults=_defaults(recipe, settings),
        overwrite=overwrite,
    ) as run:
        if run.metrics is not None:
            return run.metrics
        left_out_df = pd.concat([unfit_df] if bad_df is None else [bad_df, unfit_df])
        if len(left_out_df) and is_first_process():
            left_out_df.to_csv(run.path / LEFT_OUT_NAME, index=False)
        if initial is not None:
            fit.start_from(model, initial)
        history_df = _fit(recipe, model, train_df, val_df, run.path, devices)
        if is_first_process():
            model = registry.float32_copy(model, recipe.model, len(ALPHABET))
            metrics: dict[str, Any] = {"training_minutes": round(history_df["seconds"].sum() / 60, 2)}
            language_model = ngram.count_ngrams(train_df["text"], recipe.ngram_order)
            language_model.write(run.path / ngram.FILE_NAME)
            named_decoders = decoders(language_model, beam_width=16)  # in a quarter of the time
            for split, split_df in (("train", _sample(train_df, MAX_EVALUATED)), ("val", val_df)):
                transcripts_df = transcribe_utterances(model, split_df, named_decoders)
                metrics[split] = summarize_transcripts(transcripts_df, named_decoders)
                transcripts_df.to_csv(run.path / f"transcripts_{split}.csv", index=False)
            run.finish(model, metrics)
    return cast(dict, run.metrics)


def _settings(recipe: TranscriptRecipe, model: keras.Model, utterances_df: pd.DataFrame) -> dict:
    """Everything that the result of a training depends on, JSON-able."""
    return dataclasses.asdict(recipe) | {
        "architecture": cost.architecture_fingerprint(model),
        "data": utterances.utterances_fingerprint(utterances_df),
    }


def _defaults(recipe: TranscriptRecipe, settings: dict) -> dict:
    """Values of the settings that older versions lack: later fields, and the architecture, which is the same."""
    return dataclasses.asdict(TranscriptRecipe(recipe.model)) | {"architecture": settings["architecture"]}


def _split(recipe: TranscriptRecipe, utterances_df: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The training utterances, the held-out ones, and `name, path, error` of those that cannot be trained on."""
    utterances_df = splits.split_speakers(utterances_df, recipe.num_val_speakers)
    train_df, unfit_df = utterances.select_utterances(
        utterances_df[utterances_df["split"] == "train"],
        lambda num_samples: num_output_frames(int(num_samples / (1 + recipe.speed_fraction))),
        max_seconds=recipe.max_seconds,
    )
    if train_df.empty:
        raise ValueError(
            f"`utterances_df` must hold training utterances of at most {recipe.max_seconds:g} s (`max_seconds`). "
            f"Received: {len(unfit_df)}, none of which fits:\n  {listing(list(unfit_df['error']))}"
        )
    # Utterances of any length can be evaluated.
    return train_df, utterances_df[utterances_df["split"] == "val"], unfit_df


def _sample(utterances_df: pd.DataFrame, num_utterances: int, seed: int = 0) -> pd.DataFrame:
    """A random sample of utterances, or all where there are fewer."""
    return utterances_df.sample(min(num_utterances, len(utterances_df)), random_state=seed)


def _surroundings(recipe: TranscriptRecipe, train_df: pd.DataFrame) -> dict[str, Any]:
    """Rooms and noise of the training, as arguments of `read_batch`: none where no utterance gets any."""
    surroundings: dict[str, Any] = {}
    if recipe.room_fraction:
        surroundings |= {"rooms": make_rooms(seed=recipe.seed), "room_fraction": recipe.room_fraction}
    if recipe.noise_fraction:
        surroundings |= {
            "noise": make_noise(60 * recipe.made_noise_minutes, recipe.seed, train_df),
            "noise_fraction": recipe.noise_fraction,
            "min_snr_db": recipe.min_snr_db,
            "max_snr_db": recipe.max_snr_db,
        }
    return surroundings


def _fit(
    recipe: TranscriptRecipe,
    model: keras.Model,
    train_df: pd.DataFrame,
    val_df: pd.DataFrame,
    run_dir: Path,
    devices: int | str | None,
) -> pd.DataFrame:
    """Train, with the error rates of some training utterances and of the held-out ones in the history."""
    train_ds = make_utterance_dataset(
        train_df,
        recipe.batch_size,
        shuffle=True,
        speed_fraction=recipe.speed_fraction,
        gain_db=recipe.gain_db,
        whole_batches=use_devices(devices, recipe.batch_size) is not None,
        seed=recipe.seed,
        **_surroundings(recipe, train_df),
    )
    watched = {"train": _sample(train_df, NUM_WATCHED, recipe.seed), "val": val_df}

    def error_rates(model: keras.Model) -> dict[str, float]:
        summaries = {split: summarize_transcripts(transcribe_utterances(model, df)) for split, df in watched.items()}
        return {f"{split}_cer": summary["greedy"]["cer"] for split, summary in summaries.items()}

    return fit.fit(
        model,
        train_ds,
        None,
        run_dir,
        options=recipe,
        loss=CTC(),
        epoch_metrics=error_rates,
        monitor=None,
        devices=devices,
    )
