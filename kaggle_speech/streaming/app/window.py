"""The window: a source is chosen, heard in threads of its own, and looked at twenty times a second."""

import collections
import queue
import time
from pathlib import Path

from PySide6 import QtCore, QtGui, QtWidgets

from kaggle_speech.streaming import runner, sources
from kaggle_speech.streaming.app import palette, theme
from kaggle_speech.streaming.app.log import DetectionLog
from kaggle_speech.streaming.app.strip import SoundStrip
from kaggle_speech.streaming.app.widgets import Chooser, ClassGrid, Meter, WordPanel, card_of, label_of, percent, row_of
from kaggle_speech.streaming.chunks import MIN_LEVEL_DBFS
from kaggle_speech.streaming.words import MAX_THRESHOLD, MIN_THRESHOLD

REFRESH_MS = 50
AUDIO_FILES = "Audio (*.wav *.flac *.ogg *.mp3);;All files (*)"
#: Detections that may still be in the strip.
MAX_RECENT = 16
NO_MICROPHONE = "No microphone was found. Plug one in and open this window again, or play a file."


class Button(QtWidgets.QPushButton):
    """A button that Return presses, since the space bar starts and stops.

    Args:
        text: on it, and its name for screen readers.
        hint: tool tip.
    """

    def __init__(self, text, hint, clicked, **options):
        super().__init__(text, toolTip=hint, accessibleName=text.rstrip(" …"), **options)
        self.clicked.connect(clicked)

    def keyPressEvent(self, event):  # noqa: N802
        if event.key() in (QtCore.Qt.Key.Key_Return, QtCore.Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)


class LiveWindow(QtWidgets.QMainWindow):
    """The live recogniser as a window.

    Args:
        recogniser: `streaming.StreamingRecogniser`; the window has it to itself.
        path: audio file to choose at first, instead of a microphone.

    Attributes:
        live: `runner.StreamRunner` of the last start, None before.
        is_running: whether it has been started, and neither stopped nor come to its end.

    Signals:
        heard(Detection): a detection is on the screen.
        ended(): the source has ended, failed or was stopped.
    """

    heard, ended = QtCore.Signal(object), QtCore.Signal()

    def __init__(self, recogniser, path=None):
        super().__init__()
        self.recogniser, self.live, self.is_running, self._makers = recogniser, None, False, []
        self._queue, self._state = queue.SimpleQueue(), None
        self._recent, self._asked = collections.deque(maxlen=MAX_RECENT), collections.deque()
        self.setWindowTitle("Kaggle Speech, live")
        self._build()
        self._find_microphones()
        if path is not None:
            self.add_file(path)
        self.timer = QtCore.QTimer(self, interval=REFRESH_MS)
        self.timer.timeout.connect(self.refresh)
        self.timer.start()
        self.start_button.setFocus()

    def _build(self):
        self._build_controls()
        self.strip, self.log = SoundStrip(), DetectionLog()
        self.word = WordPanel(self.recogniser.trigger.events)
        self.grid = ClassGrid(self.recogniser.vocabulary, self.recogniser.threshold)
        save = Button("Save CSV …", "Save the log (Ctrl+S)", self.save_log)
        clear = Button("Clear", "Empty the log (Ctrl+L)", self.clear_log)
        threshold = row_of(
            label_of("PROBABILITIES", "heading"),
            None,
            label_of("Threshold", "muted"),
            self.slider,
            self.threshold_value,
        )
        body = QtWidgets.QGridLayout()
        body.setSpacing(theme.SPACING)
        body.addWidget(self.word, 0, 0)
        body.addWidget(card_of(threshold, self.grid), 0, 1)
        body.addWidget(card_of(row_of(label_of("LOG", "heading"), None, clear, save), self.log), 1, 0)
        body.addWidget(card_of(row_of(label_of("LAST THREE SECONDS", "heading"), None), self.strip), 1, 1)
        for index, (row_stretch, column_stretch) in enumerate([(10, 9), (11, 14)]):
            body.setRowStretch(index, row_stretch)
            body.setColumnStretch(index, column_stretch)
        page = QtWidgets.QWidget(objectName="page")
        column = QtWidgets.QVBoxLayout(page)
        column.setContentsMargins(18, 16, 18, 16)
        column.setSpacing(theme.SPACING)
        title = label_of("Kaggle Speech", "title")
        column.addLayout(row_of(title, None, self.source_box, self.open_button, self.start_button))
        column.addWidget(self.banner)
        column.addLayout(body, 1)
        self.setCentralWidget(page)
        self._build_status()
        self.setMinimumSize(900, 620)
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
        self.start_button = Button("Start", "Start and stop (space bar)", self.toggle, objectName="start")
        self.slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, accessibleName="threshold in percent")
        self.slider.setRange(round(100 * MIN_THRESHOLD), round(100 * MAX_THRESHOLD))
        self.slider.setMinimumWidth(150)
        self.slider.setToolTip("What a word's probability must reach (arrow keys)")
        self.threshold_value = label_of(meaning="threshold")
        self.threshold_value.setMinimumWidth(46)
        self.threshold_value.setAlignment(QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter)
        self.slider.setValue(round(100 * self.recogniser.threshold))
        self.threshold_value.setText(percent(self.recogniser.threshold))
        self.slider.valueChanged.connect(self.set_threshold)
        self.banner, self.message = QtWidgets.QFrame(objectName="banner"), label_of(meaning="message")
        self.message.setWordWrap(True)
        row = QtWidgets.QHBoxLayout(self.banner)
        row.setContentsMargins(16, 10, 16, 10)
        row.addWidget(self.message, 1)
        self.banner.hide()

    def _build_status(self):
        self.status, self.device = label_of(meaning="state"), label_of(role="muted", meaning="microphone or file")
        self.level_meter = Meter("level", (palette.BLUE, palette.BLUE), 8)
        self.level_meter.setFixedWidth(90)
        self.level, self.rate, self.dropped = (
            label_of(role="muted", meaning=text) for text in ("level", "how often the model is asked", "lost sound")
        )
        bar = QtWidgets.QWidget(accessibleName="status")
        bar.setLayout(row_of(self.status, self.device, None, self.level_meter, self.level, self.rate, self.dropped))
        bar.layout().setContentsMargins(18, 4, 18, 4)
        bar.layout().setSpacing(18)
        for label, text in ((self.level, "-100 dBFS"), (self.rate, "00 inferences/s")):
            label.setMinimumWidth(label.fontMetrics().horizontalAdvance(text) + 6)
        self.statusBar().setSizeGripEnabled(False)
        self.statusBar().addWidget(bar, 1)
        self._set_running(False)
        self._show_figures()

    # --- sources ------------------------------------------------------------------------------------------------

    def _find_microphones(self):
        try:
            devices = sources.input_devices()
        except sources.SourceError as error:
            return self.show_message(f"{NO_MICROPHONE}\n({error})")
        if not devices:
            return self.show_message(NO_MICROPHONE)
        for index, name in [(None, "Default microphone"), *devices]:
            self.add_source(name, lambda index=index: sources.Microphone(index))
        self.source_box.setCurrentIndex(0)

    def add_source(self, name, make):
        """Offer a source. Args: its name, and a function that makes it anew for each start."""
        self._makers.append(make)
        self.source_box.addItem(name)
        self.source_box.setEnabled(True)

    def add_file(self, path):
        """Offer an audio file, and choose it."""
        self.add_source(Path(path).name, lambda: sources.AudioFile(path, real_time=True))
        self.source_box.setCurrentIndex(len(self._makers) - 1)

    def open_file(self):
        """Ask for an audio file, and play it."""
        path, _ = QtWidgets.QFileDialog.getOpenFileName(self, "Play an audio file", "", AUDIO_FILES)
        if path:
            self.stop()
            self.add_file(path)
            self.start()

    def _change_source(self):
        was_running = self.is_running
        self.stop()
        self.banner.hide()
        if was_running:
            self.start()

    # --- running ------------------------------------------------------------------------------------------------

    def toggle(self):
        """Start or stop."""
        (self.stop if self.is_running else self.start)()

    def start(self):
        """Hear the chosen source from its beginning; what stands against it is shown as a message."""
        index = self.source_box.currentIndex()
        if self.is_running:
            return
        if index < 0:
            return self.show_message(NO_MICROPHONE)
        try:
            source = self._makers[index]()
            if self.live is not None and self.live.is_running:
                raise RuntimeError(f"{self.live.source.name} has not let go yet. Try again in a moment.")
            self._queue = queue.SimpleQueue()
            self.live = runner.StreamRunner(self.recogniser, source, on_event=self._queue.put)
            self.live.start()
        except (OSError, ValueError, RuntimeError) as error:
            return self.show_message(str(error))
        self.banner.hide()
        self._recent.clear()
        self._asked.clear()
        self._set_running(True)
        if not self.log.rows:
            self.word.show_hint("Say a command")

    def stop(self):
        """Stop hearing, and wait until the threads are gone."""
        if self.is_running:
            self.live.stop()
            self._end()

    def refresh(self):
        """Show what is new; a source that has ended, or failed, is noticed here."""
        if self.is_running:
            has_ended = not self.live.is_running  # asked first, so that the last of it is shown below
            self._show_state()
            if has_ended:
                self._end()

    def _show_state(self):
        while not self._queue.empty():
            detection = self._queue.get()
            self._recent.append(detection)
            self.word.show_detection(detection)
            self.log.add(self.live.source.name, detection)
            self.heard.emit(detection)
        state = self.live.state
        if state is not None and state is not self._state:
            self._state = state
            self.grid.show_probabilities(state.probabilities)
            self.strip.show_sound(state.waveform, state.time_s, self._recent)
        self._show_figures()

    def _end(self):
        self._set_running(False)
        self._asked.clear()
        self._show_figures()
        if self.live.error is not None:
            self.show_message(f"{self.live.source.name} failed: {self.live.error}")
        self.ended.emit()

    def _set_running(self, is_running):
        self.is_running = is_running
        self.start_button.setText("Stop" if is_running else "Start")
        self.start_button.setAccessibleName(self.start_button.text())
        self.start_button.setProperty("running", is_running)
        self.start_button.style().polish(self.start_button)
        self.status.setText("● Listening" if is_running else "■ Stopped")
        self.status.setStyleSheet(f"color: {palette.BLUE if is_running else palette.MUTED}; font-weight: 600;")

    def _show_figures(self):
        """The status bar."""
        state, now = self.live.state if self.is_running else None, time.monotonic()
        if self.is_running:
            self._asked.append((now, self.recogniser.num_asked))
            while now - self._asked[0][0] > 1.0 and len(self._asked) > 2:
                self._asked.popleft()
        seconds, count = (
            (b - a for a, b in zip(self._asked[0], self._asked[-1], strict=True)) if self._asked else (0, 0)
        )
        self.rate.setText(f"{count / seconds if seconds else 0:.0f} inferences/s")
        level = MIN_LEVEL_DBFS if state is None else state.level_dbfs
        self.level.setText(f"{level:.0f} dBFS".replace("-", "\N{MINUS SIGN}"))
        self.level_meter.show_share(1 - level / MIN_LEVEL_DBFS)
        self.device.setText(self.live.source.name if self.live else self.source_box.currentText())
        self.dropped.setText(f"{self.live.num_dropped if self.live else 0} chunks dropped")

    # --- what the controls do -----------------------------------------------------------------------------------

    def set_threshold(self, value):
        """Set what a probability must reach, in percent; holds from the next hop."""
        self.recogniser.threshold = value / 100
        self.threshold_value.setText(percent(value / 100))
        self.grid.show_threshold(value / 100)

    def show_message(self, text):
        """Show a message until the next start."""
        self.message.setText(text)
        self.banner.show()

    def save_log(self):
        """Ask for a CSV, and write the log to it."""
        name = time.strftime("detections_%Y%m%d_%H%M%S.csv")
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self, "Save the log", name, "CSV (*.csv)")
        try:
            if path:
                self.log.save(path)
        except OSError as error:
            self.show_message(f"The log was not saved: {error}")

    def clear_log(self):
        """Empty the log."""
        self.log.forget()

    def closeEvent(self, event):  # noqa: N802
        self.stop()
        self.timer.stop()
        super().closeEvent(event)
