"""Error rates of transcripts: wrong words and characters, counted by hand."""

import numpy as np
import pytest

from kaggle_speech.evaluation import intervals
from kaggle_speech.evaluation.transcripts import transcript_metrics, utterance_error_rates

pytest.importorskip("jiwer", reason="error rates are counted with jiwer")

REFERENCES = ["the cat sat", "go", "it's on the mat", "stop"]
HYPOTHESES = ["the cat sat", "", "its on a the mat", " stop "]


def num_edits(before, after):
    """Levenshtein's distance of two sequences."""
    row = list(range(len(after) + 1))
    for deleted, left in enumerate(before, start=1):
        last, row = row, [deleted]
        for inserted, right in enumerate(after, start=1):
            row.append(min(last[inserted] + 1, row[-1] + 1, last[inserted - 1] + (left != right)))
    return row[-1]


def test_rates_by_hand():
    rates_df = utterance_error_rates(REFERENCES, HYPOTHESES)
    np.testing.assert_allclose(rates_df["wer"], [0, 1, 2 / 4, 0])
    np.testing.assert_allclose(rates_df["cer"], [0, 1, 3 / 15, 0])
    assert rates_df["num_words"].tolist() == [3, 1, 4, 1]
    assert rates_df["num_characters"].tolist() == [11, 2, 15, 4]
    metrics = transcript_metrics(REFERENCES, HYPOTHESES)
    assert metrics == pytest.approx(
        {"wer": 3 / 9, "cer": 5 / 32, "num_utterances": 4, "num_words": 9, "num_characters": 32}
    )


@pytest.mark.parametrize("seed", range(5))
def test_rates_are_distances_by_length(seed):
    rng = np.random.default_rng(seed)

    def sentence():
        return " ".join("".join(rng.choice([*"abc"], rng.integers(1, 4))) for _ in range(rng.integers(1, 6)))

    references, hypotheses = zip(*[(sentence(), sentence()) for _ in range(20)], strict=True)
    metrics = transcript_metrics(references, hypotheses)
    words = [
        (reference.split(), hypothesis.split()) for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    for name, pairs in (("wer", words), ("cer", list(zip(references, hypotheses, strict=True)))):
        errors, lengths = sum(num_edits(*pair) for pair in pairs), sum(len(reference) for reference, _ in pairs)
        assert metrics[name] == pytest.approx(errors / lengths)


def test_intervals_over_speakers_are_around_the_rates():
    rates_df = utterance_error_rates(REFERENCES, HYPOTHESES)
    weights = rates_df[["num_words", "num_characters"]]
    found_df = intervals.mean_intervals(rates_df[["wer", "cer"]], ["anna", "anna", "bob", "eve"], weights)
    metrics = transcript_metrics(REFERENCES, HYPOTHESES)
    np.testing.assert_allclose(found_df["mean"], [metrics["wer"], metrics["cer"]])
    assert (found_df["low"] < found_df["mean"]).all() and (found_df["mean"] < found_df["high"]).all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"must have a text for each utterance.*Received: 2 references, 1 hypotheses"):
        transcript_metrics(["a", "b"], ["a"])
    with pytest.raises(ValueError, match=r"at least one. Received: 0 references"):
        transcript_metrics([], [])
    with pytest.raises(ValueError, match=r"`references` must hold a word. Received: none in those of index \[1\]"):
        transcript_metrics(["a", " "], ["a", "b"])
