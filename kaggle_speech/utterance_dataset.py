"""Recordings and their transcripts to padded batches: a lazy, seeded tf.data pipeline.

Files of any format are read as they are needed, by `audio.read_audio`: outside the graph, several at a time.
"""

import numpy as np
import tensorflow as tf

from kaggle_speech.dataset import passes
from kaggle_speech.utterance_batches import encode_texts, plan_batches, read_batch


def make_utterance_dataset(utterances_df, batch_size=16, *, shuffle=False, seed=0, **augmentation):
    """Batches of waveforms of about the same length, with their transcripts.

    The same seed gives the same batches in the same order, pass by pass, whatever the number of threads.

    Shape: of an element: `{"waveform": (batch, samples) float32, "num_samples": (batch,) int32}` and
        `(batch, characters)` int32, the places of the characters in the alphabet, blanks after the end.

    Args:
        utterances_df: frame with the columns `path, text, num_samples`.
        batch_size: utterances in a batch.
        shuffle: other batches in another order for every pass; else the shortest come first.
        seed: of the order and of the augmentation.
        augmentation: `speed_fraction, gain_db` of `read_batch`.

    Raises:
        ValueError: the frame is empty, or a text has characters that the alphabet lacks.
        tf.errors.OpError: while iterating, a file cannot be read; names it.
    """
    if utterances_df.empty:
        raise ValueError("`utterances_df` must have at least one utterance. Received: an empty frame")
    paths, texts = list(utterances_df["path"]), list(utterances_df["text"])
    encode_texts(texts)
    num_samples = utterances_df["num_samples"].to_numpy()
    num_batches = -(-len(paths) // batch_size)

    def plan(number):
        rng = np.random.default_rng((seed, number)) if shuffle else None
        batches = np.full((num_batches, batch_size), -1)
        for batch, rows in zip(batches, plan_batches(num_samples, batch_size, rng), strict=True):
            batch[: len(rows)] = rows
        return batches

    def load(rows, number, batch_index):
        rows = rows[rows >= 0]
        rng = np.random.default_rng((seed, number, batch_index, 1)) if augmentation else None
        batch = read_batch([paths[row] for row in rows], rng, **augmentation)
        return *batch, encode_texts([texts[row] for row in rows])

    def one_pass(number):
        rows = tf.ensure_shape(tf.numpy_function(plan, [number], tf.int64), (num_batches, batch_size))
        return tf.data.Dataset.from_tensor_slices(rows).enumerate().map(lambda index, rows: (rows, number, index))

    def load_batch(rows, number, batch_index):
        types = (tf.float32, tf.int32, tf.int32)
        waveform, lengths, targets = tf.numpy_function(load, [rows, number, batch_index], types)
        inputs = {"waveform": tf.ensure_shape(waveform, (None, None)), "num_samples": tf.ensure_shape(lengths, (None,))}
        return inputs, tf.ensure_shape(targets, (None, None))

    batches_ds = passes(one_pass).map(load_batch, tf.data.AUTOTUNE, deterministic=True)
    return batches_ds.apply(tf.data.experimental.assert_cardinality(num_batches)).prefetch(tf.data.AUTOTUNE)
