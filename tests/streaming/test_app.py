"""Live window, drawn off screen, with sources that are made here."""

import os
import threading
import time

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import fakes
import numpy as np
import pandas as pd
import pytest

from kaggle_speech.audio import SAMPLE_RATE, write_wav
from kaggle_speech.cli.main import main
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS, SILENCE
from kaggle_speech.streaming import sources
from kaggle_speech.streaming.app import launch, log, palette, requirements, strip, theme, widgets
from kaggle_speech.streaming.app.window import NO_MICROPHONE, LiveWindow, clock
from kaggle_speech.streaming.chunks import BUFFER_SAMPLES
from kaggle_speech.streaming.words import Detection, StreamingRecogniser

try:
    requirements.require_qt()
except ImportError as error:
    pytest.skip(f"needs Qt: {error}", allow_module_level=True)

from PySide6 import QtCore, QtGui, QtTest, QtWidgets

FREQUENCIES_HZ = 250.0 * np.arange(1, len(COMPETITION_LABELS) + 1)
SECONDS = np.arange(SAMPLE_RATE) / SAMPLE_RATE


class ToneModel:
    """Each label is a tone of its own, and is answered with 90 %; less than a fifth of a second of it is silence."""

    waves = np.exp(2j * np.pi * np.outer(SECONDS, FREQUENCIES_HZ))

    def predict_on_batch(self, waveform):
        power = np.abs(waveform @ self.waves)
        power[:, COMPETITION_LABELS.index(SILENCE)] = 0.1 * SAMPLE_RATE / 5
        return 0.1 / 12 + 0.9 * np.eye(12, dtype="float32")[power.argmax(axis=1)]


def spoken(*words):
    """A tone of 0.4 s for each word, and 0.8 s of silence after it. Shape: -> `(samples,)` float32."""
    tones = [0.2 * np.sin(2 * np.pi * FREQUENCIES_HZ[COMPETITION_LABELS.index(word)] * SECONDS) for word in words]
    return np.concatenate([np.pad(tone[:6400], (0, 12_800)) for tone in tones]).astype("float32")


def silence():
    """A minute of silence in real time: longer than any test."""
    return sources.Samples(np.zeros(60 * SAMPLE_RATE, "float32"), real_time=True, chunk_ms=10)


class DyingSource:
    """A word, and then, when it was heard, the plug is pulled."""

    name, is_live = "dying", False

    def __init__(self):
        self.was_heard = threading.Event()

    def chunks(self):
        yield spoken("go")
        self.was_heard.wait(fakes.TIMEOUT_S)
        raise sources.SourceError("somebody pulled the plug")


@pytest.fixture(scope="module")
def application():
    return launch.application()


@pytest.fixture
def recogniser():
    return StreamingRecogniser(ToneModel(), COMPETITION_LABELS, threshold=0.7)


@pytest.fixture
def window(application, recogniser, monkeypatch):
    """A window on a machine without PortAudio."""

    def input_devices():
        raise sources.SourceError("PortAudio is missing")

    monkeypatch.setattr(sources, "input_devices", input_devices)
    window = LiveWindow(recogniser)
    window.show()
    yield window
    window.close()


def wait_for(condition):
    """Wait while the window works."""
    fakes.wait_for(condition, pause=lambda seconds: QtTest.QTest.qWait(round(1000 * seconds)))


def play(window, source):
    """Play a source to its end."""
    window.add_source(source.name, lambda: source)
    window.source_box.setCurrentIndex(window.source_box.count() - 1)
    window.start()
    wait_for(lambda: not window.is_running)


def pixel(widget, x, y):
    return widget.grab().toImage().pixelColor(x, y).name()


def our_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("kaggle_speech")]


def test_words_appear_on_the_panel_in_the_log_and_in_the_strip(window, recogniser):
    waveform = spoken("yes", "stop", "left")
    expected = recogniser.process(waveform)
    heard = []
    window.detected.connect(heard.append)
    play(window, sources.Samples(waveform))
    assert heard == expected and [found.label for found in expected] == ["yes", "stop", "left"]
    assert window.word.word.text() == "left"
    assert window.word.confidence.text().startswith(f"{100 * expected[-1].confidence:.0f} % sure when heard, at ")
    assert [row[2:] for row in window.log.rows] == [(pytest.approx(d.time_s, abs=1e-3), *d[1:3]) for d in expected]
    assert [window.log.item(row, 2).text() for row in range(3)] == ["left", "stop", "yes"]  # the newest on top
    assert [found.label for found in window.strip.detections] == ["stop", "left"]  # three seconds
    assert window.strip.waveform.shape == (BUFFER_SAMPLES,) and np.abs(window.strip.waveform).max() > 0.1


def test_bars_follow_the_state(window):
    window.add_source("endless", silence)
    window.source_box.setCurrentIndex(0)
    window.start()
    wait_for(lambda: window.runner.state is not None and window.grid.values[10].text() == "100 %")
    assert [value.text() for value in window.grid.values[:10]] == ["0 %"] * 10
    assert window.status.text() == "● Listening" and window.start_button.text() == "Stop"
    assert window.device.text() == "array" and window.level.text() == "\N{MINUS SIGN}100 dBFS"
    wait_for(lambda: window.dropped.isVisible() == (window.runner.num_dropped > 0))
    window.runner.num_dropped += 7
    wait_for(lambda: window.dropped.text() == f"{window.runner.num_dropped} chunks dropped")
    assert window.runner.num_dropped >= 7 and window.dropped.isVisible()
    running = pixel(window.start_button, 8, window.start_button.height() // 2)
    window.stop()
    assert window.status.text() == "■ Stopped" and window.start_button.text() == "Start"
    assert running == palette.ERROR and pixel(window.start_button, 8, window.start_button.height() // 2) == palette.BLUE


def test_the_slider_sets_the_threshold_while_it_runs(window, recogniser):
    assert window.slider.value() == 70 and window.threshold_value.text() == "70 %"
    assert (window.slider.minimum(), window.slider.maximum()) == (10, 99)
    window.add_source("endless", silence)
    window.source_box.setCurrentIndex(0)
    window.start()
    QtTest.QTest.keyClick(window.slider, QtCore.Qt.Key.Key_Right)
    assert recogniser.threshold == 0.71 and window.threshold_value.text() == "71 %"
    assert {meter.threshold for meter in window.grid.meters} == {0.71}
    window.stop()
    window.slider.setValue(95)
    play(window, sources.Samples(spoken("yes")))
    assert window.log.rows == []
    window.slider.setValue(10)
    play(window, sources.Samples(spoken("yes")))
    assert [row.label for row in window.log.rows] == ["yes"]


def test_the_log_is_saved_as_it_is(window, tmp_path, monkeypatch):
    path = tmp_path / "log.csv"
    monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    play(window, sources.Samples(spoken("no", "go")))
    window.save_log()
    saved_df = pd.read_csv(path)
    pd.testing.assert_frame_equal(saved_df, pd.DataFrame(window.log.rows))
    assert list(saved_df["label"]) == ["no", "go"] and set(saved_df["source"]) == {"array"}
    assert pd.to_datetime(saved_df["clock"]).is_monotonic_increasing
    window.clear_log()
    assert window.log.rows == [] and window.log.rowCount() == 0
    monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "no" / "a.csv"), ""))
    window.save_log()
    assert window.banner.isVisible() and "The log was not saved" in window.message.text()
    monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    window.save_log()  # called off


def test_before_the_first_word_it_says_what_can_be_said(window):
    assert window.word.choice.text() == f"What can I say? {', '.join(COMMANDS)}" and window.word.choice.isVisible()
    assert not window.word.meter.isVisible()
    play(window, sources.Samples(spoken("yes")))
    assert not window.word.choice.isVisible() and window.word.meter.isVisible()


def test_a_note_floats_up_where_it_is_wanted(window):
    play(window, sources.Samples(spoken("yes")))
    assert window.notes_button.text() == "Notes off" and not window.note.isVisible()
    window.notes_button.setFocus()
    QtTest.QTest.keyClick(window.notes_button, QtCore.Qt.Key.Key_Return)
    assert window.notes_button.text() == window.notes_button.accessibleName() == "Notes on"
    shown = []
    window.detected.connect(lambda _: shown.append((window.note.isVisible(), window.note.text())))
    play(window, sources.Samples(spoken("up", "go")))
    expected = [(True, f"{row.label}, {100 * row.confidence:.0f} %") for row in window.log.rows[1:]]
    assert shown == expected and len(shown) == 2
    window.note.show_text("go, 90 %")
    room = window.note.parentWidget().rect()
    tops = []
    for time_ms in (0, 500, widgets.NOTE_MS - 1):
        window.note.rise.setCurrentTime(time_ms)
        assert room.contains(window.note.geometry())
        tops.append(window.note.y())
    assert tops == sorted(tops, reverse=True) and tops[0] - tops[2] == widgets.NOTE_RISE
    window.note.rise.setCurrentTime(widgets.NOTE_MS)
    assert not window.note.isVisible()


def test_the_log_counts_the_words(window):
    assert window.log.counts.text() == "" and not window.log.counts.isVisible()
    play(window, sources.Samples(spoken("yes", "stop", "no", "stop")))
    assert window.log.counts.isVisible()
    shown = window.log.counts.text().replace("\N{NO-BREAK SPACE}", " ").split("   ")
    expected = pd.Series([row.label for row in window.log.rows]).value_counts()
    assert {text.split()[0]: int(text.split()[1]) for text in shown} == expected.to_dict()
    assert shown[0] == "stop 2"
    window.clear_log()
    assert window.log.counts.text() == "" and not window.log.counts.isVisible()


def test_the_time_of_a_file_is_shown_with_its_length(window, tmp_path):
    path = tmp_path / "words.wav"
    write_wav(path, spoken("yes"))  # 1.2 s
    window.add_file(path)
    assert window.played.text() == ""
    shown = []
    window.detected.connect(lambda _: shown.append(window.played.text()))
    window.start()
    wait_for(lambda: not window.is_running)
    assert window.played.text() == "0:01 of 0:01"  # the half second of silence after it does not count
    play(window, sources.Samples(np.zeros(2 * SAMPLE_RATE, "float32")))
    assert window.played.text() == "0:02"
    assert [clock(seconds) for seconds in (0, 59.9, 60, 3600)] == ["0:00", "0:59", "1:00", "60:00"]


def test_the_window_names_the_model(application, recogniser, monkeypatch):
    monkeypatch.setattr(sources, "input_devices", list)
    window = LiveWindow(recogniser, name="bc_resnet, onnxruntime")
    assert window.windowTitle().endswith("live: bc_resnet, onnxruntime")
    assert window.model.text() == "bc_resnet, onnxruntime"
    window.close()
    window = LiveWindow(recogniser, name="a" * 99)
    window.show()
    window.resize(1, 1)
    shown = window.model.shown_text()
    assert window.model.toolTip() == "a" * 99 and 9 < len(shown) < 99 and shown == "a" * (len(shown) - 1) + "…"
    assert window.model.geometry().right() < window.source_box.geometry().left()
    window.close()


def test_nothing_is_cut_at_the_smallest_size(window):
    window.show_message("A message of two lines.\nThis is the second one.")
    window.dropped.setText("100 chunks dropped")
    window.dropped.show()
    window.device.setText("a" * 99)
    window.resize(1, 1)
    QtTest.QTest.qWait(50)
    needed = window.minimumSizeHint()
    assert window.width() >= needed.width() and window.height() >= needed.height()


@pytest.mark.slow
def test_a_hundred_starts_leave_no_thread(window):
    before = threading.active_count()
    window.add_source("endless", silence)
    window.source_box.setCurrentIndex(0)
    for _ in range(100):
        window.toggle()
        assert window.is_running and len(our_threads()) == 2
        window.toggle()
        assert not window.is_running
    assert threading.active_count() == before and not our_threads()


def test_a_source_that_dies_is_shown_and_can_be_started_again(window):
    source = DyingSource()
    window.detected.connect(lambda _: source.was_heard.set())
    play(window, source)
    assert window.banner.isVisible() and window.message.text() == "dying failed: somebody pulled the plug"
    assert [row.label for row in window.log.rows] == ["go"]  # heard before
    assert window.start_button.text() == "Start"
    play(window, sources.Samples(spoken("up")))
    assert not window.banner.isVisible() and window.word.word.text() == "up"


def test_a_model_that_fails_is_shown(window, recogniser, monkeypatch):
    monkeypatch.setattr(recogniser, "model", None)
    play(window, sources.Samples(spoken("up")))
    assert "array failed: `model` must take waveforms" in window.message.text()


def test_without_a_microphone_a_file_plays(window, tmp_path, monkeypatch):
    assert window.banner.isVisible() and "No microphone was found" in window.message.text()
    assert "PortAudio is missing" in window.message.text()
    window.banner.hide()
    window.start()
    assert not window.is_running and window.banner.isVisible()
    path = tmp_path / "words.wav"
    write_wav(path, spoken("down"))
    monkeypatch.setattr(QtWidgets.QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    window.open_file()
    assert window.is_running and not window.banner.isVisible() and window.source_box.currentText() == "words.wav"
    wait_for(lambda: not window.is_running)
    assert [(row.source, row.label) for row in window.log.rows] == [("words.wav", "down")]
    path.write_text("no sound")
    window.start()
    assert not window.is_running and "must be an audio file" in window.message.text()
    path.unlink()
    window.start()
    assert not window.is_running and "words.wav" in window.message.text()
    monkeypatch.setattr(QtWidgets.QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    window.open_file()  # called off
    assert window.source_box.count() == 1


def test_microphones_are_offered_and_changed_while_it_runs(application, recogniser, monkeypatch):
    monkeypatch.setattr(sources, "input_devices", lambda: [(3, "desk"), (5, "headset")])
    opened = []

    def open_microphone(index):
        opened.append(index)
        return silence()

    monkeypatch.setattr(sources, "Microphone", open_microphone)
    window = LiveWindow(recogniser)
    names = [window.source_box.itemText(index) for index in range(window.source_box.count())]
    assert names == ["Default microphone", "desk", "headset"] and window.banner.isHidden() and opened == []
    window.start()
    window.source_box.setCurrentIndex(2)
    assert window.is_running and opened == [None, 5] and len(our_threads()) == 2
    window.close()
    assert not our_threads()


def test_without_any_device_it_says_so(application, recogniser, monkeypatch):
    monkeypatch.setattr(sources, "input_devices", list)
    window = LiveWindow(recogniser)
    assert not window.banner.isHidden() and window.message.text() == NO_MICROPHONE
    window.close()


def test_closing_stops_everything(window):
    window.add_source("endless", silence)
    window.source_box.setCurrentIndex(0)
    window.start()
    assert len(our_threads()) == 2
    window.close()
    assert not our_threads() and not window.timer.isActive() and not window.is_running


def test_the_space_bar_starts_and_stops_and_return_presses(window, monkeypatch):
    window.add_source("endless", silence)
    window.source_box.setCurrentIndex(0)
    window.activateWindow()
    assert QtTest.QTest.qWaitForWindowActive(window)
    for focused in (window.start_button, window.slider, window.source_box, window.log, window.open_button):
        focused.setFocus()
        QtTest.QTest.keyClick(focused, QtCore.Qt.Key.Key_Space)
        assert window.is_running, focused.accessibleName()
        QtTest.QTest.keyClick(focused, QtCore.Qt.Key.Key_Space)
        assert not window.is_running, focused.accessibleName()
    asked = []
    monkeypatch.setattr(QtWidgets.QFileDialog, "getOpenFileName", lambda *_: (asked.append("file"), ("", ""))[1])
    monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_: (asked.append("log"), ("", ""))[1])
    QtTest.QTest.keyClick(window.open_button, QtCore.Qt.Key.Key_Return)
    QtTest.QTest.keyClick(window, QtCore.Qt.Key.Key_S, QtCore.Qt.KeyboardModifier.ControlModifier)
    assert asked == ["file", "log"]


def test_every_control_has_a_name_for_screen_readers(window):
    kinds = (
        *(QtWidgets.QPushButton, QtWidgets.QSlider, QtWidgets.QComboBox, QtWidgets.QTableWidget),
        *(widgets.Meter, strip.SoundStrip),
    )
    for kind in kinds:
        found = window.findChildren(kind)
        assert found and all(widget.accessibleName() for widget in found), kind
    assert {meter.accessibleName() for meter in window.grid.meters} == set(COMPETITION_LABELS)


def test_text_can_be_read():
    def luminance(color):
        shares = np.array(QtGui.QColor(color).getRgbF()[:3])
        return np.where(shares <= 0.03928, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    for text, surface in (
        *(
            (color, surface)
            for color in (palette.TEXT, palette.MUTED)
            for surface in (palette.BACKGROUND, palette.SURFACE)
        ),
        (palette.TEXT, theme.blend(palette.SURFACE, palette.ORANGE, 0.28)),
        (palette.ERROR, palette.ERROR_SURFACE),
    ):
        assert (luminance(text) + 0.05) / (luminance(surface) + 0.05) >= 4.5  # WCAG 2.1, level AA


def test_the_word_grows_with_the_window_and_glows(window):
    panel, surface = window.word, theme.blend(palette.SURFACE, palette.SURFACE, 0).name()
    assert pixel(panel, 20, panel.height() // 2) == surface

    def size():
        return int(panel.word.styleSheet().partition("font-size: ")[2].partition("px")[0])

    before = size()
    window.resize(1800, 1200)
    wait_for(lambda: size() > 1.3 * before)
    panel.show_detection(Detection(1.0, "yes", 0.8))
    assert pixel(panel, 20, panel.height() // 2) != surface and palette.TEXT in panel.word.styleSheet()
    panel.glow.setCurrentTime(widgets.FLASH_MS)
    assert pixel(panel, 20, panel.height() // 2) == surface
    panel.dim.timeout.emit()
    assert palette.MUTED in panel.word.styleSheet() and panel.word.text() == "yes"


def test_a_meter_is_as_long_as_its_share_and_marks_the_threshold(application):
    meter = widgets.Meter("a", height=12)
    meter.resize(200, 12)
    meter.show_fraction(0.5, 0.75)
    assert [pixel(meter, x, 6) for x in (20, 95, 105, 140)] == [palette.BLUE] * 2 + [palette.BORDER] * 2
    assert pixel(meter, 151, 6) == palette.TEXT and not meter.is_above
    meter.show_fraction(0.75, 0.75)
    assert meter.is_above and pixel(meter, 20, 6) == palette.ORANGE
    meter.show_fraction(7.0)
    assert meter.fraction == 1 and not meter.is_above


def test_the_strip_marks_detections_where_they_were(application):
    shown = strip.SoundStrip()
    shown.resize(strip.MARGIN + 300, 200)
    shown.show_sound(np.zeros(BUFFER_SAMPLES, "float32"), 10.0, [Detection(9.0, "yes", 0.8), Detection(6.9, "no", 0.8)])
    assert [found.label for found in shown.detections] == ["yes"]
    row = [pixel(shown, strip.MARGIN + x, 60) for x in range(150, 250)]
    assert abs(150 + int(np.argmax([color != palette.SURFACE and color > "#a0" for color in row])) - 200) <= 1


def test_the_envelope_holds_the_extremes_of_each_column(rng):
    waveform = rng.standard_normal(1000).astype("float32")
    columns = [waveform[start : start + 10] for start in range(0, 1000, 10)]
    np.testing.assert_array_equal(strip.envelope(waveform, 100), [(part.min(), part.max()) for part in columns])


def test_the_log_keeps_the_order_it_was_told(application):
    table = log.DetectionLog()
    for time_s, label in enumerate(("yes", "no")):
        table.add("desk", Detection(float(time_s), label, 0.75))
    assert [(row.source, row.time_s, row.label) for row in table.rows] == [("desk", 0.0, "yes"), ("desk", 1.0, "no")]
    assert [table.item(0, column).text() for column in (1, 2, 3)] == ["1.00 s", "no", "75 %"]


def test_the_window_opens_plays_its_file_and_closes(application, recogniser, window, tmp_path):
    write_wav(tmp_path / "a.wav", spoken("yes"))
    heard, timer, deadline = [], QtCore.QTimer(), time.monotonic() + 60

    def close_what_has_heard_something():
        for shown in application.topLevelWidgets():
            rows = getattr(getattr(shown, "log", None), "rows", [])
            if shown is not window and shown.isVisible() and (rows or time.monotonic() > deadline):
                heard.extend(row.label for row in rows)
                shown.close()

    timer.timeout.connect(close_what_has_heard_something)
    timer.start(50)
    window.hide()
    launch.open_window(recogniser, tmp_path / "a.wav")
    timer.stop()
    assert heard == ["yes"] and not our_threads()


def test_live_takes_a_picture_with_the_packages_own_model(application, tmp_path, capsys, monkeypatch):
    path, picture_path = tmp_path / "a.wav", tmp_path / "a.png"
    write_wav(path, spoken("yes"))
    arguments = ["live", "--file", str(path), "--picture", str(picture_path), "--threshold", "0.5"]
    assert main(arguments) == 0
    picture = QtGui.QImage(str(picture_path))
    assert capsys.readouterr().out.splitlines()[-1] == str(picture_path)
    shown = {picture.pixelColor(x, y).name() for x in range(0, 1120, 3) for y in range(0, 720, 3)}
    assert (picture.width(), picture.height()) == (1120, 720) and {palette.SURFACE, palette.BLUE} <= shown
    for arguments, message in (
        (["--picture", str(picture_path)], "`--picture` must come with `--file`"),
        (["--file", str(path), "--picture", str(tmp_path / "no" / "a.png")], "must be a PNG that can be written"),
        (["--file", str(tmp_path / "no.wav"), "--picture", str(picture_path)], "no.wav"),
        (["--file", str(path), "--picture", str(picture_path), "--threshold", "5"], "`threshold` must be from 0.1"),
        (["--run", str(tmp_path)], "must hold a trained model"),
    ):
        assert main(["live", *arguments]) == 1
        assert message in capsys.readouterr().err
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert main(["live"]) == 1
    assert "a window needs a screen" in capsys.readouterr().err


def test_pyside_that_takes_none_apart_is_refused(monkeypatch):
    assert not requirements.loses_references(lambda: None)
    counts = iter([1000, 950])
    monkeypatch.setattr("sys.getrefcount", lambda _: next(counts))
    with pytest.raises(ImportError, match="drops references"):
        requirements.require_qt()


def test_a_picture_needs_a_file(recogniser, tmp_path):
    with pytest.raises(ValueError, match="`path` must name an audio file for a picture"):
        launch.run(recogniser, picture_path=tmp_path / "a.png")
