"""ngram.py: probabilities that sum to one, known texts more probable than others, and the same from a file."""

import gzip
import math
import random

import pytest

from kaggle_speech.text.alphabet import ALPHABET
from kaggle_speech.text.corpus import read_text
from kaggle_speech.text.ngram import CHARACTERS, NGram, count_ngrams, read_ngram
from kaggle_speech.text.word_ngram import read_arpa

SENTENCES = [
    "the quick brown fox jumps over the lazy dog",
    "it's the dog that the fox jumps over",
    "a lazy fox is not a quick fox",
    "over and over the brown dog's bone",
]


@pytest.mark.parametrize("order", [1, 2, 3, 6])
@pytest.mark.parametrize("context", ["", "t", "the qu", "zzzzzzzz", " ", "over the lazy dog"])
def test_probabilities_sum_to_one(order, context):
    ngram = count_ngrams(SENTENCES, order)
    logs = [ngram.log_probability(context, character) for character in ALPHABET[1:]]
    assert all(log < 0 for log in logs)
    assert sum(map(math.exp, logs)) == pytest.approx(1)


def test_only_the_last_characters_count():
    ngram = count_ngrams(SENTENCES, 4)
    assert ngram.log_probability("xyz the", " ") == ngram.log_probability("the", " ")


def test_unseen_context_is_as_its_seen_end():
    ngram = count_ngrams(SENTENCES, 6)
    assert ngram.log_probability("zzzqu", "i") == ngram.log_probability("xxxqu", "i")


def test_sentences_begin_and_end():
    ngram = count_ngrams(SENTENCES, 6)
    assert ngram.log_probability("", "t") > ngram.log_probability("o", "t")
    assert ngram.log_probability("", "q") < ngram.log_probability("", "a")  # no sentence begins with one
    assert ngram.log_probability("the brown dog's bone", " ") > math.log(0.3)


def kneser_ney(sentences, order, context, character):
    """The textbook's recursion, straight from the padded sentences."""
    padded = [" " * (order - 1) + sentence + " " for sentence in sentences]

    def count(ngram):  # occurrences of the longest, kinds of what is before shorter ones
        if len(ngram) == order:
            return sum(text[at : at + order] == ngram for text in padded for at in range(len(text)))
        return sum(count(before + ngram) > 0 for before in CHARACTERS)

    def probability(context):
        length = len(context) + 1
        seen = {text[at : at + order][-length:] for text in padded for at in range(len(text) - order + 1)}
        counts = {ngram: count(ngram) for ngram in seen}
        ones, twos = list(counts.values()).count(1), list(counts.values()).count(2)
        discount = min(max(ones / max(ones + 2 * twos, 1), 0.1), 0.9)
        shorter = probability(context[1:]) if context else 1 / 28
        found = [number for ngram, number in counts.items() if ngram[:-1] == context]
        if not found:
            return shorter
        own = max(counts.get(context + character, 0) - discount, 0)
        return (own + discount * len(found) * shorter) / sum(found)

    return probability(context.rjust(order - 1)[-(order - 1) :])


@pytest.mark.parametrize(("context", "character"), [("th", "e"), ("", "a"), ("qu", "z"), ("zx", "o"), ("x", " ")])
def test_kneser_ney_as_in_the_textbook(context, character):
    expected = kneser_ney(SENTENCES, 3, context, character)
    assert math.exp(count_ngrams(SENTENCES, 3).log_probability(context, character)) == pytest.approx(expected)


def test_perplexity_is_the_inverse_mean_probability():
    ngram, logs = count_ngrams(SENTENCES, 3), []
    for text in ("a fox", "dog"):
        logs += [ngram.log_probability(text[:end], (text + " ")[end]) for end in range(len(text) + 1)]
    assert ngram.perplexity(["a fox", "dog"]) == pytest.approx(math.exp(-sum(logs) / 10))


def test_perplexity_of_what_it_knows_is_low():
    ngram = count_ngrams(SENTENCES)
    shuffled = ["".join(random.Random(0).sample(text, len(text))) for text in SENTENCES]
    assert 1 < ngram.perplexity(SENTENCES) < 4 < 15 < ngram.perplexity(shuffled)


def test_nothing_known_is_uniform():
    assert count_ngrams([]).perplexity(["go"]) == pytest.approx(28)


@pytest.mark.parametrize("name", ["ngram.json", "ngram.json.gz"])
def test_file_gives_the_same_model(tmp_path, name):
    ngram = count_ngrams(SENTENCES, 5)
    ngram.write(tmp_path / name)
    again = read_ngram(tmp_path / name)
    assert (again.order, again.counts) == (5, ngram.counts)
    assert again.perplexity(SENTENCES) == ngram.perplexity(SENTENCES)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"order": 2, "counts": {"abc": 1}}', '{"order": 2, "counts": 3}'])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "ngram.json").write_text(content)
    with pytest.raises(ValueError, match=r"ngram\.json: must be a file of `NGram\.write`"):
        read_ngram(tmp_path / "ngram.json")
    (tmp_path / "ngram.json.gz").write_text(content)  # not compressed
    with pytest.raises(ValueError, match=r"ngram\.json\.gz: must be a file"):
        read_ngram(tmp_path / "ngram.json.gz")


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"`order` must be >= 1. Received: order=0"):
        count_ngrams(SENTENCES, 0)
    with pytest.raises(
        ValueError, match=r"`counts` must be of n-grams of 2 characters of the alphabet. Received: 'a!'"
    ):
        NGram(2, {"a!": 1})
    with pytest.raises(ValueError, match="`text` must be of the characters"):
        count_ngrams(["Hello"])
    with pytest.raises(ValueError, match="`character` must be one of"):
        count_ngrams(SENTENCES).log_probability("a", "?")
    with pytest.raises(ValueError, match="`sentences` must hold at least one"):
        count_ngrams(SENTENCES).perplexity([])


@pytest.mark.parametrize("read", [read_ngram, read_arpa, read_text])
def test_a_damaged_compressed_file_is_named(tmp_path, read):
    content = bytearray(gzip.compress(b"a line of text\n" * 999))
    content[12:40] = b"\xff" * 28
    (tmp_path / "file.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"file\.gz: must be"):
        read(tmp_path / "file.gz")
