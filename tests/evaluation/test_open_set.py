"""Open set, calibration and rejection against counting by hand, scikit-learn, and the command line."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid
from scipy.special import logsumexp, softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from kaggle_speech.audio import read_clip
from kaggle_speech.cli.main import main
from kaggle_speech.data import clips, splits
from kaggle_speech.evaluation import calibration, open_set, validation
from kaggle_speech.export import publish
from kaggle_speech.inference import load
from kaggle_speech.inference.answers import (
    SCORES,
    Rejection,
    competition_probabilities,
    most_probable,
    read_rejection,
    rejection_score,
    rescale_temperature,
    write_rejection,
)
from kaggle_speech.inference.batches import predict_waveforms
from kaggle_speech.inference.predictions import Predictions
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS, SILENCE, UNKNOWN, VOCABULARIES
from kaggle_speech.models import anatomy, pretrained, registry, runs

NUM_CLIPS = 400


def make_predictions(logits, vocabulary):
    names = [f"{row}.wav" for row in range(len(logits))]
    return Predictions(names, softmax(logits, axis=1), vocabulary, logits=logits)


def label_predictions(rng, labels, vocabulary=COMPETITION_LABELS, true_temperature=1.0):
    """Logits that favour the label where the vocabulary has it."""
    logits = rng.normal(size=(len(labels), len(vocabulary)))
    for row, label in enumerate(labels):
        if label in vocabulary:
            logits[row, vocabulary.index(label)] += 3
    logits *= true_temperature
    return make_predictions(logits, vocabulary)


@pytest.fixture
def clips_df(rng):
    """Clips of twenty speakers; a fifth of the unknown words is not among the clips that accuracies are quoted by."""
    labels = rng.choice(COMPETITION_LABELS, NUM_CLIPS)
    is_unknown = labels == UNKNOWN
    word = np.where(is_unknown, rng.choice(["bed", "cat"], NUM_CLIPS), labels)
    speaker = [f"{number:08x}" for number in rng.integers(20, size=NUM_CLIPS)]
    is_quoted = ~(is_unknown & (rng.random(NUM_CLIPS) < 0.2))
    return pd.DataFrame({"label": labels, "word": word, "speaker": speaker, "is_quoted": is_quoted})


@pytest.fixture
def known_only(rng, clips_df):
    return label_predictions(rng, clips_df["label"], VOCABULARIES[11])


@pytest.fixture
def with_unknown(rng, clips_df):
    return label_predictions(rng, clips_df["label"])


def test_tempered_probabilities_are_those_of_divided_logits(rng):
    logits = rng.normal(size=(5, 12))
    for temperature in (0.5, 1, 3):
        expected = softmax(logits / temperature, axis=1)
        np.testing.assert_allclose(rescale_temperature(softmax(logits, axis=1), temperature), expected, rtol=1e-10)


@pytest.mark.parametrize("num_classes", [11, 12, 31])
def test_scores_are_what_their_names_say(rng, num_classes):
    vocabulary = VOCABULARIES[num_classes]
    logits = rng.normal(size=(6, num_classes))
    predictions = make_predictions(logits, vocabulary)
    for row, values in enumerate(competition_probabilities(softmax(logits / 2, axis=1), vocabulary)):
        commands, others = list(values[:10]), list(values[10:])
        best = max(commands)
        spread = [value + sum(others) / 10 for value in commands]
        known_logits = [logits[row, vocabulary.index(command)] for command in COMMANDS]
        expected = {
            "probability": best,
            "known": sum(commands),
            "entropy": sum(value * math.log(value) for value in spread),
            "margin": best - max(value for value in (*commands, *others) if value != best),
            "logit": max(known_logits),
            "energy": 2 * logsumexp([value / 2 for value in known_logits]),
        }
        for name in calibration.score_names(predictions):
            assert calibration.command_scores(predictions, name, 2.0)[row] == pytest.approx(expected[name]), name
    with pytest.raises(ValueError, match=r"`score` must be one of .*Received: score='energy'"):
        calibration.command_scores(dataclasses.replace(predictions, logits=None), "energy")


@pytest.mark.parametrize("score", SCORES)
def test_a_sure_command_scores_higher_than_anything_else(score):
    sure = {label: np.full(12, 0.001) + 0.988 * (np.array(COMPETITION_LABELS) == label) for label in COMPETITION_LABELS}
    doubtful = np.where(np.isin(COMPETITION_LABELS, ("yes", "no")), 0.46, 0.008)
    rows = np.array([sure["yes"], doubtful, np.full(12, 1 / 12), sure[SILENCE], sure[UNKNOWN]])
    scores = rejection_score(rows, COMPETITION_LABELS, score)
    assert scores[0] == scores.max() and (scores[1:].max() < scores[0]) and scores[[3, 4]].max() < scores[1]


def test_a_doubtful_command_becomes_unknown_and_silence_stays():
    probabilities = np.array([[0.8] + [0.02] * 10, [0.3, 0.25] + [0.05] * 9, [0.06] * 10 + [0.4]])
    labels, confidences = Rejection("probability", 1.0, 0.5).apply(probabilities, VOCABULARIES[11])
    assert list(labels) == ["yes", UNKNOWN, SILENCE]
    np.testing.assert_allclose(confidences, [0.8, 1 - 0.3, 0.4])
    labels, confidences = Rejection().apply(probabilities, VOCABULARIES[11])
    assert list(labels) == ["yes", "yes", SILENCE]
    np.testing.assert_allclose(confidences, probabilities.max(axis=1))
    assert Rejection().with_threshold(None) == Rejection() and Rejection().with_threshold(2.0).threshold == 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"score": "energy"}, "`score` must be one of .* Received: score='energy'"),
        ({"score": ["margin"]}, "`score` must be one of"),
        ({"temperature": 0}, "`temperature` must be a number above 0"),
        ({"temperature": math.inf}, "`temperature` must be a number above 0"),
        ({"temperature": "hot"}, "`temperature` must be a number above 0"),
        ({"threshold": math.nan}, "`threshold` must be a number"),
        ({"threshold": "high"}, "`threshold` must be a number. Received: threshold='high'"),
        ({"threshold": True}, "`threshold` must be a number"),
    ],
)
def test_a_rejection_that_is_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        Rejection(**arguments)


def test_the_file_beside_a_model(tmp_path):
    assert read_rejection(tmp_path, "abc") == Rejection()
    chosen = Rejection("margin", 1.25, 0.125)
    path = write_rejection(chosen, tmp_path, "abc")
    assert read_rejection(tmp_path, "abc") == chosen
    assert [entry.name for entry in tmp_path.iterdir()] == ["rejection.json"]
    with pytest.raises(ValueError, match=r"rejection.json: must be chosen for the model beside it, xyz.* one for abc"):
        read_rejection(tmp_path, "xyz")
    content = json.loads(path.read_text())
    for changed in (
        content | {"score": "energy"},
        content | {"threshold": "high"},
        content | {"temperature": None},
        content | {"more": 1},
        {"model": "abc", "score": "margin", "threshold": [1]},
        {name: value for name, value in content.items() if name != "model"},
        [1, 2],
        "text",
    ):
        path.write_text(json.dumps(changed))
        with pytest.raises(ValueError, match=r"rejection.json: must hold the score, temperature and threshold"):
            read_rejection(tmp_path, "abc")
    path.write_text("{")
    with pytest.raises(ValueError, match=r"rejection.json: must hold"):
        read_rejection(tmp_path, "abc")


def test_the_temperature_of_the_logits_is_found(rng):
    """Labels drawn from a softmax: another temperature of the same logits is the one to find."""
    logits = 3 * rng.normal(size=(5000, 12))
    labels = [COMPETITION_LABELS[rng.choice(12, p=row)] for row in softmax(logits, axis=1)]
    for temperature in (0.5, 1, 2):
        predictions = make_predictions(temperature * logits, COMPETITION_LABELS)
        assert calibration.fit_temperature(predictions, labels) == pytest.approx(temperature, rel=0.06)


def test_labels_that_a_model_does_not_know_fit_no_temperature(known_only, clips_df):
    is_known = clips_df["label"] != UNKNOWN
    labels = clips_df["label"]
    assert calibration.fit_temperature(known_only, labels) == pytest.approx(
        calibration.fit_temperature(known_only.rows(is_known), labels[is_known])
    )
    with pytest.raises(ValueError, match=r"`labels` must hold labels of the model. Received: \['unknown'\]"):
        calibration.fit_temperature(known_only, np.full(NUM_CLIPS, UNKNOWN))


@pytest.mark.parametrize("score", ["probability", "margin", "energy"])
def test_thresholds_against_trying_all(known_only, clips_df, score):
    labels, scores = clips_df["label"].to_numpy(), calibration.command_scores(known_only, score).round(2)  # ties
    answers = most_probable(known_only.competition())

    def judge(threshold):
        rejected = np.where((scores < threshold) & np.isin(answers, COMMANDS), UNKNOWN, answers)
        return (rejected == labels).mean(), np.isin(rejected, COMMANDS)[labels == UNKNOWN].mean()

    every = [judge(threshold) for threshold in [*np.unique(scores), scores.max() + 1]]
    best = calibration.choose_threshold(scores, labels, answers)
    assert judge(best)[0] == max(accuracy for accuracy, _ in every)
    assert judge(best)[0] >= (answers == labels).mean()
    for rate in (0, 0.1, 0.5, 1):
        chosen = calibration.choose_threshold(scores, labels, answers, rate)
        assert judge(chosen)[1] == max(accepted for _, accepted in every if accepted <= rate)
    for rate in (-0.1, 1.5):
        with pytest.raises(ValueError, match="`false_accept_rate` must be from 0 to 1"):
            calibration.choose_threshold(scores, labels, answers, rate)
    is_known = labels != UNKNOWN
    with pytest.raises(ValueError, match=r"there must be clips of unknown words. Received: 0.1, 0 clips"):
        calibration.choose_threshold(scores[is_known], labels[is_known], answers[is_known], 0.1)
    for rate in (None, 0):
        assert calibration.choose_threshold(scores, labels, np.full(NUM_CLIPS, SILENCE), rate) == scores.min()


def test_where_nothing_is_unknown_nothing_is_rejected(rng):
    labels = rng.choice(COMMANDS, 50)
    scores = rng.random(50)
    assert calibration.choose_threshold(scores, labels, labels) == scores.min()


def test_curves_against_counting(known_only, clips_df):
    labels, scores = clips_df["label"].to_numpy(), calibration.command_scores(known_only, "probability").round(2)
    best = most_probable(known_only.competition()[:, :10], COMMANDS)
    curves = open_set.open_set_curves(scores, labels, best)
    is_known, is_unknown = np.isin(labels, COMMANDS), labels == UNKNOWN
    rows = is_known | is_unknown
    assert curves["auroc"] == pytest.approx(roc_auc_score(is_known[rows], scores[rows]))
    thresholds = np.unique(scores)[::-1]
    accepted = [(scores >= threshold)[is_unknown].mean() for threshold in thresholds]
    kept = [(scores >= threshold)[is_known].mean() for threshold in thresholds]
    right = [((scores >= threshold) & (labels == best))[is_known].mean() for threshold in thresholds]
    at_95 = next(share for share, kept_share in zip(accepted, kept, strict=True) if kept_share >= 0.95)
    assert curves["fpr_at_95_tpr"] == pytest.approx(at_95)
    oscr = curves["oscr"]
    assert oscr["area"] == pytest.approx(trapezoid([0, *right], [0, *accepted]))
    for share, kept_share, right_share in zip(accepted, kept, right, strict=True):
        on_curve = np.isclose(oscr["false_positive_rate"], share) & np.isclose(oscr["correct_rate"], right_share)
        assert on_curve.any()
        det = curves["det"]
        on_curve = np.isclose(det["false_positive_rate"], share) & np.isclose(
            det["false_negative_rate"], 1 - kept_share
        )
        assert on_curve.any() or {share, kept_share} & {0, 1}  # scikit-learn ends the curve where it meets an axis
    for wanted in (is_known, is_unknown):
        with pytest.raises(ValueError, match="`labels` must hold commands and `unknown`"):
            open_set.open_set_curves(scores[wanted], labels[wanted], best[wanted])


def test_calibration_against_scikit_learn(rng):
    confidences = np.append(rng.uniform(0.2, 1, 500), [0.2, 1.0])
    is_right = rng.random(502) < confidences**2
    bins_df = calibration.reliability_bins(is_right, confidences, num_bins=10)
    accuracy, confidence = calibration_curve(is_right, confidences, n_bins=10)
    assert bins_df["num_clips"].sum() == 502 and len(bins_df) == len(accuracy)
    np.testing.assert_allclose(bins_df["confidence"], confidence, atol=0.02)  # clips on an edge may go to either side
    np.testing.assert_allclose(bins_df["accuracy"], accuracy, atol=0.05)
    one_bin_df = calibration.reliability_bins(is_right, confidences, num_bins=1)
    assert calibration.expected_calibration_error(one_bin_df) == pytest.approx(
        abs(is_right.mean() - confidences.mean())
    )
    low = np.linspace(0, 0.9, 10)[:, None]
    gap = np.where((low < confidences) & (confidences <= low + 0.1), is_right - confidences, 0).sum(axis=1)
    assert calibration.expected_calibration_error(bins_df) == pytest.approx(np.abs(gap).sum() / 502)


def test_halves_keep_speakers_apart(clips_df):
    half = splits.speaker_folds(clips_df["speaker"], 2)
    assert pd.Series(half).groupby(clips_df["speaker"]).nunique().max() == 1
    num_speakers = clips_df["speaker"].groupby(half).nunique()
    assert abs(num_speakers[0] - num_speakers[1]) <= 1
    shuffled_df = clips_df.sample(frac=1, random_state=1)
    np.testing.assert_array_equal(splits.speaker_folds(shuffled_df["speaker"], 2), half[shuffled_df.index])
    with pytest.raises(ValueError, match=r"must be from 2 to the number of speakers, 1. Received: num_folds=2"):
        splits.speaker_folds(["a", "a"], 2)


def test_a_half_is_answered_with_what_the_other_half_chose(known_only, clips_df):
    half = splits.speaker_folds(clips_df["speaker"], 2)
    for options in ({"score": "margin"}, {"score": "entropy", "false_accept_rate": 0.1}):
        labels, confidences = open_set.cross_fitted_answers(known_only, clips_df, **options)
        for number in (0, 1):
            here, there = half == number, half != number
            chosen = calibration.choose_rejection(known_only.rows(there), clips_df[there], **options)
            expected = chosen.apply(known_only.probabilities[here], VOCABULARIES[11])
            np.testing.assert_array_equal(labels[here], expected[0])
            np.testing.assert_allclose(confidences[here], expected[1])


def test_words_left_out_choose_nothing(known_only, clips_df):
    """Whatever the model thinks of them."""
    is_cat = clips_df["word"].eq("cat").to_numpy()
    changed = known_only.probabilities.copy()
    changed[is_cat] = np.eye(11)[0] * 0.89 + 0.01
    options = {"score": "probability", "left_out_words": ("cat",)}
    before, _ = open_set.cross_fitted_answers(known_only, clips_df, **options)
    after, _ = open_set.cross_fitted_answers(
        dataclasses.replace(known_only, probabilities=changed), clips_df, **options
    )
    np.testing.assert_array_equal(before[~is_cat], after[~is_cat])


def test_the_table_counts_cross_fitted_answers(known_only, with_unknown, clips_df):
    table_df = open_set.protocol_table(known_only, with_unknown, clips_df, left_out_words=("cat",))
    assert list(table_df["protocol"].value_counts()) == [6, 6, 1]
    labels, is_quoted = clips_df["label"], clips_df["is_quoted"]
    for row in table_df.itertuples():
        predictions = known_only if row.protocol == "known words + threshold" else with_unknown
        answers, _ = open_set.cross_fitted_answers(predictions, clips_df, row.score, left_out_words=("cat",))
        assert row.accuracy == pytest.approx((answers == labels)[is_quoted].mean())
        assert row.unknown_recall == pytest.approx((answers == UNKNOWN)[clips_df["word"] == "bed"].mean())
        assert row.left_out_recall == pytest.approx((answers == UNKNOWN)[clips_df["word"] == "cat"].mean())
        assert row.commands_lost == pytest.approx((answers == UNKNOWN)[clips_df["word"].isin(COMMANDS)].mean())
    plain = table_df.set_index("protocol").loc["trained unknown"]
    assert plain["score"] == "none"
    assert plain["accuracy"] == (most_probable(with_unknown.competition()) == labels)[is_quoted].mean()
    without_df = open_set.score_table(known_only, clips_df)
    assert "left_out_recall" not in without_df and without_df["accuracy"][1:].max() > without_df["accuracy"][0]


def test_logits_are_those_of_the_probabilities(speech):
    model = registry.build_model("tc_resnet", 12)
    logits = anatomy.logits_model(model).predict_on_batch(speech)
    np.testing.assert_allclose(softmax(logits, axis=1), model.predict_on_batch(speech), atol=1e-6)
    with pytest.raises(ValueError, match=r"`model` must end in a dense layer 'probabilities'. Received: 'logits'"):
        anatomy.logits_model(anatomy.logits_model(model))


def test_clips_are_the_quoted_ones_and_more_unknown_words(sample_dir):
    clips_df = clips.index_clips(sample_dir)
    val_df, found_df = clips.validation_clips(clips_df), clips.open_set_clips(clips_df)
    pd.testing.assert_frame_equal(found_df[found_df["is_quoted"]].drop(columns="is_quoted"), val_df)
    assert not found_df["path"].duplicated().any() and (found_df["split"] == "val").all()
    assert set(found_df.loc[~found_df["is_quoted"], "label"]) == {UNKNOWN}
    is_val_word = (clips_df["split"] == "val") & ~clips_df["word"].isin(COMMANDS)
    assert (found_df["label"] == UNKNOWN).sum() == is_val_word.sum()


@pytest.fixture
def run_dir(tmp_path):
    """A trained model, as ONNX and as Keras file."""
    shutil.copytree(pretrained.PRETRAINED_DIR.parent / "tc_resnet", tmp_path / "run")
    return tmp_path / "run"


def test_threshold_keeps_what_suits_the_validation_clips(run_dir, sample_dir, capsys):
    command = ["threshold", "--data", str(sample_dir), "--run", str(run_dir)]
    clips_df = clips.open_set_clips(clips.check_clips(clips.index_clips(sample_dir))[0])
    predictions = validation.open_set_predictions(run_dir, clips_df)
    for options in ({"score": "margin", "false_accept_rate": 0.1}, {}):
        written = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        assert main([*command, *written]) == 0
        printed = capsys.readouterr().out
        assert all(score in printed for score in SCORES) and str(run_dir / "rejection.json") in printed
        found = load.load_recogniser(run_dir).rejection
        expected = calibration.choose_rejection(predictions, clips_df, **options)
        assert found.score == expected.score == options.get("score", "probability")
        assert found.temperature == pytest.approx(expected.temperature, rel=1e-3)
        assert found.threshold == pytest.approx(expected.threshold, rel=1e-3)
        answers, _ = found.apply(predictions.probabilities, predictions.vocabulary)
        if options:
            assert np.isin(answers, COMMANDS)[clips_df["label"] == UNKNOWN].mean() <= 0.1
    rule = json.loads((run_dir / "rejection.json").read_text())
    (run_dir / "rejection.json").write_text(json.dumps(rule | {"model": "another"}))  # as after another training
    assert main([*command]) == 0
    assert load.load_recogniser(run_dir).rejection == found
    assert main([*command, "--false-accept-rate", "7"]) == 1
    assert "`false_accept_rate` must be from 0 to 1" in capsys.readouterr().err


def predict(capsys, *arguments):
    assert main(["predict", *map(str, arguments)]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    return [label for _, label, _ in rows], [float(confidence) for *_, confidence in rows]


def test_predict_rejects_what_the_run_or_the_user_says(run_dir, sample_dir, capsys):
    engine = load.load_recogniser(run_dir)
    files = sorted((sample_dir / "test" / "audio").glob("*.wav"))[:30]
    probabilities = predict_waveforms(engine.model, np.array([read_clip(path) for path in files]))
    plain, sure = Rejection().apply(probabilities, engine.vocabulary)
    is_command = np.isin(plain, COMMANDS)
    middle = float(np.median(sure[is_command]))
    chosen = Rejection("probability", 1.5, 0.5)
    write_rejection(chosen, run_dir, engine.settings["model"])
    labels, confidences = chosen.apply(probabilities, engine.vocabulary)
    for model in (["--run", run_dir], ["--run", run_dir, "--engine", "keras"], ["--onnx", run_dir / "model.onnx"]):
        found = predict(capsys, *model, *files)
        assert found[0] == list(labels) != list(plain)
        assert found[1] == pytest.approx(confidences, abs=2e-3)
    assert predict(capsys, "--run", run_dir, "--threshold", "none", *files)[0] == list(plain)
    assert predict(capsys, "--run", run_dir, "--threshold", "1.1", *files)[0] == list(
        np.where(is_command, UNKNOWN, plain)
    )
    (run_dir / "rejection.json").unlink()
    assert predict(capsys, "--run", run_dir, *files)[0] == list(plain)
    labels, _ = Rejection(threshold=middle).apply(probabilities, engine.vocabulary)
    assert predict(capsys, "--run", run_dir, "--threshold", middle, *files)[0] == list(labels)


def test_submit_rejects_what_the_run_or_the_user_says(run_dir, sample_dir, tmp_path, capsys):
    out_path = tmp_path / "answers.csv"
    submit = ["submit", "--data", str(sample_dir), "--out", str(out_path)]
    of_run = [*submit, "--run", str(run_dir)]
    write_rejection(Rejection("margin", 1.0, 2.0), run_dir, load.load_recogniser(run_dir).settings["model"])
    assert main(of_run) == 0
    assert set(pd.read_csv(out_path)["label"]) <= {UNKNOWN, SILENCE}
    rejection = json.loads(out_path.with_suffix(".json").read_text())["rejection"]
    assert rejection == {"score": "margin", "temperature": 1.0, "threshold": 2.0}
    assert main([*of_run, "--match-label-mix"]) == 1
    assert "must have no threshold (`--threshold none`)" in capsys.readouterr().err
    assert main([*of_run, "--match-label-mix", "--threshold", "none"]) == 0
    assert set(COMMANDS) <= set(pd.read_csv(out_path)["label"])
    of_file = [*submit, "--probabilities", str(out_path.with_suffix(".npz"))]
    assert main([*of_run, "--overwrite"]) == 0
    for arguments, is_every_command_rejected in (([], True), (["--threshold", "none"], False)):
        assert main([*of_file, *arguments]) == 0
        assert (set(pd.read_csv(out_path)["label"]) <= {UNKNOWN, SILENCE}) == is_every_command_rejected


def test_a_published_model_keeps_its_rejection_and_no_other_takes_it(run_dir, tmp_path):
    chosen = Rejection("entropy", 0.9, -1.0)
    write_rejection(chosen, run_dir, runs.model_fingerprint(run_dir))
    publish.publish_run(run_dir, tmp_path / "public")
    assert load.load_recogniser(tmp_path / "public", engine="keras").rejection == chosen
    write_rejection(chosen, run_dir, "0" * 16)
    with pytest.raises(ValueError, match=r"rejection.json: must be chosen for the model beside it"):
        load.load_recogniser(run_dir)


def test_known_words_only_leave_other_words_out_of_the_training(sample_dir):
    clips_df = clips.index_clips(sample_dir, VOCABULARIES[11])
    train_df = clips.prepare_clips(clips_df, "train")
    assert set(train_df["label"]) == set(train_df["word"]) == {*COMMANDS, SILENCE}
    assert set(clips.validation_clips(clips_df)["label"]) == set(COMPETITION_LABELS)


def test_best_rows_are_those_of_the_highest_accuracy_in_the_order_of_the_table():
    table_df = pd.DataFrame({"protocol": ["b", "b", "a", "a"], "score": [*"wxyz"], "accuracy": [0.1, 0.3, 0.9, 0.2]})
    assert list(open_set.best_rows(table_df)["score"]) == ["x", "y"]
