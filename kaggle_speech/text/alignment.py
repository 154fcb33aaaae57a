"""Forced alignment: the frame of each character of a known text, on the most probable CTC path. NumPy only."""

import numpy as np

from kaggle_speech.text.alphabet import BLANK_INDEX, min_ctc_frames, text_to_indices
from kaggle_speech.text.decoders import check_log_probabilities


def align(log_probabilities: np.ndarray, text: str) -> np.ndarray:
    """First frame of each character of a known text, on the most probable CTC path.

    Shape: `(frames, len(ALPHABET))`, natural log -> `(len(text),)` int, rising.

    Args:
        log_probabilities: of each output of the alphabet in each frame.
        text: the transcript, in characters of the alphabet.

    Raises:
        ValueError: the text needs more frames, has characters that the alphabet lacks, or has probability 0;
            `log_probabilities` has another shape, NaN, or numbers above 0.

    Examples:
        >>> decided = np.where(np.eye(29)[[9, 17, BLANK_INDEX, 17]], 0.0, -9.0)
        >>> align(decided, "goo").tolist()
        [0, 1, 3]

    Source: the Viterbi algorithm over the states of Graves et al., Connectionist Temporal Classification, 2006: a
        blank, then each character with a blank after it.
    """
    log_probabilities = check_log_probabilities(log_probabilities)
    indices = text_to_indices(text)
    if len(log_probabilities) < min_ctc_frames(text):
        raise ValueError(
            f"`text` must fit into the frames; this one needs {min_ctc_frames(text)}. "
            f"Received: {len(log_probabilities)} frames, {text!r}"
        )
    if not text:
        return np.zeros(0, int)
    states = np.full(2 * len(text) + 1, BLANK_INDEX)
    states[1::2] = indices
    may_skip = np.append([False, False], (states[2:] != BLANK_INDEX) & (states[2:] != states[:-2]))
    scores = np.append(0.0, np.full(len(states) - 1, -np.inf))  # before the first frame, as after a blank
    num_states_back = np.zeros((len(log_probabilities), len(states)), "int8")  # to the previous state
    rows = np.arange(len(states))
    for frame, log_probability in enumerate(log_probabilities):
        skipped = np.where(may_skip, np.append([-np.inf, -np.inf], scores[:-2]), -np.inf)
        before = np.stack([scores, np.append(-np.inf, scores[:-1]), skipped])
        num_states_back[frame] = before.argmax(axis=0)
        scores = before[num_states_back[frame], rows] + log_probability[states]
    state = len(states) - 1 - int(scores[-2] >= scores[-1])
    if scores[state] == -np.inf:
        raise ValueError(f"`text` must be possible in these frames. Received: {text!r}, of probability 0")
    path = np.zeros(len(log_probabilities), int)
    for frame in reversed(range(len(path))):
        path[frame] = state
        state -= int(num_states_back[frame, state])
    return np.searchsorted(path, np.arange(1, len(states), 2))
