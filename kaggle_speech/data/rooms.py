"""Made rooms: impulse responses of shoebox rooms, by image sources and ray tracing (pyroomacoustics)."""

import numpy as np

from kaggle_speech.audio import SAMPLE_RATE

#: Rooms of a training.
NUM_ROOMS = 128
#: Echoes that come later are left out: of the longest reverberation, 0.8 s, they are 37 dB below the first.
ROOM_SAMPLES = SAMPLE_RATE // 2
#: Reverberation time, in seconds, from a furnished bedroom to a bare kitchen.
REVERBERATION_S = (0.1, 0.8)
#: Width, length and height in metres.
MIN_SIZE_M, MAX_SIZE_M = (2.5, 2.5, 2.3), (8.0, 10.0, 3.5)
#: Least distance of speaker and microphone from the walls and from each other, in metres.
MIN_DISTANCE_M = 0.3
#: Samples at the beginning, of the filter that delays the sound by parts of a sample, that hold next to nothing.
LEAD_SAMPLES = 32


def make_rooms(
    num_rooms: int = NUM_ROOMS, seed: int = 0, reverberation_s: tuple[float, float] = REVERBERATION_S
) -> np.ndarray:
    """Impulse responses of made rooms, from a speaker to a microphone at random places; takes about 0.1 s each.

    The direct sound is at the first samples, so that a word stays where it is in time, and the energy of each response
    is 1, so that it stays about as loud.

    Shape: -> `(num_rooms, ROOM_SAMPLES)` float32.

    Args:
        num_rooms: number of rooms, 1 or more.
        seed: of sizes, places and reverberation.
        reverberation_s: shortest and longest time in which the sound falls by 60 dB, in seconds.

    Raises:
        ValueError: the reverberation is shorter than any of these rooms can have, 0.1 s.
        ImportError: pyroomacoustics is not installed.

    Examples:
        >>> make_rooms(2, reverberation_s=(0.2, 0.3)).shape
        (2, 8000)
    """
    import pyroomacoustics

    if not REVERBERATION_S[0] <= reverberation_s[0] <= reverberation_s[1]:
        raise ValueError(
            f"`reverberation_s` must be two times, {REVERBERATION_S[0]} or more, the longer one last. "
            f"Received: reverberation_s={reverberation_s}"
        )
    rng = np.random.default_rng(seed)
    pyroomacoustics.random.seed(seed)
    responses = np.empty((num_rooms, ROOM_SAMPLES), "float32")
    for response in responses:
        response[:] = _response(pyroomacoustics, rng, np.exp(rng.uniform(*np.log(reverberation_s))))
    return responses


def _response(pyroomacoustics, rng, reverberation_s):
    """Impulse response of one room. Shape: -> `(ROOM_SAMPLES,)`."""
    size, absorption = _size_and_absorption(pyroomacoustics, rng, reverberation_s)
    room = pyroomacoustics.ShoeBox(
        size,
        fs=SAMPLE_RATE,
        materials=pyroomacoustics.Material(absorption),
        max_order=3,  # the first echoes as image sources, the later ones by rays
        ray_tracing=True,
        air_absorption=True,
    )
    speaker, microphone = (rng.uniform(MIN_DISTANCE_M, size - MIN_DISTANCE_M) for _ in range(2))
    while np.linalg.norm(speaker - microphone) < MIN_DISTANCE_M:
        microphone = rng.uniform(MIN_DISTANCE_M, size - MIN_DISTANCE_M)
    room.add_source(speaker)
    room.add_microphone(microphone)
    room.compute_rir()
    first = int(np.linalg.norm(speaker - microphone) / pyroomacoustics.constants.get("c") * SAMPLE_RATE)
    response = np.zeros(ROOM_SAMPLES)
    heard = room.rir[0][0][first + LEAD_SAMPLES :][:ROOM_SAMPLES]
    response[: len(heard)] = heard
    return response / np.sqrt(np.sum(response**2))


def _size_and_absorption(pyroomacoustics, rng, reverberation_s):
    """Random size of a room, and how much its walls absorb so that it has a reverberation time (Sabine's formula)."""
    while True:
        size = rng.uniform(MIN_SIZE_M, MAX_SIZE_M)
        try:
            return size, pyroomacoustics.inverse_sabine(reverberation_s, size)[0]
        except ValueError:  # the walls of so large a room would have to absorb more than all: try another one
            continue


def place_in_rooms(waveform: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """Clips as they sound in rooms.

    Shape: `(batch, samples)`, `(batch, ROOM_SAMPLES)` -> `(batch, samples)` float32; what sounds on is cut off.

    Args:
        waveform: float.
        responses: from `make_rooms`, a room for each clip.
    """
    from scipy.signal import fftconvolve

    return fftconvolve(waveform, responses, axes=1)[:, : waveform.shape[1]].astype("float32")
