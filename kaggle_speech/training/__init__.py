"""Training: from a recipe to the folder of a run. Needs TensorFlow."""

from kaggle_speech.lazy import lazy_names, with_names

_NAMES = {
    "recipe": "FitOptions, Recipe, TranscriptRecipe, without_each",
    "words": "train",
    "transcripts": "train_transcriber",
    "comparison": "compare, summarize_runs",
}

__doc__ = with_names(__doc__, _NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
