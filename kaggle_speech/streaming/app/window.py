"""The live window: choose a source, start and stop, see probabilities, detections and sound, 20 times a second."""

import collections
import functools
import queue
import time
from collections.abc import Callable
from pathlib import Path

from PySide6 import QtCore, QtGui, QtWidgets

from kaggle_speech.streaming import sources
from kaggle_speech.streaming.app import palette, theme
from kaggle_speech.streaming.app.log import DetectionLog
from kaggle_speech.streaming.app.strip import SoundStrip
from kaggle_speech.streaming.app.widgets import (
    Button,
    Chooser,
    ClassGrid,
    Elided,
    Meter,
    Note,
    WordPanel,
    card_of,
    label_of,
    legend,
    percent,
    row_of,
)
from kaggle_speech.streaming.chunks import MIN_LEVEL_DBFS
from kaggle_speech.streaming.runner import StreamRunner
from kaggle_speech.streaming.stream import Source
from kaggle_speech.streaming.words import MAX_THRESHOLD, MIN_THRESHOLD, Detection, LiveState, StreamingRecogniser

AUDIO_FILES = "Audio (*.wav *.flac *.ogg *.mp3);;All files (*)"
#: Number of detections kept for the strip.
MAX_RECENT = 16
NOTES_HINT = "Float a note up for two seconds when a command is heard"
NO_MICROPHONE = "No microphone was found. Plug one in and open this window again, or play a file."


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, such as `1:05`."""
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes}:{seconds:02d}"


class LiveWindow(QtWidgets.QMainWindow):
    """The live recogniser as a window.

    Args:
        recogniser: the recogniser; the window has it to itself.
        path: audio file that is chosen first, instead of a microphone.
        name: name of the model and of what runs it, for the title.

    Attributes:
        runner: `StreamRunner` of the last start, None before.
        is_running: whether it has been started, and has neither been stopped nor ended.

    Signals:
        detected(Detection): a detection is on the screen.
        ended(): the source has ended, failed or was stopped.
    """

    detected = QtCore.Signal(object)
    ended = QtCore.Signal()

    def __init__(self, recogniser: StreamingRecogniser, path: Path | str | None = None, name: str = ""):
        super().__init__()
        self.recogniser = recogniser
        self.runner: StreamRunner | None = None
        self.is_running = False
        self._makers: list[Callable[[], Source]] = []  # in the order of the drop-down list
        self._detections: queue.SimpleQueue[Detection] = queue.SimpleQueue()  # from the thread of the recogniser
        self._state: LiveState | None = None
        self._recent: collections.deque[Detection] = collections.deque(maxlen=MAX_RECENT)
        self._asked: collections.deque[tuple[float, int]] = collections.deque()  # time, evaluations so far
        self.setWindowTitle(f"Kaggle Speech, live: {name}" if name else "Kaggle Speech, live")
        self._build(name)
        self._find_microphones()
        if path is not None:
            self.add_file(path)
        self.timer = QtCore.QTimer(self, interval=palette.REFRESH_MS)
        self.timer.timeout.connect(self.refresh)
        self.timer.start()
        self.start_button.setFocus()

    def _build(self, name):
        self._build_controls()
        self.strip = SoundStrip()
        self.log = DetectionLog()
        vocabulary, events = self.recogniser.vocabulary, self.recogniser.trigger.events
        self.word = WordPanel([label for label in vocabulary if label in events], self.notes_button)
        self.grid = ClassGrid(vocabulary, events, self.recogniser.threshold)
        save = Button("Save CSV …", "Save the log (Ctrl+S)", self.save_log)
        clear = Button("Clear", "Empty the log (Ctrl+L)", self.clear_log)
        threshold = row_of(
            label_of("SCORES", "heading"),
            None,
            label_of("Threshold", "muted"),
            self.slider,
            self.threshold_value,
        )
        body = QtWidgets.QGridLayout()
        body.setSpacing(theme.SPACING)
        body.addWidget(self.word, 0, 0)
        scores = card_of(threshold, self.grid)
        scores.layout().addLayout(legend())
        body.addWidget(scores, 0, 1)
        log = card_of(row_of(label_of("LOG", "heading"), None, clear, save), self.log)
        log.layout().addWidget(self.log.counts)
        body.addWidget(log, 1, 0)
        body.addWidget(card_of(row_of(label_of("LAST THREE SECONDS", "heading"), None), self.strip), 1, 1)
        for index, (row_stretch, column_stretch) in enumerate([(10, 9), (11, 14)]):
            body.setRowStretch(index, row_stretch)
            body.setColumnStretch(index, column_stretch)
        page = QtWidgets.QWidget(objectName="page")
        column = QtWidgets.QVBoxLayout(page)
        column.setContentsMargins(18, 16, 18, 16)
        column.setSpacing(theme.SPACING)
        self.model = Elided("model and engine")
        self.model.setText(name)
        self.model.setToolTip(name)
        title = label_of("Kaggle Speech", "title"), self.model
        column.addLayout(row_of(*title, None, self.source_box, self.open_button, self.start_button))
        column.addWidget(self.banner)
        column.addLayout(body, 1)
        self.setCentralWidget(page)
        self.note = Note(page)
        self._build_status()
        self.setMinimumSize(900, 660)
        self.resize(1120, 720)
        for key, action in {
            "Space": self.toggle,
            "Ctrl+O": self.open_file,
            "Ctrl+S": self.save_log,
            "Ctrl+L": self.clear_log,
        }.items():
            QtGui.QShortcut(QtGui.QKeySequence(key), self, activated=action)

    def _build_controls(self):
        self.source_box = Chooser(minimumWidth=230, accessibleName="microphone or file", enabled=False)
        self.source_box.setPlaceholderText("No microphone")
        self.source_box.currentIndexChanged.connect(self._change_source)
        self.open_button = Button("Open a file …", "Play an audio file instead (Ctrl+O)", self.open_file)
        self.start_button = Button("Start", "Start and stop (space bar)", self.toggle, name="start")
        self.notes_button = Button("Notes off", NOTES_HINT, self._change_notes, name="small")
        self.notes_button.setCheckable(True)
        self.slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, accessibleName="threshold in percent")
        self.slider.setRange(round(100 * MIN_THRESHOLD), round(100 * MAX_THRESHOLD))
        self.slider.setMinimumWidth(150)
        limits = f"{percent(MIN_THRESHOLD)} to {percent(MAX_THRESHOLD)}"
        self.slider.setToolTip(f"Lowest score of a detection, {limits} (arrow keys)")
        self.threshold_value = label_of(meaning="threshold")
        self.threshold_value.setMinimumWidth(46)
        self.threshold_value.setAlignment(QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter)
        self.slider.setValue(round(100 * self.recogniser.threshold))
        self.threshold_value.setText(percent(self.recogniser.threshold))
        self.slider.valueChanged.connect(self.set_threshold)
        self.banner = QtWidgets.QFrame(objectName="banner")
        self.message = label_of(meaning="message")
        self.message.setWordWrap(True)
        row = QtWidgets.QHBoxLayout(self.banner)
        row.setContentsMargins(16, 10, 16, 10)
        row.addWidget(self.message, 1)
        self.banner.hide()

    def _build_status(self):
        self.status = label_of(meaning="state")
        self.device = Elided("microphone or file")
        self.played = label_of(role="muted", meaning="time played, of the whole file")
        self.level_meter = Meter("level", (palette.BLUE, palette.BLUE), 8)
        self.level_meter.setFixedWidth(90)
        self.level = label_of(role="muted", meaning="level")
        self.rate = label_of(role="muted", meaning="evaluations of the model per second")
        self.dropped = label_of(role="muted", meaning="lost sound")
        bar = QtWidgets.QWidget(accessibleName="status")
        right = self.level_meter, self.level, self.rate, self.dropped
        bar.setLayout(row_of(self.status, self.device, self.played, None, *right))
        bar.layout().setContentsMargins(18, 4, 18, 4)
        bar.layout().setSpacing(18)
        for label, text in ((self.level, "\N{MINUS SIGN}100 dBFS"), (self.rate, "00 inferences/s")):
            label.setMinimumWidth(label.fontMetrics().horizontalAdvance(text) + 6)
        self.statusBar().setSizeGripEnabled(False)
        self.statusBar().addWidget(bar, 1)
        self._set_running(False)
        self._show_figures()

    # --- sources ------------------------------------------------------------------------------------------------

    def _find_microphones(self) -> None:
        try:
            devices = sources.input_devices()
        except sources.SourceError as error:
            return self.show_message(f"{NO_MICROPHONE}\n({error})")
        if not devices:
            return self.show_message(NO_MICROPHONE)
        for index, name in [(None, "Default microphone"), *devices]:
            self.add_source(name, functools.partial(_microphone, index))
        self.source_box.setCurrentIndex(0)

    def add_source(self, name: str, make_source: Callable[[], Source]) -> None:
        """Add a source to the drop-down list.

        Args:
            name: name in the list.
            make_source: makes the source anew for each start.
        """
        self._makers.append(make_source)
        self.source_box.addItem(name)
        self.source_box.setEnabled(True)

    def add_file(self, path: Path | str) -> None:
        """Add an audio file to the drop-down list, and choose it."""
        self.add_source(Path(path).name, lambda: sources.AudioFile(path, real_time=True))
        self.source_box.setCurrentIndex(len(self._makers) - 1)

    def open_file(self) -> None:
        """Ask for an audio file, and play it."""
        path, _ = QtWidgets.QFileDialog.getOpenFileName(self, "Play an audio file", "", AUDIO_FILES)
        if path:
            self.stop()
            self.add_file(path)
            self.start()

    def _change_source(self) -> None:
        was_running = self.is_running
        self.stop()
        self.banner.hide()
        if was_running:
            self.start()

    # --- running ------------------------------------------------------------------------------------------------

    def toggle(self) -> None:
        """Start or stop."""
        if self.is_running:
            self.stop()
        else:
            self.start()

    def start(self) -> None:
        """Start the chosen source from its beginning; an error is shown as a message."""
        index = self.source_box.currentIndex()
        if self.is_running:
            return
        if index < 0:
            return self.show_message(NO_MICROPHONE)
        try:
            source = self._makers[index]()
            if self.runner is not None and self.runner.is_running:
                raise RuntimeError(f"{self.runner.source.name} has not stopped yet. Try again in a moment.")
            self._detections = queue.SimpleQueue()
            self.runner = StreamRunner(
                self.recogniser, source, on_event=self._detections.put, observe=StreamingRecogniser.live_state
            )
            self.runner.start()
        except (OSError, ValueError, RuntimeError) as error:
            return self.show_message(str(error))
        self.banner.hide()
        self._recent.clear()
        self._asked.clear()
        self._set_running(True)
        if not self.log.rows:
            self.word.show_hint("Say a command")

    def stop(self) -> None:
        """Stop the source, and wait for its threads."""
        if self.is_running and self.runner is not None:
            self.runner.stop()
            self._end(self.runner)

    def refresh(self) -> None:
        """Show new detections, the state, and the end or failure of the source."""
        if self.is_running and self.runner is not None:
            has_ended = not self.runner.is_running  # before the state is shown, which is the last one then
            self._show_state(self.runner)
            if has_ended:
                self._end(self.runner)

    def _show_state(self, runner: StreamRunner) -> None:
        while not self._detections.empty():
            detection = self._detections.get()
            self._recent.append(detection)
            self.word.show_detection(detection)
            if self.notes_button.isChecked():
                self.note.show_text(f"{detection.label}, {percent(detection.confidence)}")
            self.log.add(runner.source.name, detection)
            self.detected.emit(detection)
        state = runner.state
        if state is not None and state is not self._state:
            self._state = state
            self.grid.show_probabilities(state.scores)
            self.strip.show_sound(state.waveform, state.time_s, self._recent)
        self._show_figures()

    def _end(self, runner: StreamRunner) -> None:
        self._set_running(False)
        self._asked.clear()
        self._show_figures()
        if runner.error is not None:
            self.show_message(f"{runner.source.name} failed: {runner.error}")
        self.ended.emit()

    def _set_running(self, is_running: bool) -> None:
        self.is_running = is_running
        self.start_button.setText("Stop" if is_running else "Start")
        self.start_button.setAccessibleName(self.start_button.text())
        self.start_button.setProperty("running", is_running)
        self.start_button.style().polish(self.start_button)
        self.status.setText("● Listening" if is_running else "■ Stopped")
        self.status.setStyleSheet(f"color: {palette.BLUE if is_running else palette.MUTED}; font-weight: 600;")

    def _show_figures(self) -> None:
        """Update the status bar."""
        state = self.runner.state if self.is_running and self.runner is not None else None
        self.rate.setText(f"{self._evaluations_per_second():.0f} inferences/s")
        level = MIN_LEVEL_DBFS if state is None else state.level_dbfs
        self.level.setText(f"{level:.0f} dBFS".replace("-", "\N{MINUS SIGN}"))
        self.level_meter.show_fraction(1 - level / MIN_LEVEL_DBFS)
        self.device.setText(self.runner.source.name if self.runner else self.source_box.currentText())
        num_dropped = self.runner.num_dropped if self.runner else 0
        self.dropped.setText(f"{num_dropped} {'chunk' if num_dropped == 1 else 'chunks'} dropped")
        self.dropped.setVisible(num_dropped > 0)
        self.played.setText(self._time_played())

    def _time_played(self) -> str:
        """Time since the start, of a file with its length; empty before."""
        if self.runner is None or self.runner.state is None:
            return ""
        time_s = self.runner.state.time_s
        duration_s = getattr(self.runner.source, "duration_s", None)
        return clock(time_s) if duration_s is None else f"{clock(min(time_s, duration_s))} of {clock(duration_s)}"

    def _evaluations_per_second(self) -> float:
        """Evaluations of the model in the last second; 0 when nothing runs."""
        if not self.is_running:
            return 0.0
        now = time.monotonic()
        self._asked.append((now, self.recogniser.num_asked))
        while now - self._asked[0][0] > 1.0 and len(self._asked) > 2:
            self._asked.popleft()
        start, num_before = self._asked[0]
        return (self.recogniser.num_asked - num_before) / (now - start) if now > start else 0.0

    # --- actions of the controls --------------------------------------------------------------------------------

    def set_threshold(self, value: int) -> None:
        """Set the threshold, in percent; it holds from the next hop on."""
        self.recogniser.threshold = value / 100
        self.threshold_value.setText(percent(value / 100))
        self.grid.show_threshold(value / 100)

    def _change_notes(self) -> None:
        """Say by the text of its button whether notes float up."""
        self.notes_button.setText("Notes on" if self.notes_button.isChecked() else "Notes off")
        self.notes_button.setAccessibleName(self.notes_button.text())

    def show_message(self, text: str) -> None:
        """Show a message until the next start."""
        self.message.setText(text)
        self.banner.show()

    def save_log(self) -> None:
        """Ask for a CSV, and write the log to it."""
        name = time.strftime("detections_%Y%m%d_%H%M%S.csv")
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self, "Save the log", name, "CSV (*.csv)")
        try:
            if path:
                self.log.save(path)
        except OSError as error:
            self.show_message(f"The log was not saved: {error}")

    def clear_log(self) -> None:
        """Empty the log."""
        self.log.forget()

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:  # noqa: N802
        self.stop()
        self.timer.stop()
        super().closeEvent(event)


def _microphone(index: int | None) -> Source:
    return sources.Microphone(index)
