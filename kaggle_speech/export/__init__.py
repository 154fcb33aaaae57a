"""Export: files of trained models for other programs, checked against the original; publishing of a run."""

from kaggle_speech.lazy import lazy_names, with_names

_NAMES = {
    "report": "export_run",
    "publish": "publish_run",
    "onnx": "export_onnx",
    "other_formats": "export_litert, export_saved_model",
    "feature_files": "write_feature_images, write_feature_table",
}

__doc__ = with_names(__doc__, _NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
