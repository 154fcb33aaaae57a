"""Run a stream on a source, with two threads and a bounded queue between them."""

import contextlib
import queue
import threading
import typing
from collections.abc import Callable

import numpy as np

from kaggle_speech.streaming.stream import Source, Stream

#: Chunks that may wait for the stream; at 50 ms a chunk, two seconds.
MAX_WAITING = 40
#: Seconds that `stop` waits for each thread.
STOP_TIMEOUT_S = 5.0


class _Run:
    """State of one run: threads, queue, stop flag."""

    def __init__(self, max_waiting: int):
        #: Items are `(samples lost before the chunk, chunk)`; None ends the run.
        self.chunks: queue.Queue[tuple[int, np.ndarray] | None] = queue.Queue(maxsize=max_waiting)
        self.stopping = threading.Event()
        self.threads: list[threading.Thread] = []

    def put(self, item: tuple[int, np.ndarray] | None) -> None:
        """Add an item; wait for room in the queue until the run stops."""
        while not self.stopping.is_set():
            try:
                return self.chunks.put(item, timeout=0.1)
            except queue.Full:
                pass

    def get(self) -> tuple[int, np.ndarray] | None:
        """The next item; None when the run stops."""
        while not self.stopping.is_set():
            try:
                return self.chunks.get(timeout=0.1)
            except queue.Empty:
                pass
        return None

    def take_all(self) -> list[tuple[int, np.ndarray]]:
        """The items that wait now."""
        items = []
        with contextlib.suppress(queue.Empty):
            while item := self.chunks.get_nowait():
                items.append(item)
        return items


class StreamRunner:
    """Runner that feeds a source to a stream until the source ends, fails or is stopped; can be started again.

    A live source never waits: when the stream is too slow, all chunks that wait are dropped and counted, so that words
    between two gaps are whole. Other sources (a file, a pipe) wait instead.

    Args:
        stream: `StreamingRecogniser`, `StreamingTranscriber` or another `Stream`.
        source: one of `sources` or another `Source`; may be exchanged while nothing runs.
        on_event: called with each event of the stream, in the thread of the stream.
        on_error: called with the error that ended a run, in the thread where it was raised.
        observe: called with the stream after every chunk, in its thread; the result becomes `state`.
        max_waiting: chunks that may wait.

    Attributes:
        error: the error that ended the last run; None where there was none.
        num_dropped: chunks dropped since the start.
        state: last result of `observe`; None before the first chunk.
    """

    def __init__(
        self,
        stream: Stream,
        source: Source,
        *,
        on_event: Callable[[typing.Any], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
        observe: Callable[[typing.Any], typing.Any] | None = None,
        max_waiting: int = MAX_WAITING,
    ):
        self.stream = stream
        self.source = source
        self.on_event = on_event or _ignore
        self.on_error = on_error or _ignore
        self.observe = observe or _ignore
        self.max_waiting = max_waiting
        self.error: Exception | None = None
        self.num_dropped = 0
        self.state: typing.Any = None
        self._run: _Run | None = None

    @property
    def is_running(self) -> bool:
        """Whether the source still gives chunks, or its last chunks are being processed."""
        return self._run is not None and any(thread.is_alive() for thread in self._run.threads)

    @property
    def num_waiting(self) -> int:
        """Chunks that wait for the stream."""
        return 0 if self._run is None else self._run.chunks.qsize()

    def start(self) -> None:
        """Begin a new stream.

        Raises:
            RuntimeError: the runner runs already.
        """
        if self.is_running:
            raise RuntimeError("`start` must be called when nothing runs. Received: a running stream; stop it first")
        self.error = None
        self.num_dropped = 0
        self.state = None
        self.stream.reset()
        self._run = run = _Run(self.max_waiting)
        # The first one is waited for by the second.
        run.threads = [
            threading.Thread(target=self._guard, args=(run, loop), name=f"kaggle_speech {loop.__name__}", daemon=True)
            for loop in (self._infer, self._capture)
        ]
        for thread in run.threads:
            thread.start()

    def stop(self) -> None:
        """End the stream now; waiting chunks are discarded. Does nothing when nothing runs."""
        if self._run is not None:
            self._run.stopping.set()
            self.wait(STOP_TIMEOUT_S)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the source has ended and every chunk is processed.

        Args:
            timeout_s: seconds to wait for each of the two threads; None for no limit.

        Returns:
            Whether the run has ended.
        """
        for thread in self._run.threads if self._run else ():
            if thread is not threading.current_thread():
                thread.join(timeout_s)
        return not self.is_running

    def _guard(self, run: _Run, loop: Callable[[_Run], None]) -> None:
        """Run a loop; an error ends the run and is reported."""
        try:
            loop(run)
        except Exception as error:
            if run.stopping.is_set():
                return
            self.error = error
            run.stopping.set()
            self.on_error(error)

    def _capture(self, run: _Run) -> None:
        num_missing = 0  # samples lost before the next chunk
        chunks = self.source.chunks()
        try:
            for chunk in chunks:
                if run.stopping.is_set():
                    return
                if not len(chunk):
                    continue
                if self.source.is_live and run.chunks.full():
                    lost = run.take_all()
                    self.num_dropped += len(lost)
                    num_missing += sum(before + len(waiting) for before, waiting in lost)
                run.put((num_missing, chunk))
                num_missing = 0
        except Exception:
            run.put(None)
            run.threads[0].join()  # what was read before the error counts
            raise
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        run.put(None)

    def _infer(self, run: _Run) -> None:
        while item := run.get():
            num_missing, chunk = item
            self.stream.skip(num_missing)
            self._report(self.stream.process(chunk))
        if not run.stopping.is_set():
            self._report(self.stream.finish())

    def _report(self, events: typing.Iterable[typing.Any]) -> None:
        self.state = self.observe(self.stream)
        for event in events:
            self.on_event(event)


def _ignore(_: typing.Any) -> None:
    """Default callback, which does nothing."""
