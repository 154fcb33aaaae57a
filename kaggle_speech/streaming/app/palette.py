"""The colours of the window and of the notebook's panel: dark, and distinct without red and green."""

BACKGROUND, SURFACE, RAISED, BORDER = "#0f1319", "#171c25", "#222a36", "#2e3846"
TEXT, MUTED = "#f1f4f8", "#a3b0c0"
#: Okabe and Ito's sky blue and orange, distinct for colour-blind users, too: below and above the threshold.
BLUE, ORANGE = "#56b4e9", "#f5a623"
ERROR, ERROR_SURFACE = "#ffb59e", "#3b1f18"
