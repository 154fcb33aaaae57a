"""Words that nobody says, as `unknown`: the first half of one word, then the second half of another.

A network that has heard few other words takes a strange one for the command that shares a part with it. Here it
hears, for every part of a command, many words that go on differently.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.data.augment import shift_and_speed
from kaggle_speech.labels import SILENCE, UNKNOWN

#: Words of which a half with the other's half may be one of the two again: "n-" and "-o" of "go" are "no".
ALIKE = (("no", "go"), ("on", "off"), ("up", "stop"))
#: The cut lies up to so far from the middle of both words.
CUT_JITTER_MS = 60.0
#: From the first word to the second.
CROSSFADE_MS = 20.0
#: Share of the pairs that are two takes of one word and keep its label: the joint itself must not mean `unknown`.
SAME_WORD_SHARE = 0.25


def word_middle(waveform: tf.Tensor) -> tf.Tensor:
    """Centre of the energy of clips, in samples.

    Shape: `(batch, samples)` -> `(batch,)` float32; half the length for digital silence.

    Args:
        waveform: float.
    """
    num_samples = tf.cast(tf.shape(waveform)[1], tf.float32)
    energy = tf.square(waveform - tf.reduce_mean(waveform, 1, keepdims=True))
    total = tf.reduce_sum(energy, 1)
    centre = tf.math.divide_no_nan(tf.reduce_sum(energy * tf.range(num_samples), 1), total)
    return tf.where(total > 0, centre, num_samples / 2)


def join_halves(first: tf.Tensor, second: tf.Tensor, jitter: tf.Tensor) -> tf.Tensor:
    """The first half of a word, then the second half of another at the same loudness.

    Shape: `(batch, samples)` twice, `(batch,)` -> `(batch, samples)`.

    Args:
        first: float.
        second: float.
        jitter: samples from the middle of both words (`word_middle`) to the cut; positive is later.
    """
    middle = word_middle(first)
    powers = [tf.reduce_mean(tf.square(clips), 1, keepdims=True) for clips in (first, second)]
    second = shift_and_speed(second, middle - word_middle(second), tf.ones_like(middle))
    second *= tf.sqrt(tf.math.divide_no_nan(*powers))
    position = tf.range(tf.shape(first)[1], dtype=tf.float32) - (middle + jitter)[:, None]
    share = tf.clip_by_value(0.5 + position * 1000 / (CROSSFADE_MS * SAMPLE_RATE), 0.0, 1.0)
    return (1 - share) * first + share * second


class JoinedWords:
    """Pairs of words of a batch, joined; `unknown`, unless both have one label.

    Args:
        num_joined: joined clips of a batch.
        vocabulary: labels in the order of the model's outputs.

    Raises:
        ValueError: the vocabulary has no `unknown`.
    """

    def __init__(self, num_joined: int, vocabulary: Sequence[str]):
        labels = list(vocabulary)
        if UNKNOWN not in labels:
            raise ValueError(f"`joined_fraction` must be 0 where the vocabulary has no {UNKNOWN!r}. Received: {labels}")
        self.num_joined = num_joined
        self.is_word = tf.constant([label != SILENCE for label in labels])
        is_other = ~np.eye(len(labels), dtype=bool)
        is_other[labels.index(UNKNOWN), labels.index(UNKNOWN)] = True
        for pair in ALIKE:
            if {*pair} <= {*labels}:
                one, other = map(labels.index, pair)
                is_other[[one, other], [other, one]] = False
        self.is_other = tf.constant(is_other)
        self.unknown = tf.one_hot(labels.index(UNKNOWN), len(labels))

    def __call__(self, waveform: tf.Tensor, target: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Draw pairs of a batch and join them.

        Shape: `(batch, samples)`, `(batch, labels)` one-hot -> `(num_joined, samples)`, `(num_joined, labels)`.

        Args:
            waveform: float.
            target: one-hot labels. In a batch without two words, clips are joined with themselves.
            seed: `(2,)` integers; the same seed gives the same result.
        """
        label = tf.argmax(target, 1, tf.int32)
        is_word = tf.gather(self.is_word, label)
        seeds = tf.unstack(tf.random.split(seed, 3))
        draws = tf.random.stateless_uniform((self.num_joined, 2, tf.shape(label)[0]), seeds[0])
        first = tf.argmax(draws[:, 0] + tf.cast(is_word, tf.float32), 1, tf.int32)
        first_label = tf.gather(label, first)
        is_same = first_label[:, None] == label
        is_other = tf.gather(tf.gather(self.is_other, first_label), label, axis=1)
        wants_same = tf.random.stateless_uniform((self.num_joined, 1), seeds[1]) < SAME_WORD_SHARE
        is_wanted = tf.where(wants_same, is_same, is_other) & is_word
        itself = tf.one_hot(first, tf.size(label))  # where no clip is wanted
        second = tf.argmax(tf.maximum((draws[:, 1] + 1) * tf.cast(is_wanted, tf.float32) * (1 - itself), itself), 1)
        jitter = tf.random.stateless_uniform((self.num_joined,), seeds[2], -1, 1) * CUT_JITTER_MS * SAMPLE_RATE / 1000
        joined = join_halves(tf.gather(waveform, first), tf.gather(waveform, second), jitter)
        keeps_label = (first_label == tf.gather(label, second))[:, None]
        return joined, tf.where(keeps_label, tf.gather(target, first), self.unknown)
