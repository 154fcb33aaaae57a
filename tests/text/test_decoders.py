"""ctc.py, alignment.py: the text that all paths together say, however the frames are cut, in flat memory."""

import itertools
import math

import keras
import numpy as np
import pytest

from kaggle_speech.text.alignment import align
from kaggle_speech.text.alphabet import ALPHABET, indices_to_text, min_ctc_frames, text_to_indices
from kaggle_speech.text.decoders import BeamDecoder, GreedyDecoder, Word, decode
from kaggle_speech.text.ngram import count_ngrams

WIDE = {"beam_width": 10_000, "min_character_logp": -math.inf, "max_gap": math.inf}
#: Outputs that tiny examples use: the blank, and three characters.
USED = [0, 1, *text_to_indices("ab")]
LANGUAGE = count_ngrams(["a bab", "ab ab", "ba"], order=3)


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def tiny(rng, num_frames):
    """Frames in which only the outputs of `USED` are possible; shape `(num_frames, 29)`."""
    frames = np.full((num_frames, len(ALPHABET)), -np.inf)
    frames[:, USED] = log_softmax(2 * rng.standard_normal((num_frames, len(USED))))
    return frames


def collapse(path):
    return indices_to_text(index for index, _ in itertools.groupby(path))


def all_paths(frames):
    """Every path of outputs, and its log-probability."""
    rows = np.arange(len(frames))
    for path in itertools.product(USED, repeat=len(frames)):
        yield path, frames[rows, list(path)].sum()


def all_texts(frames):
    """Log-probability of every text: dict."""
    texts = {}
    for path, log_probability in all_paths(frames):
        text = collapse(path)
        texts[text] = np.logaddexp(texts.get(text, -np.inf), log_probability)
    return texts


def spoken(text, rng, noise=1.0, gain=8.0):
    """Frames such as a network gives for a text; shape `(frames, 29)`."""
    path = [0, 0]
    for index in text_to_indices(text):
        path += [index] * rng.integers(1, 3) + [0] * rng.integers(1, 4)
    return log_softmax(gain * np.eye(len(ALPHABET))[path] + noise * rng.standard_normal((len(path), len(ALPHABET))))


def decoders():
    fused = {"language_model": LANGUAGE, "lm_weight": 0.4, "insertion_bonus": 0.5}
    return [GreedyDecoder(), BeamDecoder(8), BeamDecoder(4, **fused), BeamDecoder(8, max_wait_frames=5)]


@pytest.mark.parametrize("seed", range(20))
def test_greedy_is_the_best_path(seed):
    frames = tiny(np.random.default_rng(seed), 1 + seed % 5)
    path, _ = max(all_paths(frames), key=lambda found: found[1])
    assert decode(frames) == collapse(path)


@pytest.mark.parametrize("seed", range(20))
def test_wide_beam_is_the_best_text(seed):
    frames = tiny(np.random.default_rng(seed), 1 + seed % 5)
    texts = all_texts(frames)
    assert sum(np.exp([*texts.values()])) == pytest.approx(1)
    assert decode(frames, **WIDE) == max(texts, key=texts.get)


@pytest.mark.parametrize("seed", range(5))
def test_alternatives_are_all_texts_in_order(seed):
    frames = tiny(np.random.default_rng(seed), 4)
    texts = all_texts(frames)
    decoder = BeamDecoder(**WIDE, max_wait_frames=100)
    decoder.process(frames)
    assert decoder.alternatives[: len(texts)] == sorted(texts, key=texts.get, reverse=True)
    decoder.finish()
    assert decoder.alternatives == [decoder.text] == [max(texts, key=texts.get)]


@pytest.mark.parametrize("seed", range(20))
def test_language_model_and_bonus_add_to_the_text(seed):
    frames = tiny(np.random.default_rng(seed), 1 + seed % 5)

    def score(text, log_probability):
        ended = text if text[-1:] in ("", " ") else text + " "
        heard = sum(LANGUAGE.log_probability(ended[:end], ended[end]) for end in range(len(ended)))
        return log_probability + 0.7 * (heard + 0.9 * len(text))

    scores = {text: score(text, logp) for text, logp in all_texts(frames).items()}
    fused = decode(frames, language_model=LANGUAGE, lm_weight=0.7, insertion_bonus=0.9, **WIDE)
    assert fused == max(scores, key=scores.get)


@pytest.mark.parametrize("seed", range(5))
def test_hypotheses_have_the_likelihood_of_the_loss(seed):
    frames = tiny(np.random.default_rng(seed), 4)
    texts = all_texts(frames)
    for text in ("a", "ab", "aa", "b a"):
        loss = keras.ops.ctc_loss(
            np.array([text_to_indices(text)]), np.maximum(frames, -80)[None], np.array([len(text)]), np.array([4])
        )
        assert float(loss[0]) == pytest.approx(-texts[text], rel=1e-4)


def keras_texts(frames, strategy, **options):
    decoded, _ = keras.ops.ctc_decode(
        np.asarray(frames[None], "float32"), np.array([len(frames)]), strategy=strategy, mask_index=0, **options
    )
    return "".join(ALPHABET[index] for index in np.asarray(decoded)[0, 0] if index > 0)


@pytest.mark.parametrize("gain", [0.0, 4.0, 8.0])
@pytest.mark.parametrize("seed", range(4))
def test_same_text_as_keras(seed, gain):
    rng = np.random.default_rng(seed)
    frames = spoken("the hello of a book", rng, gain=gain, noise=1.5)
    assert decode(frames) == keras_texts(frames, "greedy")
    if gain:  # among nothing but noise, millions of texts are as probable, and a beam keeps some
        found = decode(frames, beam_width=100, min_character_logp=-math.inf, max_gap=math.inf)
        assert found == keras_texts(frames, "beam_search", beam_width=100)


@pytest.mark.parametrize("decoder_index", range(4))
@pytest.mark.parametrize("seed", range(3))
def test_cuts_change_nothing(decoder_index, seed):
    rng = np.random.default_rng(seed)
    frames = spoken("a bab ab all that goes on and on", rng, noise=2.0)
    whole, cut = decoders()[decoder_index], decoders()[decoder_index]
    whole_settled, cut_settled, start = whole.process(frames), "", 0
    while start < len(frames):
        end = start + int(rng.integers(0, 9))
        before = cut.settled
        peeked, (text, heard) = cut.peek(frames[start:end]), (cut.text, cut.frames)
        assert (cut.settled, cut.text, cut.frames, cut.num_frames) == (before, text, heard, start)
        cut_settled += cut.process(frames[start:end])
        assert peeked == cut.text
        assert cut.settled.startswith(before) and cut.text.startswith(cut.settled)
        start = min(end, len(frames))
    assert cut_settled == whole_settled == whole.settled
    assert (cut.text, cut.frames, cut.num_frames) == (whole.text, whole.frames, len(frames))
    assert cut_settled + cut.finish() == whole_settled + whole.finish() == whole.settled == whole.text == cut.text
    assert len(whole.frames) == len(whole.text)


@pytest.mark.parametrize("max_wait_frames", [1, 20])
def test_little_is_kept_of_long_sound(rng, max_wait_frames):
    decoder = BeamDecoder(4, max_gap=math.inf, max_wait_frames=max_wait_frames)
    frames = tiny(rng, 300)
    for _ in range(10):
        decoder.process(frames)
        hypotheses = decoder._beam
        assert len(hypotheses) <= 4
        assert max(map(len, hypotheses)) <= 1 + max_wait_frames
        assert all(len(kept.frames) == len(text) - decoder._num_known for text, kept in hypotheses.items())
    assert len(decoder.text) - len(decoder.settled) <= max_wait_frames < len(decoder.settled)


def test_a_pause_settles_the_best_reading():
    unsure = np.full((1, len(ALPHABET)), -np.inf)
    unsure[0, text_to_indices("ab")] = np.log([0.6, 0.4])
    pause = np.where(np.arange(len(ALPHABET)) == 0, 0.0, -np.inf)[None]
    decoder = BeamDecoder(max_wait_frames=10)
    decoder.process(np.concatenate([unsure, *[pause] * 9]))
    assert (decoder.settled, decoder.text) == ("", "a")
    assert decoder.process(pause) == decoder.settled == "a"


def test_finish_is_a_pause_that_goes_on(rng):
    first, second = spoken("go on", rng), spoken(" now", rng)
    for decoder in (GreedyDecoder(), BeamDecoder(), BeamDecoder(language_model=LANGUAGE, lm_weight=0.1)):
        decoder.process(first)
        decoder.finish()
        assert decoder.settled == decoder.text == "go on"
        decoder.process(second)
        decoder.finish()
        assert decoder.text == "go on now"
        assert decoder.finish() == ""


@pytest.mark.parametrize("decoder", [GreedyDecoder(), BeamDecoder()])
def test_words_have_the_frames_of_their_characters(decoder):
    path = [0, *text_to_indices("g"), *text_to_indices("gggo"), 0, 1, 1, 0, *text_to_indices("up")]
    decoder.process(np.log(0.97 * np.eye(len(ALPHABET))[path] + 0.001))
    assert decoder.text == "go up"
    assert decoder.frames == [1, 5, 7, 10, 11]
    assert decoder.words == [Word("go", 1, 5), Word("up", 10, 11)]


def test_frames_of_a_character_are_those_of_its_likelier_way():
    frames = np.full((3, len(ALPHABET)), -np.inf)
    frames[:, [0, ALPHABET.index("a")]] = np.log([[0.98, 0.02], [0.1, 0.9], [0.99, 0.01]])
    decoder = BeamDecoder(max_gap=math.inf)
    decoder.process(frames)
    assert (decoder.text, decoder.frames) == ("a", [1])


def test_nothing_heard_is_no_text():
    for decoder in decoders():
        assert decoder.process(np.zeros((0, len(ALPHABET)))) == decoder.text == decoder.finish() == ""
        assert (decoder.frames, decoder.words) == ([], [])


def test_words_of_a_language_win_where_sounds_are_alike():
    frames = np.full((3, len(ALPHABET)), -20.0)
    frames[0, text_to_indices("gk")] = np.log([0.4, 0.6])
    frames[1, ALPHABET.index("o")] = frames[2, 0] = 0.0
    language_model = count_ngrams(["go and go on", "we go"], order=4)
    assert decode(frames, 16) == "ko"
    assert decode(frames, 16, language_model) == "go"


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("text", ["", "a", "ab", "aa", "b a"])
def test_alignment_is_the_best_path_of_the_text(seed, text):
    frames = tiny(np.random.default_rng(seed), 5)
    path, _ = max((found for found in all_paths(frames) if collapse(found[0]) == text), key=lambda found: found[1])
    starts = [at for at, index in enumerate(path) if index and (at == 0 or path[at - 1] != index)]
    assert align(frames, text).tolist() == starts


def test_alignment_of_what_was_decoded_is_where_it_was_heard(rng):
    frames = spoken("a long sentence of well known words as long as sentences are that people read to others", rng)
    decoder = GreedyDecoder()
    decoder.process(frames)
    assert align(frames, decoder.text).tolist() == decoder.frames


@pytest.mark.parametrize("text", ["abab", "aab"])
def test_text_that_does_not_fit_is_refused(text, rng):
    assert len(align(tiny(rng, min_ctc_frames(text)), text)) == len(text)
    with pytest.raises(ValueError, match=r"must fit into the frames; this one needs 4. Received: 3 frames"):
        align(tiny(rng, 3), text)


def test_impossible_text_is_refused(rng):
    with pytest.raises(ValueError, match=r"must be possible in these frames. Received: 'z', of probability 0"):
        align(tiny(rng, 3), "z")


@pytest.mark.parametrize("hear", [decode, GreedyDecoder().peek, BeamDecoder().process, lambda x: align(x, "a")])
def test_bad_frames_are_refused(hear):
    with pytest.raises(ValueError, match=r"must be of shape \(frames, 29\). Received: shape=\(3, 28\)"):
        hear(np.zeros((3, 28)))
    with pytest.raises(ValueError, match=r"shape=\(1, 3, 29\)"):
        hear(np.zeros((1, 3, 29)))
    with pytest.raises(ValueError, match="must be natural logs, at most 0"):
        hear(np.full((3, 29), 1 / 29))
    with pytest.raises(ValueError, match="1 that are above or NaN"):
        hear(np.where(np.arange(29) == 3, np.nan, -1.0)[None])


@pytest.mark.parametrize("option", ["beam_width", "max_wait_frames", "max_gap"])
def test_bad_options_are_refused(option):
    with pytest.raises(ValueError, match=f"`{option}` must be"):
        BeamDecoder(**{option: 0})


def test_options_need_a_beam():
    with pytest.raises(ValueError, match="`lm_weight` not below"):
        BeamDecoder(lm_weight=-1)
    with pytest.raises(ValueError, match="`beam_width` must be given with a language model"):
        decode(np.zeros((3, 29)), language_model=LANGUAGE)
