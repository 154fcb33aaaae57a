"""Data: find, fetch, unpack, index, split, batch, augment and render clips and utterances."""

from kaggle_speech.lazy import lazy_names, with_names

_NAMES = {
    "archives": "prepare_data, extract_archive",
    "places": "find_data, find_speech",
    "downloads": "download",
    "clips": "read_clips_table, count_table, test_clips, validation_clips",
    "splits": "which_set, split_by_speaker, split_speakers",
    "clip_batches": "make_datasets, make_dataset",
    "augmentation": "Augmentation",
    "augment": "augment_waveforms, mixup, time_stretch",
    "noise": "read_noise",
    "negatives": "speech_negatives",
    "utterances": "index_utterances, select_utterances",
    "utterance_batches": "make_utterance_dataset",
    "rendered.clips": "render_sample",
    "rendered.sentences": "render_sentences",
}

__doc__ = with_names(__doc__, _NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
