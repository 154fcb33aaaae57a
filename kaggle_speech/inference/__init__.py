"""Inference: from recordings and a trained model to labels, probability files and submissions.

TensorFlow is imported only for a model that Keras runs.
"""

from kaggle_speech.lazy import lazy_names, with_names

_NAMES = {
    "recogniser": "Recogniser, Transcriber, Answer, Transcript, SpokenWord",
    "load": "load_recogniser, load_transcriber",
    "predict": "predict_to_file, predict_conditions, split_into_parts, write_part",
    "predictions": "Predictions, read_predictions, merge_shards",
    "ensemble": "blend, fit_weights, match_label_mix, pseudo_labels",
    "submission": "write_submission, check_submission, compare_submissions",
    "answers": "Rejection, write_rejection, read_rejection",
    "personal_words": "enroll, read_words",
    "runtimes": "OnnxModel, LiteRTModel",
}

__doc__ = with_names(__doc__, _NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
