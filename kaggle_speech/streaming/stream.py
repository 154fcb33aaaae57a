"""Interfaces of streams, sources and models, as `typing.Protocol`; no code runs here."""

import typing
from collections.abc import Iterator, Sequence

import numpy as np

Event = typing.TypeVar("Event", covariant=True)


class Stream(typing.Protocol[Event]):
    """Takes sound chunk by chunk and gives events: `StreamingRecogniser` and `StreamingTranscriber` are streams.

    The same sound gives the same events however it is cut into chunks.
    """

    @property
    def time_s(self) -> float:
        """Seconds of sound so far, skipped ones included."""

    def reset(self) -> None:
        """Begin a new stream."""

    def process(self, chunk: np.ndarray) -> Sequence[Event]:
        """Process the next chunk. Shape: `(samples,)`, float in [-1, 1] or int16, 16 kHz -> events."""

    def skip(self, num_samples: int) -> None:
        """Advance the clock over samples that were lost."""

    def finish(self) -> Sequence[Event]:
        """End the stream and give its last events."""


class Source(typing.Protocol):
    """Gives sound chunk by chunk: the classes of `sources` are sources, and so is any object with these three."""

    @property
    def name(self) -> str:
        """Name for logs and windows."""

    @property
    def is_live(self) -> bool:
        """Whether the sound goes on while nobody takes it, so that a slow reader loses chunks."""

    def chunks(self) -> Iterator[np.ndarray]:
        """Start a new pass. Yields `(samples,)` float32 mono at 16 kHz; an empty chunk means: still waiting."""


class BatchModel(typing.Protocol):
    """A model of any framework: a Keras model, an ONNX model, a test's fake."""

    def predict_on_batch(self, inputs: typing.Any, /) -> typing.Any:
        """Outputs for one batch."""
