"""Recognise spoken commands, from wav files to a checked submission of Kaggle's speech recognition challenge.

    import kaggle_speech as ks

    ks.load().predict("yes.wav")                          # Answer(label="yes", confidence=0.98); no TensorFlow
    ks.load("resnet_ctc").transcribe("a.flac").text
    for word in ks.load().listen(ks.Microphone()): print(word)

    data_dir = ks.prepare_data()                          # find, or unpack
    clips_df, bad_df = ks.read_clips_table(data_dir)
    train_ds, tune_ds = ks.make_datasets(clips_df, augmentation=ks.Augmentation())
    model = ks.build_model("tc_resnet", num_classes=12)
    ks.fit(model, train_ds, tune_ds, "runs/mine", num_epochs=20)
    ks.write_submission(ks.predict(model, ks.test_clips(data_dir)), "mine.csv", data_dir)

A clip flows one way, and every stage is a room of its own (data down the list, imports up it); `help(ks.data)` and so
on name what is in each:

    text        characters, CTC decoders, n-grams, alignment
    features    `FeatureSpec`, filters, ops and layers
    models      architectures, registry, the folder of a trained one, the pretrained ones
    data        find, fetch, unpack, index, split, batch, augment, render
    plots       one figure a function
    inference   a trained model and waveforms to labels, probability files and submissions
    streaming   sound that does not end: sources, words, text, their scores, the window
    evaluation  metrics, intervals, open set, noise, error rates, the report
    training    from a recipe to a run
    export      files for other programs
    cluster     many runs and many clips on Ray; clips in tar shards, Parquet, or at an address
    web         the recogniser as a page for any browser
    cli         the commands

Importing the package imports none of them: a name brings what it needs when it is first used.
"""

from typing import TYPE_CHECKING

from kaggle_speech.lazy import lazy_names

if TYPE_CHECKING:  # for editors and type checkers, the names of `_NAMES`
    from kaggle_speech.audio import SAMPLE_RATE as SAMPLE_RATE
    from kaggle_speech.data.archives import prepare_data as prepare_data
    from kaggle_speech.data.augmentation import Augmentation as Augmentation
    from kaggle_speech.data.clip_batches import make_datasets as make_datasets
    from kaggle_speech.data.clips import read_clips_table as read_clips_table
    from kaggle_speech.data.clips import test_clips as test_clips
    from kaggle_speech.data.clips import validation_clips as validation_clips
    from kaggle_speech.evaluation.report import evaluate as evaluate
    from kaggle_speech.export.publish import publish_run as publish_run
    from kaggle_speech.export.report import export_run as export_run
    from kaggle_speech.features.filters import FeatureSpec as FeatureSpec
    from kaggle_speech.inference.load import load as load
    from kaggle_speech.inference.predict import predict as predict
    from kaggle_speech.inference.predictions import Predictions as Predictions
    from kaggle_speech.inference.recogniser import Answer as Answer
    from kaggle_speech.inference.recogniser import Recogniser as Recogniser
    from kaggle_speech.inference.recogniser import Transcriber as Transcriber
    from kaggle_speech.inference.recogniser import Transcript as Transcript
    from kaggle_speech.inference.submission import write_submission as write_submission
    from kaggle_speech.labels import COMPETITION_LABELS as COMPETITION_LABELS
    from kaggle_speech.models.pretrained import list_models as list_models
    from kaggle_speech.models.registry import build_model as build_model
    from kaggle_speech.streaming.sources import AudioFile as AudioFile
    from kaggle_speech.streaming.sources import Microphone as Microphone
    from kaggle_speech.streaming.words import Detection as Detection
    from kaggle_speech.training.comparison import compare as compare
    from kaggle_speech.training.fit import fit as fit
    from kaggle_speech.training.recipe import FitOptions as FitOptions
    from kaggle_speech.training.recipe import Recipe as Recipe
    from kaggle_speech.training.recipe import TranscriptRecipe as TranscriptRecipe
    from kaggle_speech.training.transcripts import train_transcriber as train_transcriber
    from kaggle_speech.training.words import train as train
    from kaggle_speech.web.notebook import page as page

__version__ = "0.2.0"

_NAMES = {
    "audio": "SAMPLE_RATE",
    "data.archives": "prepare_data",
    "data.augmentation": "Augmentation",
    "data.clip_batches": "make_datasets",
    "data.clips": "read_clips_table, test_clips, validation_clips",
    "evaluation.report": "evaluate",
    "export.publish": "publish_run",
    "export.report": "export_run",
    "features.filters": "FeatureSpec",
    "inference.load": "load",
    "inference.predict": "predict",
    "inference.predictions": "Predictions",
    "inference.recogniser": "Answer, Recogniser, Transcriber, Transcript",
    "inference.submission": "write_submission",
    "labels": "COMPETITION_LABELS",
    "models.pretrained": "list_models",
    "models.registry": "build_model",
    "streaming.sources": "AudioFile, Microphone",
    "streaming.words": "Detection",
    "training.comparison": "compare",
    "training.fit": "fit",
    "training.recipe": "FitOptions, Recipe, TranscriptRecipe",
    "training.transcripts": "train_transcriber",
    "training.words": "train",
    "web.notebook": "page",
}
#: The packages, by stage.
_ROOMS = (
    *("text", "features", "models", "data", "plots", "inference", "streaming", "evaluation", "training", "export"),
    *("cluster", "web", "cli"),
)

__getattr__, __dir__ = lazy_names(__name__, _NAMES, _ROOMS)
