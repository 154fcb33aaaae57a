"""Live panel for a notebook cell: the last word and a bar for each label, with ipywidgets."""

import time
from collections.abc import Sequence

from kaggle_speech.labels import COMMANDS
from kaggle_speech.streaming.app import palette
from kaggle_speech.streaming.runner import StreamRunner
from kaggle_speech.streaming.stream import Source
from kaggle_speech.streaming.words import Detection, LiveState, StreamingRecogniser

REFRESH_S = 0.1
#: Seconds of the stream that a word stays bright.
BRIGHT_S = 1.5


class LivePanel:
    """Panel that shows the detections of a stream while it runs. Display `view`, then `follow` a source.

    Args:
        vocabulary: labels, in the order of the probabilities.

    Attributes:
        view: the ipywidgets box to display.

    Raises:
        ImportError: ipywidgets is not installed.
    """

    def __init__(self, vocabulary: Sequence[str]):
        import ipywidgets

        self.word = ipywidgets.HTML()
        self.status = ipywidgets.HTML()
        self.bars = [
            ipywidgets.FloatProgress(0, min=0, max=1, description=label, layout={"width": "260px", "margin": "0 12px"})
            for label in vocabulary
        ]
        num_rows = -(-len(vocabulary) // (2 if len(vocabulary) <= 12 else 3))
        columns = [
            ipywidgets.VBox(self.bars[first : first + num_rows]) for first in range(0, len(vocabulary), num_rows)
        ]
        left = ipywidgets.VBox([self.word, self.status], layout={"width": "300px"})
        self.view = ipywidgets.HBox([left, *columns], layout={"align_items": "center"})
        self.events = frozenset(COMMANDS)
        self._show_word("", palette.MUTED)

    def follow(self, recogniser: StreamingRecogniser, source: Source) -> list[Detection]:
        """Process a source to its end; interrupting the kernel ends it sooner.

        Args:
            recogniser: the recogniser; it is reset first.
            source: one of `sources`.

        Returns:
            The detections.

        Raises:
            Exception: the error that ended the source or the recogniser.
        """
        self.events = recogniser.trigger.events
        detections: list[Detection] = []
        running = StreamRunner(recogniser, source, on_event=detections.append, observe=StreamingRecogniser.live_state)
        running.start()
        try:
            while running.is_running:
                time.sleep(REFRESH_S)
                self.show(running.state, detections, recogniser.threshold)
        except KeyboardInterrupt:
            pass
        finally:
            running.stop()
        if running.error is not None:
            raise running.error
        self.show(running.state, detections, recogniser.threshold)
        return detections

    def show(self, state: LiveState | None, detections: Sequence[Detection], threshold: float) -> None:
        """Show a state and the last of the detections; bars at the threshold or above are orange.

        Args:
            state: state of the recogniser; None, before the first chunk, shows nothing.
            detections: detections so far, in time.
            threshold: lowest probability of a detection, 0 to 1.
        """
        if state is None:
            return
        for bar, probability in zip(self.bars, state.scores, strict=True):
            bar.value = float(probability)
            is_above = probability >= threshold and bar.description in self.events
            bar.style.bar_color = palette.ORANGE if is_above else palette.BLUE
        self.status.value = f"<center>{state.time_s:.1f} s, {state.level_dbfs:.0f} dBFS</center>"
        if detections:
            last = detections[-1]
            is_recent = state.time_s - last.time_s < BRIGHT_S
            self._show_word(last.label, palette.ORANGE if is_recent else palette.MUTED, last.confidence)

    def _show_word(self, word: str, color: str, confidence: float | None = None) -> None:
        sure = "" if confidence is None else f"{100 * confidence:.0f} % sure"
        self.word.value = (
            f'<center style="color: {color}; font-size: 56px; font-weight: 700; line-height: 1.2; height: 70px">{word}'
            f"</center><center>{sure or 'nothing heard yet'}</center>"
        )
