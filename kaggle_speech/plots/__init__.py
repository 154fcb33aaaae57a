"""Plots: one figure a function, from frames and arrays; each takes `ax=None` and returns the axes."""

from kaggle_speech.lazy import lazy_names, with_names

_NAMES = {
    "clips": (
        "plot_waveform, plot_features, plot_label_counts, plot_word_counts, plot_lengths, plot_count_histogram, "
        "plot_shares, plot_answer, browse_clips, show_players"
    ),
    "training": "plot_history, plot_learning_rate, plot_error_rates, plot_accuracy_over_size",
    "networks": "plot_network, plot_filters, plot_occlusion, plot_update_gates",
    "scores": (
        "plot_confusion, plot_roc, plot_precision_recall, plot_intervals, plot_robustness, plot_scores, "
        "plot_oscr, plot_det, plot_reliability"
    ),
    "streams": "plot_posteriors, plot_characters, plot_stream_curve, plot_detections",
}

__doc__ = with_names(__doc__, _NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
