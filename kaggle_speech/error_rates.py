"""How many words and characters of transcripts are wrong. pandas and jiwer."""

import pandas as pd


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
