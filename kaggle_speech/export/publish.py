"""Publish a finished run: model files and a card in a folder that can be handed on."""

import json
import shutil
from pathlib import Path

from kaggle_speech.files import read_json, write_json
from kaggle_speech.inference.answers import copy_rejection
from kaggle_speech.models import folder
from kaggle_speech.models.folder import read_run
from kaggle_speech.models.runs import _with_the_same_weights, _write_weights, load_run, model_fingerprint

CARD = """# {model}, {num_labels} labels

`model.weights.h5`, with the network that `run.json` names (`runs.load_run` builds it, with any Keras from 3.7 on):
waveform in (16,000 samples, 16 kHz, mono, float in [-1, 1]), probabilities out, in the order
{vocabulary}.

- **Accuracy** {accuracy:.2%} over the twelve labels of the competition, macro F1 {macro_f1:.4f}, on {num_clips}
  validation clips of speakers that were neither trained on nor used to choose the epoch.
- **Recall** {recall}.
- **Recipe** {recipe}
- **Data** fingerprint `{data}`. The competition's clips come from Speech Commands (Pete Warden, arXiv 1804.03209),
  CC BY 4.0; none is in here.
- **Versions** {versions}; training took {training_minutes} minutes.
- **Limits** Single English command words, cut to a second. Words that were not trained on are `unknown` less reliably
  than those that were; very quiet or distorted speech is often taken for another label, and background noise of kinds
  that were not heard may be taken for a word.
"""


def publish_run(run_dir, out_dir):
    """Copy what it takes to use a model, and write its card: what it does, how well, where it comes from.

    A run of version 0.1, which holds `model.keras`, becomes one that every Keras loads, with the same fingerprint.

    Args:
        run_dir: folder of a finished run.
        out_dir: folder to make: `model.weights.h5`, `run.json`, `metrics.json`, `README.md`, and `rejection.json` where
            the run has it. What `export` wrote for the run does not go there.

    Raises:
        FileNotFoundError: the run is not finished.
        ValueError: its model makes transcripts; or it is in `model.keras`, and not what `build_model` builds.
    """
    run_dir, out_dir = Path(run_dir), Path(out_dir)
    if folder.task_of(read_run(run_dir)) == "transcripts":
        raise ValueError(f"{run_dir}: must recognise words. Received: a model that makes transcripts")
    model, _ = load_run(run_dir)
    run = {"task": folder.task_of(read_run(run_dir))} | read_run(run_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    if folder.model_path(run_dir).name == folder.WEIGHTS_NAME:
        shutil.copyfile(run_dir / folder.WEIGHTS_NAME, out_dir / folder.WEIGHTS_NAME)
    else:
        identity = {"model": model_fingerprint(run_dir)}
        run |= _write_weights(out_dir, _with_the_same_weights(run_dir, model, run), run) | identity
    write_json(out_dir / "run.json", run)
    write_json(out_dir / "metrics.json", read_json(run_dir / "metrics.json") | run)
    copy_rejection(run_dir, run["model"], out_dir, run["model"])
    metrics = read_json(run_dir / "metrics.json")
    settings = metrics["settings"]
    figures = {name: metrics[name] for name in ("accuracy", "macro_f1", "num_clips", "training_minutes")}
    recipe = json.dumps({name: value for name, value in settings.items() if name not in ("data", "model")})
    card = CARD.format(
        **figures,
        model=settings["model"],
        data=settings["data"],
        recipe=f"`{recipe}`",
        num_labels=len(metrics["vocabulary"]),
        vocabulary=f"`{' '.join(metrics['vocabulary'])}`",
        recall=", ".join(f"{label} {recall:.3f}" for label, recall in metrics["recall"].items()),
        versions=", ".join(f"{name} {version}" for name, version in metrics["versions"].items()),
    )
    (out_dir / "README.md").write_text(card)


def export_metadata(run_dir):
    """What a file that is exported from a finished run says of its origin and accuracy, a dict."""
    metrics = read_json(Path(run_dir) / "metrics.json")
    figures = {name: metrics[name] for name in ("accuracy", "recall", "num_clips") if name in metrics}
    return {"model": model_fingerprint(run_dir), **figures}
