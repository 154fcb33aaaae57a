"""Validation of a Keras model over the twelve labels, and its predictions with logits."""

from scipy.special import softmax

from kaggle_speech.evaluation import metrics
from kaggle_speech.inference import answers, predict
from kaggle_speech.inference.predictions import Predictions
from kaggle_speech.models import anatomy, runs


def predict_competition(model, vocabulary, clips_df, progress=True):
    """Probabilities over the twelve labels. Shape: -> `(len(clips_df), 12)`."""
    probabilities = predict.predict_probabilities(model, clips_df, progress=progress)
    return answers.competition_probabilities(probabilities, vocabulary)


def validate(model, vocabulary, val_df):
    """Metrics over the competition's labels, and the probabilities they come from, `(len(val_df), 12)`."""
    probabilities = predict_competition(model, vocabulary, val_df)
    return metrics.classification_metrics(val_df["label"], answers.most_probable(probabilities)), probabilities


def predict_with_logits(run_dir, clips_df):
    """The `Predictions` of the model of a run, with logits, for the scores that need them."""
    model, vocabulary = runs.load_run(run_dir)
    logits = predict.predict_probabilities(anatomy.logits_model(model), clips_df)
    return Predictions(clips_df["path"], softmax(logits, axis=1), vocabulary, logits=logits)
