"""The window in small, for a notebook cell: the big word and a bar for each label, with ipywidgets."""

import time

from kaggle_speech.labels import COMMANDS
from kaggle_speech.streaming.app import palette
from kaggle_speech.streaming.runner import StreamRunner

REFRESH_S = 0.1
#: Seconds of the stream that a word stays bright.
BRIGHT_S = 1.5


class LivePanel:
    """What is heard, as it is heard. Display `view`, then `follow` a source.

    Args:
        vocabulary: labels, in the order of the probabilities.

    Attributes:
        view: the ipywidgets box to display.

    Raises:
        ImportError: ipywidgets is not installed.
    """

    def __init__(self, vocabulary):
        import ipywidgets

        self.word, self.status, self.last = ipywidgets.HTML(), ipywidgets.HTML(), None
        self.bars = [
            ipywidgets.FloatProgress(0, min=0, max=1, description=label, layout={"width": "260px", "margin": "0 12px"})
            for label in vocabulary
        ]
        num_rows = -(-len(vocabulary) // (2 if len(vocabulary) <= 12 else 3))
        columns = [ipywidgets.VBox(self.bars[at : at + num_rows]) for at in range(0, len(vocabulary), num_rows)]
        left = ipywidgets.VBox([self.word, self.status], layout={"width": "300px"})
        self.view = ipywidgets.HBox([left, *columns], layout={"align_items": "center"})
        self._show_word("", palette.MUTED)

    def follow(self, recogniser, source):
        """Hear a source to its end; interrupting the kernel ends it sooner.

        Args:
            recogniser: `streaming.StreamingRecogniser`.
            source: one of `sources`.

        Returns:
            list of `Detection`.

        Raises: what ended the source.
        """
        heard = []
        running = StreamRunner(recogniser, source, on_event=heard.append)
        running.start()
        try:
            while running.is_running:
                time.sleep(REFRESH_S)
                self.show(running.state, heard, recogniser.threshold)
        except KeyboardInterrupt:
            pass
        finally:
            running.stop()
        if running.error is not None:
            raise running.error
        self.show(running.state, heard, recogniser.threshold)
        return heard

    def show(self, state, heard, threshold):
        """Show a `LiveState` (or None) and the last of the detections; bars at the threshold or above are orange."""
        if state is None:
            return
        for bar, probability in zip(self.bars, state.probabilities, strict=True):
            bar.value = float(probability)
            is_heard = probability >= threshold and bar.description in COMMANDS
            bar.style.bar_color = palette.ORANGE if is_heard else palette.BLUE
        self.status.value = f"<center>{state.time_s:.1f} s, {state.level_dbfs:.0f} dBFS</center>"
        if heard:
            is_fresh = state.time_s - heard[-1].time_s < BRIGHT_S
            self._show_word(heard[-1].label, palette.ORANGE if is_fresh else palette.MUTED, heard[-1].confidence)

    def _show_word(self, word, color, confidence=None):
        sure = "" if confidence is None else f"{100 * confidence:.0f} % sure"
        self.word.value = (
            f'<center style="color: {color}; font-size: 56px; font-weight: 700; line-height: 1.2; height: 70px">{word}'
            f"</center><center>{sure or 'nothing heard yet'}</center>"
        )
