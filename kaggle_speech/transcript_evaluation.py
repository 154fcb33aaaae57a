"""Utterances whose transcripts are known: what a model makes of them, and how much of it is wrong. No TensorFlow."""

import numpy as np

from kaggle_speech import ctc
from kaggle_speech.error_rates import transcript_metrics
from kaggle_speech.progress import progress_bar
from kaggle_speech.utterance_batches import plan_batches, read_batch


def decoders(language_model=None):
    """The ways to read a model's outputs, by name: `greedy`, `beam`, and `beam_ngram` where there is a language model.

    Args:
        language_model: `ngram.NGram`.

    Returns:
        dict of functions without arguments, each of which makes a decoder of `ctc`.
    """
    found = {"greedy": ctc.GreedyDecoder, "beam": ctc.BeamDecoder}
    if language_model is not None:
        found["beam_ngram"] = lambda: ctc.BeamDecoder(language_model=language_model)
    return found


def utterance_log_probabilities(model, utterances_df, batch_size=16):
    """What a model makes of whole utterances, those of about the same length together.

    Args:
        model: as in `transcription.StreamingTranscriber`.
        utterances_df: frame with the columns `path, num_samples`.
        batch_size: utterances at a time.

    Returns:
        generator of `(row, log_probabilities)`: each row number once, and `(frames, characters)`; padding says blank.

    Raises:
        AudioError, OSError: a file cannot be read; names it.
    """
    paths = list(utterances_df["path"])
    for rows in plan_batches(utterances_df["num_samples"], batch_size):
        waveform, num_samples = read_batch([paths[row] for row in rows])
        outputs = np.asarray(model.predict_on_batch({"waveform": waveform, "num_samples": num_samples}))
        yield from zip(rows, outputs, strict=True)


def transcribe_utterances(model, utterances_df, decoders=None, *, progress=False):
    """What a model understands of utterances.

    Args:
        model: as in `utterance_log_probabilities`.
        utterances_df: frame with the columns `name, speaker, path, text, num_samples`.
        decoders: dict of ways to read its outputs; None for the best path, `greedy`.
        progress: show a progress bar.

    Returns:
        pandas DataFrame, the rows of `utterances_df`: `name, speaker, text`, and a column for each of `decoders`.
    """
    decoders = decoders or {"greedy": ctc.GreedyDecoder}
    transcripts_df = utterances_df[["name", "speaker", "text"]].reset_index(drop=True)
    texts = {name: [""] * len(utterances_df) for name in decoders}
    outputs = utterance_log_probabilities(model, utterances_df)
    for row, log_probabilities in progress_bar(
        outputs, desc="transcribing", total=len(utterances_df), unit="utterance", progress=progress
    ):
        for name, make_decoder in decoders.items():
            decoder = make_decoder()
            decoder.process(log_probabilities)
            decoder.finish()
            texts[name][row] = " ".join(decoder.text.split())
    return transcripts_df.assign(**texts)


def summarize(transcripts_df, decoders=("greedy",)):
    """Error rates of each decoder of a model's outputs.

    Args:
        transcripts_df: from `transcribe_utterances`; columns of other names may have been added.
        decoders: names of the columns that hold what a decoder read.

    Returns:
        dict of what `error_rates.transcript_metrics` gives, by the name of the decoder.
    """
    return {name: transcript_metrics(transcripts_df["text"], transcripts_df[name]) for name in decoders}
