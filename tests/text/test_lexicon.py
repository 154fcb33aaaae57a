"""Lexicon: characters that sum up to words, estimates by brute force, and a beam that finds words."""

import math

import numpy as np
import pytest

from kaggle_speech.text import decoders, language_models
from kaggle_speech.text.alphabet import ALPHABET
from kaggle_speech.text.decoders import decode
from kaggle_speech.text.kneser_ney import count_words
from kaggle_speech.text.lexicon import CONTEXT_CHARACTERS, Lexicon
from kaggle_speech.text.ngram import NGram, count_ngrams
from kaggle_speech.text.word_ngram import BEGIN, UNKNOWN

SENTENCES = ["the cat sat on the mat", "the cat ran", "a dog ran", "the dog sat on a cat", "the caterpillar sat"]
SPELLING = count_ngrams(SENTENCES, 3)


@pytest.fixture(params=[None, SPELLING], ids=["any letter", "spelling"])
def lexicon(request):
    return Lexicon(count_words(SENTENCES, 3), request.param)


def of_characters(lexicon, text):
    """Log-probability of a text and a space after it, character by character."""
    return sum(lexicon.log_probability(text[:place], character) for place, character in enumerate(text + " "))


@pytest.mark.parametrize("text", ["the cat sat", "mat on mat on", "a", "the dog ran the dog ran"])
def test_characters_sum_up_to_words(lexicon, text):
    words = [BEGIN, *text.split()]
    expected = sum(lexicon.model.log_probability(words[:place], words[place]) for place in range(1, len(words)))
    assert of_characters(lexicon, text) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("text", ["zebra", "the zebra sat", "cate"])
def test_unknown_words_cost_their_spelling(lexicon, text):
    words = [BEGIN, *text.split()]
    expected = 0.0
    for place, word in enumerate(words[1:], start=1):
        expected += lexicon.model.log_probability(words[:place], word)
        if word not in lexicon:
            for number, character in enumerate(word + " "):
                spelled = -math.log(28)
                if lexicon.spelling is not None:
                    spelled = lexicon.spelling.log_probability(word[:number], character)
                expected += spelled
    assert of_characters(lexicon, text) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("beginning", ["c", "cat", "cate", "m", "t", "o"])
def test_a_beginning_is_as_likely_as_the_likeliest_word(lexicon, beginning):
    model = lexicon.model
    known = [model.log_probability([], word) for word in model.words if word.startswith(beginning)]
    spelled = [
        -math.log(28) if lexicon.spelling is None else lexicon.spelling.log_probability(beginning[:number], character)
        for number, character in enumerate(beginning)
    ]
    expected = max(*known, model.log_probability([], UNKNOWN) + sum(spelled), -math.inf)
    so_far = sum(lexicon.log_probability(beginning[:place], letter) for place, letter in enumerate(beginning))
    assert so_far == pytest.approx(expected, abs=1e-4)


def test_words_long_ago_do_not_count(lexicon):
    long = "dog ran " * 20 + "the cat"
    assert lexicon.log_probability(long, " ") == lexicon.log_probability(long[-CONTEXT_CHARACTERS:], " ")
    assert lexicon.order == CONTEXT_CHARACTERS + 1 and lexicon.log_probability("the ", " ") < -20


def frames_of(text, rng, blur=0.0):
    """Log-probabilities of a frame and a blank for each character, blurred by noise."""
    logits = blur * rng.standard_normal((2 * len(text), len(ALPHABET)))
    for place, character in enumerate(text):
        logits[2 * place, ALPHABET.index(character)] += 4
        logits[2 * place + 1, 0] += 8
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_a_beam_with_a_lexicon_finds_words(lexicon, rng):
    """Blurred letters: with words more of them are right, by far."""
    texts = ["the cat sat on the mat", "a dog ran", "the caterpillar sat on a dog"]
    errors = {"letters": 0, "words": 0}
    for text in texts:
        for _ in range(5):
            frames = frames_of(text, rng, blur=1.5)
            for name, model in (("letters", None), ("words", lexicon)):
                found = decode(frames, 32, model, **({"insertion_bonus": 1.0} if model else {}))
                errors[name] += sum(a != b for a, b in zip(found.split(), text.split(), strict=False))
                errors[name] += abs(len(found.split()) - len(text.split()))
    assert errors["words"] <= errors["letters"] / 3


def test_a_beam_may_find_a_word_that_the_lexicon_lacks(lexicon, rng):
    assert decode(frames_of("the zebra sat", rng), 32, lexicon, lm_weight=0.7, insertion_bonus=1.2) == "the zebra sat"


class LateDecoder(decoders.BeamDecoder):
    """Drops no text before the language model has seen it."""

    def _lowest_score(self, scores):
        return -math.inf


@pytest.mark.parametrize("beam_width", [1, 5, 20])
def test_texts_are_dropped_early_only_where_they_would_be_dropped_later(lexicon, rng, beam_width):
    lattice = frames_of("go to the sea and see", rng, blur=4.0)
    early, late = decoders.BeamDecoder(beam_width, lexicon), LateDecoder(beam_width, lexicon)
    for frame in lattice:
        assert early.process(frame[None]) == late.process(frame[None])
        assert early.alternatives == late.alternatives
    assert early._beam == late._beam


def test_words_of_other_letters_are_left_out():
    model = count_words([*SENTENCES, "the Ärmel 3d sat"], 2)
    assert Lexicon(model).num_left_out == 2 and "sat" in Lexicon(model) and "3d" not in Lexicon(model)
    with pytest.raises(ValueError, match=r"`model` must hold words of the letters a to z.*<unk>"):
        Lexicon(count_words(["3 4"], 1))


def test_a_folder_may_hold_models_of_characters_and_of_words(tmp_path):
    new_dir = tmp_path / "new"
    new_dir.mkdir()
    assert language_models.read_language_model(tmp_path) is None
    SPELLING.write(tmp_path / "ngram.json")
    assert isinstance(language_models.read_language_model(tmp_path), NGram)
    count_words(SENTENCES, 2).write(tmp_path / "words.arpa.gz")
    language_models.copy_language_models(tmp_path, new_dir)
    found = language_models.read_language_model(new_dir)
    assert "caterpillar" in found and found.spelling.counts == SPELLING.counts
    assert decoders.BeamDecoder(language_model=found).lm_weight == Lexicon.weight
    assert decoders.BeamDecoder(language_model=SPELLING).insertion_bonus == NGram.bonus
    assert decoders.BeamDecoder(language_model=found, lm_weight=0.1).lm_weight == 0.1
