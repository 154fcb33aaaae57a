"""Error rates of transcripts: wrong words and characters, counted by hand."""

import numpy as np
import pandas as pd
import pytest

from kaggle_speech.evaluation import intervals
from kaggle_speech.evaluation.transcripts import (
    align_words,
    error_intervals,
    missed_words,
    transcript_metrics,
    utterance_error_rates,
)

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
        {
            **{"wer": 3 / 9, "cer": 5 / 32, "num_utterances": 4, "num_words": 9, "num_characters": 32},
            **{"substitutions": 1, "deletions": 1, "insertions": 1},
        }
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
    speakers = ["anna", "anna", "bob", "eve"]
    expected_df = intervals.mean_intervals(rates_df[["wer", "cer"]], speakers, weights)
    texts_df = pd.DataFrame({"speaker": speakers, "text": REFERENCES, "beam": HYPOTHESES, "greedy": REFERENCES})
    found_df = error_intervals(texts_df, ["greedy", "beam"])
    metrics = transcript_metrics(REFERENCES, HYPOTHESES)
    assert found_df.loc["beam", ["wer", "cer"]].tolist() == pytest.approx([metrics["wer"], metrics["cer"]])
    assert found_df.loc["beam", ["wer_low", "cer_high"]].tolist() == [
        expected_df.loc[0, "low"],
        expected_df.loc[1, "high"],
    ]
    assert found_df.loc["beam", "wer_low"] < metrics["wer"] < found_df.loc["beam", "wer_high"]
    assert (found_df.loc["greedy"] == 0).all()


def test_missed_words_by_hand():
    """`on` is heard as `a`, `it's` as `its`, `go` is left out; what is heard rightly is not listed."""
    references, hypotheses = ["on the mat", "on it's the on", "go"], ["a the mat", "a its the on", ""]
    missed_df = missed_words(references, hypotheses)
    assert missed_df.reset_index().to_numpy().tolist() == [["on", 3, 2, "a"], ["go", 1, 1, ""], ["it's", 1, 1, "its"]]
    assert missed_words(["a b"], ["a b"]).empty


def test_an_alignment_has_the_words_above_each_other():
    lines = align_words("the old cat sat", "a old cat sat down").splitlines()
    assert [line.split() for line in lines] == [
        ["REF:", "the", "old", "cat", "sat", "****"],
        ["HYP:", "a", "old", "cat", "sat", "down"],
        ["S", "I"],
    ]
    assert lines[2].index("S") == lines[0].index("the") + 2 and lines[2].index("I") == lines[1].index("down") + 3


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"must have a text for each utterance.*Received: 2 references, 1 hypotheses"):
        transcript_metrics(["a", "b"], ["a"])
    with pytest.raises(ValueError, match=r"at least one. Received: 0 references"):
        transcript_metrics([], [])
    with pytest.raises(ValueError, match=r"`references` must hold a word. Received: none in those of index \[1\]"):
        transcript_metrics(["a", " "], ["a", "b"])
