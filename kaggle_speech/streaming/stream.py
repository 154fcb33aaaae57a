"""Interfaces of streams, sources and models, as `typing.Protocol`; no code runs here."""

import typing
from collections.abc import Iterator, Sequence

import numpy as np

Event = typing.TypeVar("Event", covariant=True)


class Stream(typing.Protocol[Event]):
    """Processor of sound, chunk by chunk, into events, such as `StreamingRecogniser` and `StreamingTranscriber`.

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
    """Origin of sound, chunk by chunk: a class of `sources`, or any object with these three members."""

    @property
    def name(self) -> str:
        """Name for logs and windows."""

    @property
    def is_live(self) -> bool:
        """Whether the sound goes on, and is lost, while no chunk is taken."""

    def chunks(self) -> Iterator[np.ndarray]:
        """Start a new pass. Yields `(samples,)` float32 mono at 16 kHz; an empty chunk means: still waiting."""


class BatchModel(typing.Protocol):
    """A model of any framework: a Keras model, an ONNX model, a test's fake."""

    def predict_on_batch(self, inputs: typing.Any, /) -> typing.Any:
        """Outputs for one batch."""
