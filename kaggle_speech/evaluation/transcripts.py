"""Error rates of transcripts: words (WER) and characters (CER), of each utterance and over all of them."""

import collections
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kaggle_speech.data.utterance_batches import plan_batches, read_batch
from kaggle_speech.evaluation.intervals import mean_intervals
from kaggle_speech.progress import progress_bar
from kaggle_speech.streaming.stream import BatchModel
from kaggle_speech.text.decoders import BEAM_WIDTH, BeamDecoder, Decoder, GreedyDecoder, LanguageModel
from kaggle_speech.text.lexicon import Lexicon

#: Kinds of word errors, by the type of a chunk of jiwer's alignments.
ERROR_KINDS = {"substitute": "substitutions", "delete": "deletions", "insert": "insertions"}


def _align(references: Iterable[str], hypotheses: Iterable[str]) -> Any:
    """Alignments of the words, jiwer's output.

    Raises:
        ValueError: there are no utterances, the numbers of texts differ, or a reference has no word.
    """
    import jiwer

    references = list(references)
    hypotheses = list(hypotheses)
    if not references or len(references) != len(hypotheses):
        raise ValueError(
            "`references` and `hypotheses` must have a text for each utterance, at least one. "
            f"Received: {len(references)} references, {len(hypotheses)} hypotheses"
        )
    empty = [index for index, text in enumerate(references) if not text.strip()]
    if empty:
        raise ValueError(f"each of `references` must hold a word. Received: none in those of index {empty}")
    return jiwer.process_words(references, hypotheses)


def _count_errors(references: Iterable[str], hypotheses: Iterable[str]) -> pd.DataFrame:
    """Errors and lengths of each utterance.

    Columns: `word_errors, num_words, character_errors, num_characters`, and of the words `ERROR_KINDS`.
    """
    import jiwer

    references, hypotheses = list(references), list(hypotheses)
    words = _align(references, hypotheses)
    characters = jiwer.process_characters(references, hypotheses)
    kinds_df = pd.DataFrame([_count_kinds(alignment) for alignment in words.alignments])
    return kinds_df.assign(
        word_errors=kinds_df.sum(axis=1),
        num_words=[len(reference) for reference in words.references],
        character_errors=[sum(_count_kinds(alignment).values()) for alignment in characters.alignments],
        num_characters=[len(reference) for reference in characters.references],
    )


def _count_kinds(alignment: Sequence[Any]) -> dict[str, int]:
    """Number of errors of each kind in one of jiwer's alignments."""
    counts = dict.fromkeys(ERROR_KINDS.values(), 0)
    for chunk in alignment:
        if chunk.type != "equal":
            length = max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
            counts[ERROR_KINDS[chunk.type]] += length
    return counts


def utterance_error_rates(references: Iterable[str], hypotheses: Iterable[str]) -> pd.DataFrame:
    """Word and character error rate of each utterance.

    Spaces count as characters, except before the first and after the last word. With the lengths as weights,
    `intervals.mean_intervals` gives error rates over all utterances and their intervals over speakers.

    Args:
        references: spoken texts; at least a word each.
        hypotheses: recognised texts.

    Returns:
        DataFrame with a row for each utterance: `wer, cer` (errors by length of the reference, above 1 where much was
        inserted), `num_words, num_characters` (of the references).

    Raises:
        ValueError: there are no utterances, the numbers of texts differ, or a reference has no word.

    Source: `jiwer.wer` and `jiwer.cer`.

    Examples:
        >>> utterance_error_rates(["go up"], ["go pup"])
           wer  cer  num_words  num_characters
        0  0.5  0.2          2               5
    """
    counts_df = _count_errors(references, hypotheses)
    return pd.DataFrame(
        {
            "wer": counts_df["word_errors"] / counts_df["num_words"],
            "cer": counts_df["character_errors"] / counts_df["num_characters"],
            "num_words": counts_df["num_words"],
            "num_characters": counts_df["num_characters"],
        }
    )


def transcript_metrics(references: Iterable[str], hypotheses: Iterable[str]) -> dict[str, float | int]:
    """Word and character error rate over all utterances: all errors by the length of all references.

    Args:
        references: spoken texts; at least a word each.
        hypotheses: recognised texts.

    Returns:
        dict: `wer, cer` (float), `num_utterances, num_words, num_characters`, and the wrong words by kind:
        `substitutions, deletions, insertions`.

    Raises:
        ValueError: there are no utterances, the numbers of texts differ, or a reference has no word.

    Examples:
        >>> transcript_metrics(["go up", "stop"], ["go pup", "stop"])["cer"]  # 1 error in 9 characters
        0.1111111111111111
    """
    counts_df = _count_errors(references, hypotheses)
    totals = counts_df.sum()
    return {
        "wer": float(totals["word_errors"] / totals["num_words"]),
        "cer": float(totals["character_errors"] / totals["num_characters"]),
        "num_utterances": len(counts_df),
        "num_words": int(totals["num_words"]),
        "num_characters": int(totals["num_characters"]),
        **{kind: int(totals[kind]) for kind in ERROR_KINDS.values()},
    }


def error_intervals(transcripts_df: pd.DataFrame, decoders: Iterable[str] = ("greedy",)) -> pd.DataFrame:
    """Word and character error rate of each decoder over all utterances, with 95 % intervals over speakers.

    Args:
        transcripts_df: from `transcribe_utterances`: `speaker, text` and a column for each of `decoders`.
        decoders: names of the columns that hold the transcripts of a decoder.

    Returns:
        DataFrame by decoder: `wer, wer_low, wer_high, cer, cer_low, cer_high`.

    Raises:
        ValueError: see `utterance_error_rates`.

    Source: percentile intervals of `intervals.bootstrap_means`, lengths as weights. Intervals of a few speakers are
        too narrow.
    """
    rows = {}
    for decoder in decoders:
        rates_df = utterance_error_rates(transcripts_df["text"], transcripts_df[decoder])
        weights = rates_df[["num_words", "num_characters"]]
        found_df = mean_intervals(rates_df[["wer", "cer"]], transcripts_df["speaker"], weights)
        rows[decoder] = {
            f"{rate}{suffix}": found_df.loc[place, column]
            for place, rate in enumerate(("wer", "cer"))
            for suffix, column in (("", "mean"), ("_low", "low"), ("_high", "high"))
        }
    return pd.DataFrame(rows).T


def missed_words(references: Iterable[str], hypotheses: Iterable[str]) -> pd.DataFrame:
    """How often each spoken word is not recognised, those that are missed most often first.

    Args:
        references: spoken texts; at least a word each.
        hypotheses: recognised texts.

    Returns:
        DataFrame by `word`, of the missed ones: `num_said, num_missed, heard_as` (the word that most often stands in
        its place; empty where it is mostly left out).

    Raises:
        ValueError: see `utterance_error_rates`.

    Examples:
        >>> missed_words(["go up", "up and up"], ["go pup", "pup and"]).reset_index().to_dict("list")
        {'word': ['up'], 'num_said': [3], 'num_missed': [3], 'heard_as': ['pup']}
    """
    words = _align(references, hypotheses)
    num_said = collections.Counter(word for reference in words.references for word in reference)
    heard: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for reference, hypothesis, alignment in zip(words.references, words.hypotheses, words.alignments, strict=True):
        for chunk in alignment:
            if chunk.type not in ("substitute", "delete"):
                continue
            said = reference[chunk.ref_start_idx : chunk.ref_end_idx]
            for word, other in itertools.zip_longest(said, hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]):
                heard[word][other or ""] += 1
    rows = [(word, num_said[word], others.total(), others.most_common(1)[0][0]) for word, others in heard.items()]
    missed_df = pd.DataFrame(rows, columns=["word", "num_said", "num_missed", "heard_as"])
    return missed_df.sort_values(["num_missed", "num_said", "word"], ascending=[False, True, True]).set_index("word")


def align_words(reference: str, hypothesis: str) -> str:
    """A spoken text above the recognised one, word by word; S, D, I under substitutions, deletions, insertions.

    Args:
        reference: spoken text; at least a word.
        hypothesis: recognised text.

    Raises:
        ValueError: the reference has no word.

    Source: `jiwer.visualize_alignment`.

    Examples:
        >>> print(align_words("go up now", "go pup"))
        REF: go  up now
        HYP: go pup ***
                  S   D
    """
    import jiwer

    words = _align([reference], [hypothesis])
    lines = jiwer.visualize_alignment(words, show_measures=False, skip_correct=False).splitlines()
    return "\n".join(line.rstrip() for line in lines if line and not line.startswith("==="))


def decoders(
    language_model: LanguageModel | None = None, beam_width: int = BEAM_WIDTH
) -> dict[str, Callable[[], Decoder]]:
    """Decoders by name: `greedy`, `beam`, `beam_ngram` with a model of characters, `beam_words` with one of words.

    Args:
        language_model: a model of characters, or a `Lexicon`, whose `spelling` is that of `beam_ngram`; None leaves
            both decoders out.
        beam_width: number of hypotheses of the beam searches.

    Returns:
        dict of functions without arguments, each of which makes a decoder.
    """
    make_beam = functools.partial(BeamDecoder, beam_width)
    makers: dict[str, Callable[[], Decoder]] = {"greedy": GreedyDecoder, "beam": make_beam}
    spelling = language_model.spelling if isinstance(language_model, Lexicon) else language_model
    if spelling is not None:
        makers["beam_ngram"] = functools.partial(make_beam, language_model=spelling)
    if isinstance(language_model, Lexicon):
        makers["beam_words"] = functools.partial(make_beam, language_model=language_model)
    return makers


def weighted_decoders(
    language_model: LanguageModel | None,
    weights: Sequence[float] | None = None,
    bonuses: Sequence[float] | None = None,
    beam_width: int = BEAM_WIDTH,
) -> dict[str, Callable[[], Decoder]]:
    """Beam searches by name, `weight 0.7, bonus 1.2`, to choose the weight of a language model from.

    Args:
        language_model: a model of characters, or a `Lexicon`.
        weights: values of `lm_weight`; None for the model's own.
        bonuses: values of `insertion_bonus`; None for the model's own.
        beam_width: number of hypotheses.

    Raises:
        ValueError: there is no language model, or a weight is negative.
    """
    if language_model is None:
        raise ValueError("`language_model` must be given, to weigh it. Received: None")
    makers: dict[str, Callable[[], Decoder]] = {
        f"weight {weight:g}, bonus {bonus:g}": functools.partial(
            BeamDecoder, beam_width, language_model, lm_weight=weight, insertion_bonus=bonus
        )
        for weight in weights or [language_model.weight]
        for bonus in bonuses or [language_model.bonus]
    }
    for make in makers.values():
        make()  # raises where an argument is wrong
    return makers


def utterance_log_probabilities(
    model: BatchModel, utterances_df: pd.DataFrame, batch_size: int = 16
) -> Iterator[tuple[int, np.ndarray]]:
    """Log-probabilities of whole utterances, computed in batches of similar length.

    Args:
        model: its `predict_on_batch` takes `{"waveform": (batch, samples), "num_samples": (batch,)}` and gives
            log-probabilities `(batch, frames, characters)`.
        utterances_df: frame with the columns `path, num_samples`.
        batch_size: utterances at a time.

    Yields:
        `(row, log_probabilities)`: each row number once, and `(frames, characters)`; padding frames are blank.

    Raises:
        AudioError, OSError: a file cannot be read; names it.
    """
    paths = list(utterances_df["path"])
    for rows in plan_batches(utterances_df["num_samples"], batch_size):
        waveform, num_samples = read_batch([paths[row] for row in rows])
        outputs = np.asarray(model.predict_on_batch({"waveform": waveform, "num_samples": num_samples}))
        yield from zip(rows, outputs, strict=True)


def transcribe_utterances(
    model: BatchModel,
    utterances_df: pd.DataFrame,
    decoders: Mapping[str, Callable[[], Decoder]] | None = None,
    *,
    progress: bool = False,
) -> pd.DataFrame:
    """Transcripts of utterances, by one decoder or several.

    Args:
        model: its `predict_on_batch` takes `{"waveform": (batch, samples), "num_samples": (batch,)}` and gives
            log-probabilities `(batch, frames, characters)`.
        utterances_df: frame with the columns `name, speaker, path, text, num_samples`.
        decoders: from the function `decoders`; None for the best path, `greedy`.
        progress: show a progress bar.

    Returns:
        DataFrame, the rows of `utterances_df`: `name, speaker, text`, and a column for each of `decoders`.

    Raises:
        AudioError, OSError: a file cannot be read; names it.
    """
    makers = decoders or {"greedy": GreedyDecoder}
    transcripts_df = utterances_df[["name", "speaker", "text"]].reset_index(drop=True)
    texts = {name: [""] * len(utterances_df) for name in makers}
    outputs = utterance_log_probabilities(model, utterances_df)
    for row, log_probabilities in progress_bar(
        outputs, desc="transcribing", total=len(utterances_df), unit="utterance", progress=progress
    ):
        for name, make_decoder in makers.items():
            decoder = make_decoder()
            decoder.process(log_probabilities)
            decoder.finish()
            texts[name][row] = " ".join(decoder.text.split())
    return transcripts_df.assign(**texts)


def summarize_transcripts(
    transcripts_df: pd.DataFrame, decoders: Iterable[str] = ("greedy",)
) -> dict[str, dict[str, float | int]]:
    """Error rates of each decoder.

    Args:
        transcripts_df: from `transcribe_utterances`; other columns are not used.
        decoders: names of the columns that hold the transcripts of a decoder.

    Returns:
        dict by decoder, see `transcript_metrics`.
    """
    return {name: transcript_metrics(transcripts_df["text"], transcripts_df[name]) for name in decoders}
