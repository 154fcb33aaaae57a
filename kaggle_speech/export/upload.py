"""Upload a published model to a hub: Kaggle Models, or Hugging Face."""

import re
from pathlib import Path

from kaggle_speech.files import what_is_there
from kaggle_speech.models.folder import CARD_NAME, RUN_NAME, WEIGHTS_NAME

#: Hub -> its name, and where it reads who you are.
HUBS = {
    "kaggle": ("Kaggle", "KAGGLE_USERNAME and KAGGLE_KEY, or ~/.kaggle/kaggle.json"),
    "hf": ("Hugging Face", "HF_TOKEN, or `hf auth login`"),
}


class UploadError(OSError):
    """A hub that cannot be reached, or that refuses. The message says what would have been uploaded."""


def upload_model(model_dir: Path | str, hub: str, name: str, *, dry_run: bool = False) -> str:
    """Upload a folder of `publish_run` with all its files, as a new version where there is one of that name.

    A new model is private; its page on the hub can make it public.

    Args:
        model_dir: folder of `publish_run`.
        hub: `kaggle` (needs kagglehub) or `hf` (needs huggingface_hub).
        name: `<owner>/<model>` on the hub.
        dry_run: only say what would be done.

    Returns:
        A sentence: which files are, or would be, where.

    Raises:
        ValueError: the name is not of that form, or there is no such hub.
        FileNotFoundError: the folder is none of `publish_run`.
        ImportError: the package of the hub is not installed.
        UploadError: there is no network, there are no credentials, or the hub refuses.

    Examples:
        >>> from kaggle_speech.inference.load import model_location
        >>> upload_model(model_location("tc_resnet"), "hf", "me/commands", dry_run=True)
        'would upload 7 files, 0.7 MB, to https://huggingface.co/me/commands'
    """
    model_dir = Path(model_dir)
    if hub not in HUBS:
        raise ValueError(f"`hub` must be one of {', '.join(HUBS)}. Received: {hub!r}")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ValueError(f"`name` must be <owner>/<model>. Received: {name!r}")
    if not (model_dir / RUN_NAME).is_file() or not (model_dir / CARD_NAME).is_file():
        raise FileNotFoundError(f"{model_dir}: must be a folder of `publish`. Received: {what_is_there(model_dir)}")
    files = [path for path in model_dir.iterdir() if path.is_file()]
    handle = f"{name}/{'keras' if (model_dir / WEIGHTS_NAME).is_file() else 'onnx'}/default"  # Kaggle's
    address = f"https://www.kaggle.com/models/{handle}" if hub == "kaggle" else f"https://huggingface.co/{name}"
    what = f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB, to {address}"
    if dry_run:
        return f"would upload {what}"
    upload = _import_uploader(hub)
    try:
        upload(model_dir, handle if hub == "kaggle" else name)
    except Exception as error:  # each hub has a dozen of its own
        title, credentials = HUBS[hub]
        raise UploadError(
            f"{title} must be reachable, and know you ({credentials}). Received: {type(error).__name__}: {error}\n"
            f"Nothing is lost: {model_dir} is complete, and the same command would upload {what}"
        ) from error
    return f"uploaded {what}"


def _import_uploader(hub):
    """The function that uploads a folder under a name."""
    if hub == "kaggle":
        import kagglehub

        return lambda folder, handle: kagglehub.model_upload(handle, str(folder), license_name="MIT")
    import huggingface_hub

    def upload(folder, repo_id):
        api = huggingface_hub.HfApi()
        api.create_repo(repo_id, private=True, exist_ok=True)
        # Older files go: they are of another model.
        api.upload_folder(repo_id=repo_id, folder_path=folder, delete_patterns="*", commit_message="Publish")

    return upload
