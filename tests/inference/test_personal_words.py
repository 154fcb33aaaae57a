"""enroll.py: a few recordings make a word; nothing else becomes one."""

import json
import shutil

import numpy as np
import pytest

from kaggle_speech.audio import write_wav
from kaggle_speech.cli.main import main
from kaggle_speech.inference import personal_words
from kaggle_speech.inference.answers import Rejection
from kaggle_speech.inference.batches import predict_waveforms
from kaggle_speech.inference.personal_words import PersonalModel, PersonalWords, read_words
from kaggle_speech.inference.recogniser import Recogniser
from kaggle_speech.inference.runtimes import OnnxModel
from kaggle_speech.labels import COMPETITION_LABELS
from kaggle_speech.models import pretrained

MODEL_PATH = pretrained.PRETRAINED_DIR / "model.onnx"


class Directions:
    """A model whose embedding is the clip's first three samples."""

    vocabulary, fingerprint = ("yes", "no"), "directions"

    def predict_with_embedding(self, waveform):
        return np.full((len(waveform), 2), 0.5, "float32"), np.asarray(waveform)[:, :3]


@pytest.fixture
def words():
    recordings = np.array([[1, 0.1, 0], [2, -0.2, 0]])
    return personal_words.enroll(Directions(), "sesame", recordings)


def test_the_embedding_is_what_the_last_layer_gets(speech):
    import keras

    from kaggle_speech.models import runs

    keras_model, _ = runs.load_run()
    expected = keras.Model(keras_model.inputs[0], keras_model.layers[-1].input).predict(speech, verbose=0)
    model = OnnxModel(MODEL_PATH, embedding=True)
    probabilities, embedding = model.predict_with_embedding(speech)
    np.testing.assert_allclose(embedding, expected, atol=1e-3)
    np.testing.assert_allclose(probabilities, OnnxModel(MODEL_PATH).predict_on_batch(speech), atol=1e-6)
    np.testing.assert_array_equal(probabilities, model.predict_on_batch(speech))


def test_a_word_is_the_mean_direction(words):
    np.testing.assert_allclose(words.prototypes, [[1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(words.similarity(np.array([[5, 0, 0], [0, 1, 0], [1, 1, 0]])).T, [[1, 0, 0.5**0.5]])


def test_a_word_takes_its_share_and_leaves_the_rest(words):
    model = PersonalModel(Directions(), words)
    assert model.vocabulary == ("yes", "no", "sesame")
    probabilities = model.predict_on_batch(np.array([[1.0, 0, 0], [0, 1, 0], [0.9, (1 - 0.9**2) ** 0.5, 0]]))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert probabilities[0, 2] > 0.99 and probabilities[1, 2] < 1e-6
    np.testing.assert_allclose(probabilities[2], [0.25, 0.25, 0.5], atol=1e-3)  # at the threshold


def test_the_nearest_of_several_words_is_heard(words):
    words = personal_words.enroll(Directions(), "abracadabra", np.array([[0.95, 0.3, 0]]), words)
    probabilities = PersonalModel(Directions(), words).predict_on_batch(np.array([[1.0, 0, 0], [0.94, 0.31, 0]]))
    assert list(probabilities.argmax(axis=1)) == [2, 3]
    assert (probabilities[:, 2:] > 0).sum() == 2


def test_of_two_words_that_sound_alike_one_is_heard(words):
    """As where a word is enrolled again under another name."""
    words = personal_words.enroll(Directions(), "sesam", np.array([[1, 0.1, 0], [2, -0.2, 0]]), words)
    probabilities = PersonalModel(Directions(), words).predict_on_batch(np.array([[1.0, 0, 0], [0, 1, 0]]))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert (probabilities >= 0).all() and probabilities[0, 2] > 0.99 and probabilities[0, 3] == 0


def test_a_label_of_the_model_is_no_word_to_enroll():
    with pytest.raises(ValueError, match=r"`word` must be none that the model knows, yes, no. Received: 'no'"):
        personal_words.enroll(Directions(), "no", np.ones((1, 3)))


def test_real_and_sample_speech_is_told_apart(speech):
    """Each of four clips is enrolled by slightly changed copies of itself."""
    model, words = OnnxModel(MODEL_PATH, embedding=True), None
    for number, clip in enumerate(speech):
        words = personal_words.enroll(model, f"word {number}", np.stack([0.7 * clip, np.roll(clip, 200)]), words)
    similarity = words.similarity(model.predict_with_embedding(speech)[1])
    assert list(similarity.argmax(axis=1)) == [0, 1, 2, 3]
    assert (similarity.diagonal() > 0.9).all()
    assert predict_waveforms(PersonalModel(model, words), speech).shape == (4, 16)


def test_answers_are_the_word_or_what_the_model_says_without_it(words, speech):
    model = PersonalModel(Directions(), words)
    recogniser = Recogniser(model, model.vocabulary, rejection=Rejection(threshold=0.6), words=words.words)
    probabilities = np.array([[0.2, 0.1, 0.7], [0.5, 0.1, 0.4], [0.3, 0.3, 0.4]])
    labels, confidences = recogniser.answers(probabilities)
    assert list(labels) == ["sesame", "yes", "unknown"]
    np.testing.assert_allclose(confidences, [0.7, 0.5 / 0.6, 0.5])
    assert list(recogniser.with_threshold(-np.inf).answers(probabilities)[0]) == ["sesame", "yes", "yes"]


def test_through_the_door(speech, tmp_path, capsys):
    """Three versions of a clip are enrolled, a fourth one is heard; other clips are not taken for it."""
    for number, waveform in enumerate([speech[0], 0.6 * speech[0], np.roll(speech[0], 400), np.roll(speech[0], -300)]):
        write_wav(tmp_path / f"{number}.wav", waveform)
    write_wav(tmp_path / "other.wav", speech[2])
    recordings, words_path = [str(tmp_path / f"{number}.wav") for number in range(3)], str(tmp_path / "words.json")
    assert main(["enroll", "--word", "sesame", "--words", words_path, *recordings]) == 0
    files = [str(tmp_path / "3.wav"), str(tmp_path / "other.wav")]
    assert main(["predict", "--words", words_path, *files]) == 0
    heard, other = capsys.readouterr().out.splitlines()[-2:]
    assert heard.split("\t")[1] == "sesame" and other.split("\t")[1] in COMPETITION_LABELS
    assert main(["enroll", "--word", "yes", "--words", words_path, *recordings]) == 1
    assert main(["enroll", "--word", "open", "--words", words_path, str(tmp_path / "none.wav")]) == 1
    assert main(["predict", "--words", words_path, "--engine", "keras", *files]) == 1
    errors = capsys.readouterr().err
    for text in (
        "`word` must be none that the model knows",
        "none.wav",
        "`engine` must be onnxruntime where `words` is given",
    ):
        assert text in errors
    assert read_words(words_path).words == ("sesame",)


def test_a_word_enrolled_again_is_replaced(words):
    again = personal_words.enroll(Directions(), "sesame", np.array([[0, 0, 3.0]]), words)
    assert again.words == ("sesame",)
    np.testing.assert_allclose(again.prototypes, [[0, 0, 1]])


def test_round_trip(words, tmp_path):
    words.write(tmp_path / "words.json")
    read = read_words(tmp_path / "words.json")
    assert (read.words, read.model, read.threshold) == (words.words, words.model, words.threshold)
    np.testing.assert_allclose(read.prototypes, words.prototypes, atol=1e-6)


def test_words_of_another_model_are_refused(words, tmp_path):
    model = OnnxModel(shutil.copy(MODEL_PATH, tmp_path / "model.onnx"), embedding=True)
    with pytest.raises(ValueError, match=r"`words` must be enrolled with this model, .* Received: words of directions"):
        PersonalModel(model, words)
    with pytest.raises(ValueError, match="`words` must be enrolled with this model"):
        personal_words.enroll(model, "open", np.zeros((1, 16_000), "float32"), words)


@pytest.mark.parametrize("word", [*COMPETITION_LABELS, ""])
def test_the_twelve_labels_cannot_be_enrolled(word):
    with pytest.raises(ValueError, match=r"differ from each other and from the twelve|none that the model knows"):
        personal_words.enroll(Directions(), word, np.ones((1, 3)))


def test_bad_words():
    with pytest.raises(ValueError, match=r"`waveform` must be recordings of 'sesame'. Received: none"):
        personal_words.enroll(Directions(), "sesame", np.zeros((0, 16_000)))
    with pytest.raises(ValueError, match=r"`prototypes` must have a row for each word, 2. Received: shape=\(1, 3\)"):
        PersonalWords(("open", "sesame"), np.ones((1, 3)), "m")
    with pytest.raises(ValueError, match=r"`threshold` must be between 0 and 1. Received: threshold=1.5"):
        PersonalWords(("sesame",), np.ones((1, 3)), "m", 1.5)


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"words": ["open"]}), json.dumps({"words": 3})])
def test_files_that_are_none(content, tmp_path):
    path = tmp_path / "words.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"words.json: must be a file of enrolled words"):
        read_words(path)
