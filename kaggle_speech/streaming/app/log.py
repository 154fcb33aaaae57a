"""Log of the detections: a table, newest on top, that can be saved as CSV, and the counts of the words."""

import collections
import datetime
import typing
from pathlib import Path

from PySide6 import QtCore, QtWidgets

from kaggle_speech.files import replace_file
from kaggle_speech.streaming.app.widgets import label_of, percent
from kaggle_speech.streaming.words import Detection


class LogRow(typing.NamedTuple):
    """Row of the log, and of the CSV.

    Attributes:
        clock: local time, ISO 8601 with milliseconds.
        source: name of the microphone or file.
        time_s: seconds since the start of the stream.
        label: the word.
        confidence: 0 to 1.
    """

    clock: str
    source: str
    time_s: float
    label: str
    confidence: float


class DetectionLog(QtWidgets.QTableWidget):
    """A table of `LogRow`; `rows` holds them, the oldest first.

    Attributes:
        counts: label that says how often each word was heard, the most frequent first; empty while the log is.
    """

    def __init__(self) -> None:
        super().__init__(0, 4)
        self.rows: list[LogRow] = []
        self.counts = label_of(role="muted", meaning="how often each word was heard")
        self.counts.setWordWrap(True)
        self.counts.hide()
        self.setAccessibleName("log of detections")
        self.setHorizontalHeaderLabels(["Clock", "Stream", "Word", "Sure"])
        self.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self.setTabKeyNavigation(False)  # the tab key goes on to the next control
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(28)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QtWidgets.QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QtWidgets.QHeaderView.ResizeMode.Stretch)
        for column, alignment in enumerate(_ALIGNMENT):
            self.model().setHeaderData(
                column, QtCore.Qt.Orientation.Horizontal, alignment, QtCore.Qt.ItemDataRole.TextAlignmentRole
            )

    def add(self, source: str, detection: Detection) -> None:
        """Add a detection, as of now.

        Args:
            source: name of the microphone or file.
            detection: the detection.
        """
        clock = datetime.datetime.now().isoformat(timespec="milliseconds")
        self.rows.append(LogRow(clock, source, round(detection.time_s, 3), detection.label, detection.confidence))
        self.insertRow(0)
        texts = clock[11:19], f"{detection.time_s:.2f} s", detection.label, percent(detection.confidence)
        for column, text in enumerate(texts):
            item = QtWidgets.QTableWidgetItem(text)
            item.setTextAlignment(_ALIGNMENT[column])
            self.setItem(0, column, item)
        self.scrollToTop()
        self._count()

    def forget(self) -> None:
        """Empty the log."""
        self.rows.clear()
        self.setRowCount(0)
        self._count()

    def _count(self) -> None:
        numbers = collections.Counter(row.label for row in self.rows)
        self.counts.setText("   ".join(f"{label}\N{NO-BREAK SPACE}{count}" for label, count in numbers.most_common()))
        self.counts.setVisible(bool(numbers))

    def save(self, path: Path | str) -> None:
        """Write a CSV, a line for each detection, the oldest first.

        Raises:
            OSError: the file cannot be written.
        """
        import pandas as pd

        rows_df = pd.DataFrame(self.rows, columns=LogRow._fields)
        replace_file(path, lambda partial_path: rows_df.to_csv(partial_path, index=False))


_MIDDLE = QtCore.Qt.AlignmentFlag.AlignVCenter
_LEFT, _RIGHT = QtCore.Qt.AlignmentFlag.AlignLeft | _MIDDLE, QtCore.Qt.AlignmentFlag.AlignRight | _MIDDLE
_ALIGNMENT = (_LEFT, _RIGHT, _LEFT, _RIGHT)
