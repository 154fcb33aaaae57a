"""Models: architectures by name, the folder of a trained one, those that come with the package."""

from kaggle_speech.lazy import lazy_names, with_names

_NAMES = {
    "architectures": "architecture_names, architecture_sizes",
    "registry": "build_model",
    "cost": "describe_model, describe_models",
    "pretrained": "list_models, model_names",
    "runs": "load_run",
    "anatomy": "logits_model, feature_model, update_gates",
    "diagram": "block_table",
}

__doc__ = with_names(__doc__, _NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
