"""Colours, type and style of the window."""

from PySide6 import QtGui, QtWidgets

from kaggle_speech.streaming.app.palette import (
    BACKGROUND,
    BLUE,
    BORDER,
    ERROR,
    ERROR_SURFACE,
    MUTED,
    ORANGE,
    RAISED,
    SURFACE,
    TEXT,
)

FONTS = ("Inter", "Segoe UI", "SF Pro Text", "Helvetica Neue", "Noto Sans", "Ubuntu", "DejaVu Sans")
SPACING, RADIUS = 14, 10

STYLE = f"""
* {{ color: {TEXT}; font-size: 13px; }}
QMainWindow, QWidget#page {{ background: {BACKGROUND}; }}
QFrame#card {{ background: {SURFACE}; border: 1px solid {BORDER}; border-radius: {RADIUS}px; }}
QLabel, QStatusBar QLabel {{ background: transparent; }}
QLabel[role="title"] {{ font-size: 19px; font-weight: 600; }}
QLabel[role="heading"] {{ color: {MUTED}; font-size: 12px; font-weight: 600; }}
QLabel[role="muted"] {{ color: {MUTED}; }}
QFrame#banner {{ background: {ERROR_SURFACE}; border: 1px solid {ERROR}; border-radius: {RADIUS}px; }}
QFrame#banner QLabel {{ color: {ERROR}; }}
QPushButton, QComboBox {{
    background: {RAISED}; border: 1px solid {BORDER}; border-radius: 7px; padding: 7px 14px; min-height: 18px; }}
QPushButton:hover, QComboBox:hover {{ border-color: {MUTED}; }}
QPushButton:pressed {{ background: {BORDER}; }}
QPushButton:focus, QComboBox:focus {{ border: 1px solid {BLUE}; }}
QPushButton:disabled, QComboBox:disabled {{ color: {MUTED}; }}
QPushButton#start {{
    background: {BLUE}; color: #06121b; border-color: {BLUE}; font-weight: 600; min-width: 74px; }}
QPushButton#start:focus {{ border: 2px solid {TEXT}; padding: 6px 13px; }}
QPushButton#start[running="true"] {{ background: {ERROR}; color: #2b0f06; border-color: {ERROR}; }}
QPushButton#start[running="true"]:focus {{ border-color: {TEXT}; }}
QPushButton#small {{ padding: 3px 10px; }}
QPushButton#small:checked {{ border-color: {ORANGE}; }}
QLabel#note {{
    background: {RAISED}; border: 1px solid {ORANGE}; border-radius: {RADIUS}px; padding: 10px 18px; font-size: 16px; }}
QComboBox QAbstractItemView {{
    background: {RAISED}; border: 1px solid {BORDER}; padding: 4px; outline: 0; selection-background-color: #2f5d7c; }}
QComboBox::drop-down {{ border: 0; width: 30px; }}
QComboBox::down-arrow {{ image: none; }}
QSlider {{ min-height: 24px; }}
QSlider::groove:horizontal {{ background: {BORDER}; height: 4px; border-radius: 2px; }}
QSlider::sub-page:horizontal {{ background: {TEXT}; height: 4px; border-radius: 2px; }}
QSlider::handle:horizontal {{
    background: {TEXT}; border: 2px solid {SURFACE}; width: 14px; height: 14px; margin: -7px 0; border-radius: 9px; }}
QSlider::handle:horizontal:focus {{ border: 2px solid {BLUE}; }}
QTableWidget {{
    background: {SURFACE}; alternate-background-color: #1c232d; border: 0; outline: 0; gridline-color: transparent;
    selection-background-color: {BORDER}; selection-color: {TEXT}; }}
QTableWidget::item {{ padding: 0 8px; }}
QHeaderView::section {{
    background: {SURFACE}; color: {MUTED}; border: 0; border-bottom: 1px solid {BORDER}; padding: 5px 11px; }}
QScrollBar:vertical {{ background: transparent; width: 8px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {BORDER}; border-radius: 4px; min-height: 24px; }}
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
    background: transparent; height: 0; }}
QStatusBar {{ background: {SURFACE}; border-top: 1px solid {BORDER}; }}
QStatusBar::item {{ border: 0; }}
QToolTip {{ background: {RAISED}; color: {TEXT}; border: 1px solid {BORDER}; padding: 4px; }}
"""


def blend(color: str, other: str, fraction: float) -> QtGui.QColor:
    """A colour between two.

    Args:
        color, other: the two, `#rrggbb`.
        fraction: of the other, 0 to 1.
    """
    first = QtGui.QColor(color)
    second = QtGui.QColor(other)
    return QtGui.QColor.fromRgbF(
        (1 - fraction) * first.redF() + fraction * second.redF(),
        (1 - fraction) * first.greenF() + fraction * second.greenF(),
        (1 - fraction) * first.blueF() + fraction * second.blueF(),
    )


def apply_theme(application: QtWidgets.QApplication) -> None:
    """Set the style of this module on an application, alike on every operating system."""
    application.setStyle("Fusion")
    font = QtGui.QFont()
    font.setFamilies(FONTS)
    application.setFont(font)
    colors, roles = QtGui.QPalette(), QtGui.QPalette.ColorRole
    for role, color in (
        (roles.Window, BACKGROUND),
        (roles.Base, SURFACE),
        (roles.Button, RAISED),
        (roles.WindowText, TEXT),
        (roles.Text, TEXT),
        (roles.ButtonText, TEXT),
        (roles.PlaceholderText, MUTED),
        (roles.Highlight, "#2f5d7c"),
        (roles.HighlightedText, TEXT),
        (roles.ToolTipBase, RAISED),
        (roles.ToolTipText, TEXT),
    ):
        colors.setColor(role, QtGui.QColor(color))
    application.setPalette(colors)
    application.setStyleSheet(STYLE)
