"""Colours and measures of the window, of the notebook's panel and of the web page.

The colours are dark, and distinct without red and green.
"""

from kaggle_speech.features.filters import FeatureSpec

BACKGROUND, SURFACE, RAISED, BORDER = "#0f1319", "#171c25", "#222a36", "#2e3846"
TEXT, MUTED = "#f1f4f8", "#a3b0c0"
#: Okabe and Ito's sky blue and orange, distinct for colour-blind users, too: below and above the threshold.
BLUE, ORANGE = "#56b4e9", "#f5a623"
ERROR, ERROR_SURFACE = "#ffb59e", "#3b1f18"

#: Time from one picture to the next, and that after a detection in which the word stays bright.
REFRESH_MS, BRIGHT_MS = 50, 2500

#: Spectrogram of the last three seconds, and the frequencies at its edge.
SPEC = FeatureSpec(frame_length=512, fft_length=512, frame_step=240, num_mel_bins=56, lower_edge_hz=60, centered=False)
TICKS_HZ = (500, 2000, 8000)
#: Range of its colours in dB, below the loudest frame.
RANGE_DB = 60.0
#: Least level in dB at the top of the colours.
MIN_TOP_DB = -40.0
#: Least peak of a waveform that is scaled to full height.
MIN_PEAK = 0.05
#: Its colours, dark to bright, at equal distances: every fifteenth of matplotlib's magma.
SPECTROGRAM_COLORS = (
    *("#000004", "#090720", "#1a1042", "#311165", "#4a1079", "#621980", "#792282", "#912b81", "#aa337d"),
    *("#c23b75", "#d9466b", "#ec5860", "#f7725c", "#fc8e64", "#feaa74", "#fec68a", "#fde2a3", "#fcfdbf"),
)
