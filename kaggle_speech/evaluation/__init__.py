"""Evaluation: metrics of a model, with intervals, by label and by speaker; the report."""

from kaggle_speech.lazy import lazy_names, with_names

_NAMES = {
    "metrics": "classification_metrics, confusion_matrix, one_vs_rest_roc, worst_clips",
    "intervals": "mean_intervals, label_intervals, speaker_accuracy, compare_answers, poisson_interval",
    "calibration": "fit_temperature, reliability_bins, choose_rejection",
    "open_set": "open_set_curves, score_table, protocol_table, best_rows",
    "validation": "validate, predict_competition, open_set_predictions",
    "occlusion": "occlusion_map",
    "report": "evaluate, write_report",
    "running_speech": "running_speech_curve, operating_points, score_running_speech",
    "transcripts": "transcript_metrics, transcribe_utterances",
}

__doc__ = with_names(__doc__, _NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
