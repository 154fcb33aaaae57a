"""ensemble.py against scipy, scikit-learn and counting by hand."""

import numpy as np
import pytest
import scipy.optimize
from sklearn.metrics import log_loss

from kaggle_speech.inference import ensemble
from kaggle_speech.inference.predictions import Predictions
from kaggle_speech.labels import COMPETITION_LABELS, VOCABULARIES


def make_member(probabilities):
    names = [f"{number}.wav" for number in range(len(probabilities))]
    return Predictions(names, np.asarray(probabilities), COMPETITION_LABELS)


@pytest.fixture
def members(rng):
    """Predictions of three models of different quality on 400 clips, and the truth."""
    truth = rng.integers(0, 12, 400)
    logits = rng.standard_normal((3, 400, 12)) + np.array([1.0, 2.0, 0.2])[:, None, None] * np.eye(12)[truth]
    return [make_member(values) for values in scipy.special.softmax(logits, axis=2)], np.array(COMPETITION_LABELS)[
        truth
    ]


def test_fitted_weights_are_those_of_a_general_optimizer(members):
    members, labels = members
    weights = ensemble.fit_weights(members, labels)
    probabilities = np.array([member.probabilities for member in members])

    def loss(logits):
        mean = np.tensordot(scipy.special.softmax(logits), probabilities, axes=1)
        order = np.argsort(COMPETITION_LABELS)  # scikit-learn's order of columns
        return log_loss(labels, mean[:, order], labels=sorted(COMPETITION_LABELS))

    best = scipy.optimize.minimize(loss, np.zeros(3), method="BFGS")
    np.testing.assert_allclose(weights, scipy.special.softmax(best.x), atol=5e-3)
    assert weights.sum() == pytest.approx(1) and weights.argmax() == 1


def test_blend_is_the_weighted_mean_over_the_twelve_labels(tmp_path, rng):
    names, paths = np.array(["a.wav", "b.wav"]), []
    for num_classes in (12, 31):
        probabilities = rng.dirichlet(np.ones(num_classes), 2).astype("float32")
        paths.append(tmp_path / f"{num_classes}.npz")
        vocabulary = VOCABULARIES[num_classes]
        Predictions(names, probabilities, vocabulary, {"model": num_classes}).save(paths[-1])
    members = ensemble.read_members(paths)
    file = ensemble.blend(members, [1, 3])
    first, second = (member.competition() for member in members)
    np.testing.assert_allclose(file.probabilities, 0.25 * first + 0.75 * second, rtol=1e-6)
    np.testing.assert_allclose(file.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert file.vocabulary == COMPETITION_LABELS
    assert file.settings["weights"] == [0.25, 0.75] and file.settings["blend"][1] == {"model": 31}
    np.testing.assert_allclose(ensemble.blend(members).probabilities, (first + second) / 2, rtol=1e-6)


def test_files_of_other_clips_and_strange_weights(tmp_path):
    def write(name, names, **settings):
        probabilities = np.full((len(names), 12), 1 / 12)
        Predictions(names, probabilities, COMPETITION_LABELS, settings).save(tmp_path / name)
        return tmp_path / name

    first, other = write("a.npz", ["a.wav", "b.wav"]), write("b.npz", ["a.wav", "c.wav"])
    with pytest.raises(ValueError, match=r"b.npz: must be of the clips of .*a.npz"):
        ensemble.read_members([first, other])
    with pytest.raises(ValueError, match=r"`members\[1\]`: must be of the clips of `members\[0\]`, 2 from a.wav on"):
        ensemble.blend([*ensemble.read_members([first]), *ensemble.read_members([other])])
    with pytest.raises(ValueError, match=r"c.npz: must be of all clips, merge it first"):
        ensemble.read_members([first, write("c.npz", ["a.wav"], shard=[1, 2])])
    for weights in ([1], [1, -1], [0, 0]):
        with pytest.raises(ValueError, match="`weights` must be 2 numbers"):
            ensemble.blend(ensemble.read_members([first, first]), weights)


def test_matched_probabilities_have_the_mix_and_keep_the_odds(rng):
    probabilities = rng.dirichlet(np.linspace(0.2, 2, 12), 1000)
    member = make_member(probabilities)
    matched = ensemble.match_label_mix(member).probabilities
    np.testing.assert_allclose(matched.mean(axis=0), 1 / 12, atol=1e-3)
    np.testing.assert_allclose(matched.sum(axis=1), 1, rtol=1e-5)
    # One factor a label, the same for all clips.
    odds = (matched / probabilities) / (matched / probabilities)[:, :1]
    np.testing.assert_allclose(odds, np.broadcast_to(odds[:1], odds.shape), rtol=1e-3)
    mix = np.arange(1, 13) / 78
    np.testing.assert_allclose(ensemble.match_label_mix(member, mix).probabilities.mean(axis=0), mix, atol=1e-3)
    with pytest.raises(ValueError, match="`label_mix` must be 12 shares"):
        ensemble.match_label_mix(member, np.ones(12))
    with pytest.raises(ValueError, match=r"`predictions` must have no threshold .* Received: threshold=0.5"):
        ensemble.match_label_mix(member.with_threshold(0.5))


def test_pseudo_labels_are_agreed_sure_and_balanced():
    def member(rows):
        return make_member([np.eye(12)[column] * sure + (1 - sure) / 12 for column, sure in rows])

    first = member([(0, 0.99), (0, 0.95), (0, 0.9), (1, 0.99), (1, 0.5), (2, 0.99)])
    second = member([(0, 0.99), (0, 0.95), (0, 0.9), (1, 0.97), (1, 0.5), (3, 0.99)])
    names = first.names
    labels_df = ensemble.pseudo_labels([first, second], min_probability=0.8)
    assert dict(zip(labels_df["fname"], labels_df["label"], strict=True)) == {"0.wav": "yes", "3.wav": "no"}
    labels_df = ensemble.pseudo_labels([first, second], min_probability=0.8, max_per_label=2)
    assert list(labels_df["fname"]) == ["0.wav", "3.wav", "1.wav"]
    labels_df = ensemble.pseudo_labels([first, second], min_probability=0, max_per_label=9)
    assert {*labels_df["fname"]} == {*names} - {"5.wav"}  # the models do not agree on it
    with pytest.raises(ValueError, match="`min_probability` must be from 0 to 1"):
        ensemble.pseudo_labels([first], min_probability=2)
