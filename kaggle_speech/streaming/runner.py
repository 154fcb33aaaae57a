"""A source and a recogniser, each in a thread of its own, with a queue between them that cannot grow."""

import queue
import threading
import typing

import numpy as np

#: Chunks that may wait for the recogniser; at 50 ms a chunk, two seconds.
MAX_WAITING = 40
#: Seconds that `stop` waits for a thread.
STOP_TIMEOUT_S = 5.0


class LiveState(typing.NamedTuple):
    """What a window shows, as of the last chunk.

    Attributes:
        time_s: of the stream.
        level_dbfs: of the last hop.
        is_active: whether anything sounds.
        probabilities: smoothed, `(len(vocabulary),)`.
        waveform: the last three seconds, `(samples,)`.
    """

    time_s: float
    level_dbfs: float
    is_active: bool
    probabilities: np.ndarray
    waveform: np.ndarray


def live_state(heard):
    """The `LiveState` of a `StreamingRecogniser`."""
    return LiveState(heard.time_s, heard.level_dbfs, heard.is_active, heard.probabilities, heard.latest())


class _Run:
    """What belongs to one start: its threads, their queue, and the wish to stop."""

    def __init__(self, max_waiting):
        self.chunks, self.stopping = queue.Queue(maxsize=max_waiting), threading.Event()
        self.threads = []

    def put(self, item):
        """Wait for a place in the queue, but not when stopping."""
        while not self.stopping.is_set():
            try:
                return self.chunks.put(item, timeout=0.1)
            except queue.Full:
                pass

    def get(self):
        """The next item, or None when stopping."""
        while not self.stopping.is_set():
            try:
                return self.chunks.get(timeout=0.1)
            except queue.Empty:
                pass


class StreamRunner:
    """Hears a source until it ends, fails or is stopped; can be started again.

    A live source is never waited for and never waits: when the recogniser is too slow, chunks are dropped and counted.
    Another one (a file, a pipe) waits instead.

    Args:
        recogniser: `StreamingRecogniser`, or what has its `process`, `skip`, `finish` and `reset`.
        source: one of `sources`; may be exchanged while nothing runs.
        on_event: called with each `Detection`, or what else it hears, in the recogniser's thread.
        on_error: called with the error that ended a run, in the thread where it happened.
        observe: called with the recogniser after every chunk, gives `state`.
        max_waiting: chunks that may wait.

    Attributes:
        error: what ended the last run, None where nothing did.
        num_dropped: chunks dropped since the start.
        state: `LiveState`, or what `observe` gave; None before the first chunk.
    """

    def __init__(
        self, recogniser, source, *, on_event=None, on_error=None, observe=live_state, max_waiting=MAX_WAITING
    ):
        self.recogniser, self.source, self.observe, self.max_waiting = recogniser, source, observe, max_waiting
        self.on_event, self.on_error = on_event or (lambda _: None), on_error or (lambda _: None)
        self.error, self.num_dropped, self.state, self._run = None, 0, None, None

    @property
    def is_running(self):
        """Whether a thread is alive: the source has more, or what it gave is still being heard."""
        return self._run is not None and any(thread.is_alive() for thread in self._run.threads)

    def start(self):
        """Begin a new stream.

        Raises:
            RuntimeError: it runs already.
        """
        if self.is_running:
            raise RuntimeError(
                "`start` must be called when nothing runs. Received: a running recogniser; stop it first"
            )
        self.error, self.num_dropped, self.state = None, 0, None
        self.recogniser.reset()
        self._run = run = _Run(self.max_waiting)
        run.threads = [
            threading.Thread(target=self._guard, args=(run, loop), name=f"kaggle_speech {loop.__name__}", daemon=True)
            for loop in (self._capture, self._infer)
        ]
        for thread in run.threads:
            thread.start()

    def stop(self):
        """End the stream now; what waits is not heard. Does nothing when nothing runs."""
        if self._run is not None:
            self._run.stopping.set()
            self.wait(STOP_TIMEOUT_S)

    def wait(self, timeout_s=None):
        """Wait until the source has ended and everything is heard. Shape: -> bool, whether that is so."""
        for thread in self._run.threads if self._run else ():
            if thread is not threading.current_thread():
                thread.join(timeout_s)
        return not self.is_running

    def _guard(self, run, loop):
        """A loop whose error ends the run and is reported."""
        try:
            loop(run)
        except Exception as error:
            if run.stopping.is_set():
                return
            self.error = error
            run.stopping.set()
            self.on_error(error)

    def _capture(self, run):
        num_missing, chunks = 0, self.source.chunks()
        try:
            for chunk in chunks:
                if run.stopping.is_set():
                    return
                if not len(chunk):
                    continue
                try:
                    self._hand_over(run, (num_missing, chunk))
                    num_missing = 0
                except queue.Full:
                    self.num_dropped += 1
                    num_missing += len(chunk)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        run.put(None)

    def _hand_over(self, run, item):
        if self.source.is_live:
            run.chunks.put_nowait(item)
        else:
            run.put(item)

    def _infer(self, run):
        while item := run.get():
            num_missing, chunk = item
            self.recogniser.skip(num_missing)
            self._report(self.recogniser.process(chunk))
        if not run.stopping.is_set():
            self._report(self.recogniser.finish())

    def _report(self, detections):
        self.state = self.observe(self.recogniser)
        for detection in detections:
            self.on_event(detection)
