"""Exported files of transcribers: of any length, they read as the Keras model does."""

import dataclasses
import shutil
import subprocess
import sys

import keras
import numpy as np
import onnx
import pytest

from kaggle_speech import files
from kaggle_speech.audio import SAMPLE_RATE
from kaggle_speech.data import splits, utterances
from kaggle_speech.evaluation.transcripts import decoders, summarize_transcripts, transcribe_utterances
from kaggle_speech.export import check
from kaggle_speech.export import onnx as onnx_module
from kaggle_speech.export.onnx import export_onnx, keras_to_onnx, metadata_of
from kaggle_speech.inference import load
from kaggle_speech.inference.runtimes import OnnxModel
from kaggle_speech.models import pretrained, runs
from kaggle_speech.models.registry import build_model
from kaggle_speech.models.resnet_ctc import OUTPUT_STEP, SPEC, num_output_frames
from kaggle_speech.text import ngram
from kaggle_speech.text.alphabet import ALPHABET

NAME = "resnet_ctc,num_filters=4,num_residual_blocks=1,num_units=8,num_recurrent_blocks=1"
#: Of the utterances of each batch.
LENGTHS = [(16_000, 7_000, 12_345), (9_999,), (23_000, 16_001)]


def batch_of(lengths, rng, padding=0):
    """Utterances of noise that grows, and `padding` zeros more than the longest needs."""
    waveform = np.zeros((len(lengths), max(lengths) + padding), "float32")
    for row, length in zip(waveform, lengths, strict=True):
        row[:length] = np.linspace(0, 0.3, length) * rng.standard_normal(length)
    return {"waveform": waveform, "num_samples": np.array(lengths, "int32")}


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(0)
    return [batch_of(lengths, rng) for lengths in LENGTHS]


@pytest.fixture(scope="module")
def trained():
    """A small model that is sure of what it hears: weights that say so instead of training."""
    rng = np.random.default_rng(1)
    model = build_model(NAME, len(ALPHABET))
    for weight in model.trainable_weights:
        weight.assign(weight + 0.3 * rng.standard_normal(weight.shape))
    return model


@pytest.fixture(scope="module")
def run_dir(trained, batches, tmp_path_factory):
    """A finished run with its exported file, and `half.onnx`."""
    folder = tmp_path_factory.mktemp("run")
    with runs.open_run(folder, task="transcripts", vocabulary=ALPHABET, settings={"model": NAME}) as run:
        run.finish(trained, {"word_error_rate": 0.5})
    more = {"model": runs.model_fingerprint(folder), "word_error_rate": 0.5}
    facts = metadata_of(trained, "transcripts", ALPHABET, more)
    comparison = check.compare_on_batches(trained, batches)
    probabilities = export_onnx(trained, folder / "model.onnx", facts, comparison)
    assert np.abs(probabilities - comparison.expected).max() < 1e-4
    probabilities = export_onnx(trained, folder / "half.onnx", facts, comparison, precision="float16")
    assert 1e-6 < np.abs(probabilities - comparison.expected).max() < 0.1
    return folder


def test_a_file_answers_as_the_model_does(trained, batches, run_dir):
    loaded = OnnxModel(run_dir / "model.onnx")
    for batch, lengths in zip(batches, LENGTHS, strict=True):
        found, expected = loaded.predict_on_batch(batch), trained.predict_on_batch(batch)
        assert found.shape == (len(lengths), num_output_frames(max(lengths)), len(ALPHABET))
        np.testing.assert_allclose(np.exp(found), np.exp(expected), atol=1e-4)
        np.testing.assert_array_equal(found.argmax(axis=-1), expected.argmax(axis=-1))
        assert len({*found.argmax(axis=-1).ravel()}) > 3  # it does not say the same of everything


def test_padding_and_neighbours_change_nothing(batches, run_dir):
    loaded = OnnxModel(run_dir / "model.onnx")
    together = loaded.predict_on_batch(batches[0] | {"waveform": np.pad(batches[0]["waveform"], ((0, 0), (0, 5_000)))})
    for row, length in enumerate(LENGTHS[0]):
        inputs = {
            "waveform": batches[0]["waveform"][row : row + 1, :length],
            "num_samples": np.array([length], "int32"),
        }
        alone = loaded.predict_on_batch(inputs)[0]
        np.testing.assert_allclose(np.exp(together[row, : len(alone)]), np.exp(alone), atol=1e-5)
        assert (together[row, len(alone) :].argmax(axis=-1) == 0).all()
        np.testing.assert_allclose(np.exp(together[row, len(alone) :, 0]), 1)


def test_axes_of_any_length_have_names(run_dir):
    graph = onnx.load(run_dir / "model.onnx").graph
    names = {value.name: [axis.dim_param for axis in value.type.tensor_type.shape.dim] for value in graph.input}
    assert names == {"waveform": ["batch", "samples"], "num_samples": ["batch"]}
    (output,) = graph.output
    axes = output.type.tensor_type.shape.dim
    assert [axis.dim_param for axis in axes[:2]] == ["batch", "frames"] and axes[2].dim_value == len(ALPHABET)


def test_recurrent_layers_are_one_operator_each(run_dir):
    operators = [node.op_type for node in onnx.load(run_dir / "model.onnx").graph.node]
    assert operators.count("GRU") == 1 and "Loop" not in operators


def test_half_precision_saves_bytes(trained, batches, run_dir):
    whole, half = (onnx.load(run_dir / name) for name in ("model.onnx", "half.onnx"))
    types = [{tensor.data_type for tensor in proto.graph.initializer} for proto in (whole, half)]
    assert onnx.TensorProto.FLOAT16 in types[1] - types[0]
    assert (run_dir / "half.onnx").stat().st_size < (run_dir / "model.onnx").stat().st_size
    assert OnnxModel(run_dir / "half.onnx").metadata["precision"] == "float16"


def test_a_quarter_of_the_bytes_gives_nearly_the_same_answers(trained, batches, run_dir, tmp_path):
    """The matrices of recurrent and dense layers are in 8 bits, and loaded without a step of rounding per answer."""
    facts, comparison = metadata_of(trained, "transcripts", ALPHABET), check.compare_on_batches(trained, batches)
    probabilities = export_onnx(trained, tmp_path / "int8.onnx", facts, comparison, precision="int8")
    assert 1e-4 < np.abs(probabilities - comparison.expected).max() < 0.2
    proto = onnx.load(tmp_path / "int8.onnx")
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    in_8_bits = {name for name, values in tensors.items() if values.dtype == np.int8}
    assert {node.input[0] for node in proto.graph.node if node.op_type == "Cast"} >= in_8_bits
    num_weights = trained.count_params()
    assert sum(tensors[name].size for name in in_8_bits) > 0.5 * num_weights
    assert (tmp_path / "int8.onnx").stat().st_size < (run_dir / "half.onnx").stat().st_size


def test_steps_of_several_frames_are_exported(batches, tmp_path):
    keras.utils.set_random_seed(0)
    model = build_model(f"{NAME},frames_per_step=2", len(ALPHABET))
    comparison = check.compare_on_batches(model, batches)
    facts = metadata_of(model, "transcripts", ALPHABET)
    probabilities = export_onnx(model, tmp_path / "model.onnx", facts, comparison)
    np.testing.assert_allclose(probabilities, comparison.expected, atol=1e-4)


def test_the_file_says_what_it_is(trained, run_dir):
    metadata = OnnxModel(run_dir / "model.onnx").metadata
    assert metadata["task"] == "transcripts"
    assert tuple(metadata["vocabulary"]) == ALPHABET and metadata["sample_rate"] == SAMPLE_RATE
    assert metadata["output_step"] == OUTPUT_STEP and metadata["features"] == dataclasses.asdict(SPEC)
    assert metadata["precision"] == "float32" and metadata["word_error_rate"] == 0.5
    assert metadata["model"] == runs.model_fingerprint(run_dir) and "clip_samples" not in metadata
    assert "LibriSpeech" in metadata["licence"] and "CC BY 4.0" in metadata["licence"]


def test_a_file_that_answers_otherwise_is_not_kept(trained, batches, tmp_path, monkeypatch):
    """The file is written with other weights than the model's."""
    convert = keras_to_onnx

    def tampered(model):
        proto = convert(model)
        for tensor in proto.graph.initializer:
            weights = onnx.numpy_helper.to_array(tensor)
            if weights.dtype == np.float32 and weights.shape[-1:] == (len(ALPHABET),):
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.roll(weights, 1, axis=-1), tensor.name))
        return proto

    monkeypatch.setattr(onnx_module, "keras_to_onnx", tampered)
    facts = metadata_of(trained, "transcripts", ALPHABET)
    comparison = check.compare_on_batches(trained, batches)
    with pytest.raises(check.ExportError, match=r"model.onnx: in float32, probabilities must be within"):
        export_onnx(trained, tmp_path / "model.onnx", facts, comparison)
    assert list(tmp_path.iterdir()) == []


def test_precisions_that_there_are_not(trained, batches, tmp_path):
    with pytest.raises(ValueError, match=r"`precision` must be one of .*'int8'.* Received: precision='int4'"):
        facts = metadata_of(trained, "transcripts", ALPHABET)
        export_onnx(trained, tmp_path / "a.onnx", facts, check.compare_on_batches(trained, batches), precision="int4")


def test_a_transcriber_is_a_run_or_a_file(trained, batches, run_dir, tmp_path):
    quick, slow = load.load_transcriber(run_dir), load.load_transcriber(run_dir, engine="keras")
    assert (quick.settings["engine"], slow.settings["engine"]) == ("onnxruntime", "keras")
    assert quick.settings["model"] == slow.settings["model"] == runs.model_fingerprint(run_dir)
    assert quick.output_step == slow.output_step == OUTPUT_STEP
    assert quick.facts["word_error_rate"] == slow.facts["word_error_rate"] == 0.5
    answers = [np.exp(found.model.predict_on_batch(batches[0])) for found in (quick, slow)]
    np.testing.assert_allclose(*answers, atol=1e-4)
    shutil.copy(run_dir / "half.onnx", tmp_path)
    assert load.load_transcriber(tmp_path / "half.onnx").settings["precision"] == "float16"


def test_a_language_model_lies_beside_it(run_dir, tmp_path):
    shutil.copy(run_dir / "model.onnx", tmp_path)
    assert load.load_transcriber(tmp_path).language_model is None
    ngram.count_ngrams(["go", "stop"], 3).write(tmp_path / ngram.FILE_NAME)
    for path in (tmp_path, tmp_path / "model.onnx"):
        assert load.load_transcriber(path).language_model.order == 3


def test_runs_and_files_that_make_no_transcripts(run_dir, tmp_path):
    words_dir = pretrained.PRETRAINED_DIR.parent / "tc_resnet"
    for path, engine in ((words_dir, None), (words_dir, "keras"), (words_dir / "model.onnx", None)):
        with pytest.raises(
            ValueError,
            match=r"tc_resnet.*must make transcripts. Received: .* words; use `predict`",
        ):
            load.load_transcriber(path, engine=engine)
    for path, engine in ((run_dir, None), (run_dir, "keras"), (run_dir / "model.onnx", None)):
        with pytest.raises(ValueError, match=r"must recognise words. Received: .* transcripts; use `transcribe`"):
            load.load_recogniser(path, engine=engine)
    with pytest.raises(ValueError, match="`engine` must be one of"):
        load.load_transcriber(run_dir, engine="torch")
    with pytest.raises(FileNotFoundError, match="must hold a trained model"):
        load.load_transcriber(tmp_path)
    for name in ("model.onnx", "run.json", "metrics.json"):
        shutil.copy(run_dir / name, tmp_path)
    (tmp_path / "model.keras").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"model.onnx: must be exported from the model beside it"):
        load.load_transcriber(tmp_path)


def test_an_exported_transcriber_needs_no_tensorflow(run_dir):
    code = f"""
import sys
import numpy as np
from kaggle_speech.inference import load
model = load.load_transcriber({str(run_dir)!r}).model
inputs = {{"waveform": np.zeros((1, 16_000), "float32"), "num_samples": np.array([16_000], "int32")}}
assert model.predict_on_batch(inputs).shape == (1, 41, 29)
assert not {{"tensorflow", "keras", "pandas", "sklearn", "librosa", "onnx"}} & {{*sys.modules}}, sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_comes_with_the_package_is_what_its_card_says(speech_dir):
    """All utterances of the six speakers are in its card; the short ones of them are here."""
    folder = pretrained.TRANSCRIBER_DIR
    metrics, card = files.read_json(folder / "metrics.json"), (folder / "README.md").read_text()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 6e6
    for way, expected in metrics["test"].items():
        (row,) = (line for line in card.splitlines() if line.startswith(f"| {way} |"))
        assert f"| {expected['wer']:.1%} (" in row and f"| {expected['cer']:.1%} (" in row
    transcriber = load.load_transcriber()
    utterances_df, _ = utterances.index_utterances(speech_dir, progress=False)
    utterances_df = splits.split_speakers(utterances_df, transcriber.num_val_speakers)
    val_df = utterances_df[utterances_df["split"] == "val"]
    ways = decoders(transcriber.language_model)
    found = summarize_transcripts(transcribe_utterances(transcriber.model, val_df, ways), ways)
    assert [*found] == [*metrics["test"]]
    for way, expected in metrics["test"].items():
        assert found[way]["cer"] == pytest.approx(expected["cer"], abs=0.15)
    assert found["beam_words"]["wer"] < found["beam_ngram"]["wer"] < found["greedy"]["wer"]
