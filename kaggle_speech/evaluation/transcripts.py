"""Error rates of transcripts: words and characters, by utterance and in all."""

import numpy as np
import pandas as pd

from kaggle_speech.data.utterance_batches import plan_batches, read_batch
from kaggle_speech.progress import progress_bar
from kaggle_speech.text.decoders import BeamDecoder, GreedyDecoder


def utterance_error_rates(references, hypotheses):
    """Errors of each transcript: words and characters to substitute, delete and insert, by those that were said.

    Spaces are characters, but not those before the first and after the last word. With the numbers as weights,
    `evaluation.mean_intervals` gives error rates over all utterances and their intervals over speakers.

    Args:
        references: list of str, what was said; at least a word each.
        hypotheses: list of str, what was understood.

    Returns:
        DataFrame with a row for each utterance: `wer, cer` (above 1 where much was added), `num_words,
        num_characters` (of the references).

    Raises:
        ValueError: there are no utterances, not as many hypotheses, or a reference without a word.

    Examples:
        >>> utterance_error_rates(["go up"], ["go pup"])
           wer  cer  num_words  num_characters
        0  0.5  0.2          2               5
    """
    import jiwer

    references, hypotheses = list(references), list(hypotheses)
    if not references or len(references) != len(hypotheses):
        raise ValueError(
            "`references` and `hypotheses` must have a text for each utterance, at least one. "
            f"Received: {len(references)} references, {len(hypotheses)} hypotheses"
        )
    empty = [index for index, text in enumerate(references) if not text.strip()]
    if empty:
        raise ValueError(f"each of `references` must hold a word. Received: none in those of index {empty}")
    return pd.DataFrame(
        {
            "wer": [jiwer.wer(*pair) for pair in zip(references, hypotheses, strict=True)],
            "cer": [jiwer.cer(*pair) for pair in zip(references, hypotheses, strict=True)],
            "num_words": [len(text.split()) for text in references],
            "num_characters": [len(text.strip()) for text in references],
        }
    )


def transcript_metrics(references, hypotheses):
    """Error rates over all utterances: all errors by all that was said, so that long ones count more.

    Args, Raises: as in `utterance_error_rates`.

    Returns:
        dict: `wer, cer` (float), `num_utterances, num_words, num_characters`.

    Examples:
        >>> transcript_metrics(["go up", "stop"], ["go pup", "stop"])["cer"]  # 1 error in 9 characters
        0.1111111111111111
    """
    rates_df = utterance_error_rates(references, hypotheses)
    num_words, num_characters = rates_df["num_words"], rates_df["num_characters"]
    return {
        "wer": float((rates_df["wer"] * num_words).sum() / num_words.sum()),
        "cer": float((rates_df["cer"] * num_characters).sum() / num_characters.sum()),
        "num_utterances": len(rates_df),
        "num_words": int(num_words.sum()),
        "num_characters": int(num_characters.sum()),
    }


def decoders(language_model=None):
    """The ways to read a model's outputs, by name: `greedy`, `beam`, and `beam_ngram` where there is a language model.

    Args:
        language_model: `ngram.NGram`.

    Returns:
        dict of functions without arguments, each of which makes a decoder of `ctc`.
    """
    found = {"greedy": GreedyDecoder, "beam": BeamDecoder}
    if language_model is not None:
        found["beam_ngram"] = lambda: BeamDecoder(language_model=language_model)
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
    decoders = decoders or {"greedy": GreedyDecoder}
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


def summarize_transcripts(transcripts_df, decoders=("greedy",)):
    """Error rates of each decoder of a model's outputs.

    Args:
        transcripts_df: from `transcribe_utterances`; columns of other names may have been added.
        decoders: names of the columns that hold what a decoder read.

    Returns:
        dict of what `error_rates.transcript_metrics` gives, by the name of the decoder.
    """
    return {name: transcript_metrics(transcripts_df["text"], transcripts_df[name]) for name in decoders}
