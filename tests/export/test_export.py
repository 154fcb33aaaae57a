"""Exported files: every architecture, in every format, has the probabilities of the Keras model; words."""

import dataclasses
import shutil
import subprocess
import sys

import keras
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest

from kaggle_speech.audio import read_clip, read_clips, write_wav
from kaggle_speech.data.clips import check_clips, index_clips, prepare_clips, validation_clips
from kaggle_speech.export import check, onnx_graph, other_formats, report
from kaggle_speech.export.onnx import export_onnx, keras_to_onnx, metadata_of
from kaggle_speech.features.filters import FeatureSpec
from kaggle_speech.features.layers import LogMelSpectrogram
from kaggle_speech.files import read_json
from kaggle_speech.inference import batches, load, predict, runtimes
from kaggle_speech.inference.runtimes import LiteRTModel, OnnxModel
from kaggle_speech.labels import COMPETITION_LABELS
from kaggle_speech.models import anatomy, pretrained, runs
from kaggle_speech.models.registry import build_model

#: In sizes that convert to every format in seconds; EfficientNet-B0 takes minutes.
ARCHITECTURES = [
    *("tc_resnet", "bc_resnet", "ds_cnn", "cnn", "cnn_bigru", "vgg,image_size=40"),
    "efficientnet,backbone=mobilenet_v3_small",
]


def onnx_bytes(model, path, speech, precision="float32"):
    """An exported file of a model, checked."""
    facts = metadata_of(model, "words", COMPETITION_LABELS, {"accuracy": 0.5})
    comparison = check.compare_on_clips(model, speech)
    export_onnx(model, path, facts, comparison, precision=precision, calibration=speech)
    return path.stat().st_size


@pytest.fixture(scope="module")
def trained():
    """A TC-ResNet whose answers differ from clip to clip: that of the package."""
    model, _ = runs.load_run(pretrained.PRETRAINED_DIR.parent / "tc_resnet")
    return model


@pytest.fixture
def clips(sample_dir):
    """Sixty-four clips of the sample. Shape: `(64, 16000)`."""
    return np.array(
        [read_clip(path) for path in sorted((sample_dir / "train" / "audio").glob("*/*_nohash_*.wav"))[:64]]
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ARCHITECTURES, "efficientnet"])
def test_every_architecture_exports_and_answers_the_same(name, tmp_path, speech):
    keras.utils.set_random_seed(0)
    model = build_model(name, 12)
    comparison = check.compare_on_clips(model, speech)
    expected = comparison.expected
    onnx_bytes(model, tmp_path / "model.onnx", speech)
    loaded = OnnxModel(tmp_path / "model.onnx")
    for batch in (speech, speech[:1]):
        np.testing.assert_allclose(loaded.predict_on_batch(batch), expected[: len(batch)], atol=1e-4)
    if name not in ARCHITECTURES:
        return
    other_formats.export_litert(model, tmp_path / "model.tflite", comparison)
    np.testing.assert_allclose(LiteRTModel(tmp_path / "model.tflite").predict_on_batch(speech), expected, atol=1e-4)
    other_formats.export_saved_model(model, tmp_path / "saved", comparison)
    np.testing.assert_allclose(runtimes.SavedModel(tmp_path / "saved").predict_on_batch(speech), expected, atol=1e-4)


def test_a_good_export_takes_the_place_of_the_one_before_and_a_failing_one_does_not(trained, clips, tmp_path):
    comparison = check.compare_on_clips(trained, clips)
    wrong = dataclasses.replace(comparison, expected=1 - comparison.expected)
    facts = metadata_of(trained, "words", COMPETITION_LABELS)
    (tmp_path / "saved").mkdir()
    for path in (tmp_path / "model.onnx", tmp_path / "saved" / "older"):
        path.write_text("older")
    other_formats.export_saved_model(trained, tmp_path / "saved", comparison)
    export_onnx(trained, tmp_path / "model.onnx", facts, comparison)
    assert not (tmp_path / "saved" / "older").exists()
    with pytest.raises(check.ExportError):
        other_formats.export_saved_model(trained, tmp_path / "saved", wrong)
    with pytest.raises(check.ExportError):
        export_onnx(trained, tmp_path / "model.onnx", facts, wrong)
    assert {path.name for path in tmp_path.iterdir()} == {"saved", "model.onnx"}
    for loaded in (runtimes.SavedModel(tmp_path / "saved"), OnnxModel(tmp_path / "model.onnx")):
        np.testing.assert_allclose(loaded.predict_on_batch(clips), comparison.expected, atol=1e-4)


def test_axes_of_any_length_have_names(trained):
    graph = keras_to_onnx(trained).graph
    for value in (*graph.input, *graph.output):
        axes = value.type.tensor_type.shape.dim
        assert axes[0].dim_param == "batch" and all(axis.dim_value > 0 for axis in axes[1:])


def test_precisions_cost_little_and_save_much(trained, clips, tmp_path):
    expected = batches.predict_waveforms(trained, clips)
    size, found = {}, {}
    for precision in ("float32", "float16", "int8"):
        path = tmp_path / f"{precision}.onnx"
        size[precision] = onnx_bytes(trained, path, clips, precision)
        found[precision] = OnnxModel(path).predict_on_batch(clips)
    assert size["float16"] < 0.6 * size["float32"] and size["int8"] < 0.6 * size["float32"]
    np.testing.assert_allclose(found["float32"], expected, atol=1e-5)
    np.testing.assert_allclose(found["float16"], expected, atol=0.05)
    assert (found["int8"].argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.95
    assert np.abs(found["int8"] - expected).max() > 1e-4  # it is quantised indeed
    weights = onnx.load(tmp_path / "int8.onnx").graph.initializer
    assert sum(tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1 for tensor in weights) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tc_resnet", "bc_resnet"])
def test_int8_loses_little_on_real_clips(name, real_dir, tmp_path):
    """At most half a point, calibrated on training clips; the smallest net stays under 200 kB."""
    clips_df = index_clips(real_dir)
    calibration, _ = read_clips(list(prepare_clips(clips_df, "train", seed=0)["path"][:256]))
    val_df = validation_clips(clips_df)
    waveform, _ = read_clips(list(val_df["path"]))
    model, _ = runs.load_run(pretrained.PRETRAINED_DIR.parent / name)
    comparison = check.compare_on_clips(model, waveform)
    expected = comparison.expected
    path = tmp_path / "int8.onnx"
    facts = metadata_of(model, "words", COMPETITION_LABELS)
    export_onnx(model, path, facts, comparison, precision="int8", calibration=calibration)
    found = batches.predict_waveforms(OnnxModel(path), waveform)
    truth = [COMPETITION_LABELS.index(label) for label in val_df["label"]]
    exact, quantized = ((answers.argmax(axis=1) == truth).mean() for answers in (expected, found))
    assert exact > 0.94 and quantized > exact - 0.005
    assert path.stat().st_size < 200_000


def test_int8_leaves_the_frontend_in_float(trained, clips):
    """No node between waveform and MFCC is quantised: cut there, both files give the same numbers."""
    quantized = onnx_graph.quantize(keras_to_onnx(trained), clips, [anatomy.frontend(trained).name])
    operators = [node.op_type for node in quantized.graph.node]
    first = operators.index("QuantizeLinear")
    assert {"Log", "ReduceMax"} <= {*operators[:first]} and operators.count("QuantizeLinear") > 10


def test_attributes_that_are_left_out_change_no_answer(rng):
    """Of a convolution of two groups and a pool: what is not the default stays."""
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], group=2, auto_pad="NOTSET", strides=[2]),
        helper.make_node("AveragePool", ["y"], ["z"], kernel_shape=[3], pads=[1, 1], count_include_pad=0, ceil_mode=0),
    ]
    weights = onnx.numpy_helper.from_array(rng.standard_normal((4, 1, 3)).astype("float32"), "w")
    values = [helper.make_tensor_value_info(name, floats, [1, size, None]) for name, size in (("x", 2), ("z", 4))]
    graph = helper.make_graph(nodes, "graph", values[:1], values[1:], [weights])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    shorter = onnx_graph.remove_defaults(proto)
    onnx.checker.check_model(shorter)
    told = [{attribute.name for attribute in node.attribute} for node in shorter.graph.node]
    assert told == [{"group", "strides"}, {"kernel_shape", "pads"}]
    speech = rng.standard_normal((1, 2, 20)).astype("float32")
    answers = [
        onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": speech})[0]
        for model in (proto, shorter)
    ]
    np.testing.assert_array_equal(*answers)


def test_each_node_has_a_name_of_its_own(trained):
    """onnxruntime before 1.22 refuses some graphs of nodes without names."""
    names = [node.name for node in onnx_graph.shorten_names(keras_to_onnx(trained)).graph.node]
    assert all(names) and len({*names}) == len(names)


@pytest.mark.parametrize("lengths", [(480, 160, 512), (401, 161, 500), (1024, 256, 1024)])
def test_computed_kernels_are_the_stored_ones(lengths, speech, tmp_path):
    spec = FeatureSpec(*lengths)
    waveform = keras.Input((16_000,))
    model = keras.Model(waveform, LogMelSpectrogram(spec)(waveform))
    proto = keras_to_onnx(model)
    smaller = onnx_graph.shorten_names(onnx_graph.compute_dft_kernels(proto, spec))
    kernel_bytes = 4 * lengths[0] * 2 * (lengths[2] // (2 * spec.dft_radix) + 1)
    assert len(proto.SerializeToString()) - len(smaller.SerializeToString()) > 0.8 * kernel_bytes
    onnx.helper.set_model_props(smaller, {"vocabulary": "[]"})
    onnx.save(smaller, tmp_path / "features.onnx")
    found = OnnxModel(tmp_path / "features.onnx").predict_on_batch(speech)
    np.testing.assert_allclose(found, model(speech), atol=1e-2)


def test_scattered_weights_are_the_stored_ones(trained, speech):
    """Mel filters: mostly zeros, exactly as before; other weights stay."""
    proto = keras_to_onnx(trained)
    scattered = onnx_graph.scatter_sparse_weights(proto)
    saved = proto.ByteSize() - scattered.ByteSize()
    assert saved > 40_000 and scattered.ByteSize() < proto.ByteSize()
    answers = []
    for model in (proto, scattered):
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        answers.append(session.run(None, {session.get_inputs()[0].name: speech})[0])
    np.testing.assert_array_equal(*answers)
    dense = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    kept = {tensor.name for tensor in scattered.graph.initializer} & {*dense}
    assert all(np.count_nonzero(dense[name]) < dense[name].size / 8 for name in {*dense} - kept) and {*dense} - kept


def test_equal_constants_are_stored_once(trained, clips):
    """A quantised file answers to the bit as before, without two constants of the same type, shape and content."""
    quantized = onnx_graph.quantize(keras_to_onnx(trained), clips, [anatomy.frontend(trained).name])
    shared = onnx_graph.share_constants(quantized)
    contents = [
        (tensor.data_type, tuple(tensor.dims), onnx.numpy_helper.to_array(tensor).tobytes())
        for tensor in shared.graph.initializer
    ]
    assert len({*contents}) == len(contents) < len(quantized.graph.initializer)
    answers = []
    for model in (quantized, shared):
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        answers.append(session.run(None, {session.get_inputs()[0].name: clips[:8]})[0])
    np.testing.assert_array_equal(*answers)


def test_a_file_that_answers_otherwise_is_not_kept(trained, clips, tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    comparison = check.compare_on_clips(trained, clips)
    wrong = dataclasses.replace(comparison, expected=np.roll(comparison.expected, 1, axis=1))
    facts = metadata_of(trained, "words", COMPETITION_LABELS)
    with pytest.raises(check.ExportError, match=r"model.onnx: in float32, probabilities must be within"):
        export_onnx(trained, path, facts, wrong)
    monkeypatch.setattr(onnx, "save", lambda proto, path: path.write_bytes(b"no graph"))
    with pytest.raises(check.ExportError, match=r"model.onnx: must convert and load again"):
        export_onnx(trained, path, facts, wrong)
    assert list(tmp_path.iterdir()) == []


def test_int8_needs_clips_to_calibrate_on(trained, clips, tmp_path):
    facts = metadata_of(trained, "words", COMPETITION_LABELS)
    for calibration in (None, clips[:0]):
        with pytest.raises(ValueError, match="`calibration` must be training clips"):
            export_onnx(
                trained,
                tmp_path / "a.onnx",
                facts,
                check.compare_on_clips(trained, clips[:1]),
                precision="int8",
                calibration=calibration,
            )


def test_the_file_says_what_it_is(trained, clips, tmp_path):
    onnx_bytes(trained, tmp_path / "model.onnx", clips)
    loaded = OnnxModel(tmp_path / "model.onnx", num_threads=1)
    assert loaded.vocabulary == COMPETITION_LABELS
    assert loaded.metadata["task"] == "words"
    assert loaded.metadata["sample_rate"] == 16_000 and loaded.metadata["clip_samples"] == 16_000
    assert loaded.metadata["features"]["num_mel_bins"] == anatomy.frontend(trained).spec.num_mel_bins
    assert loaded.metadata["precision"] == "float32" and loaded.metadata["accuracy"] == 0.5
    assert "CC BY 4.0" in loaded.metadata["licence"]
    engine = load.load_recogniser(tmp_path / "model.onnx")
    assert engine.settings["engine"] == "onnxruntime" and engine.vocabulary == COMPETITION_LABELS


def test_a_run_with_an_exported_file_is_answered_by_it(trained, clips, tmp_path):
    run_dir = pretrained.PRETRAINED_DIR.parent / "tc_resnet"
    for name in ("model.weights.h5", "run.json", "metrics.json"):
        shutil.copy(run_dir / name, tmp_path)
    assert load.load_recogniser(tmp_path).settings["engine"] == "keras"
    facts = metadata_of(trained, "words", COMPETITION_LABELS, {"model": runs.model_fingerprint(tmp_path)})
    comparison = check.compare_on_clips(trained, clips)
    export_onnx(trained, tmp_path / "model.onnx", facts, comparison)
    quick, slow = load.load_recogniser(tmp_path), load.load_recogniser(tmp_path, engine="keras")
    assert (quick.settings["engine"], slow.settings["engine"]) == ("onnxruntime", "keras")
    assert quick.settings["model"] == slow.settings["model"]
    answers = [batches.predict_waveforms(engine.model, clips) for engine in (quick, slow)]
    np.testing.assert_allclose(*answers, atol=1e-5)
    export_onnx(trained, tmp_path / "model.onnx", facts | {"model": "another"}, comparison)
    with pytest.raises(ValueError, match=r"model.onnx: must be exported from the model beside it"):
        load.load_recogniser(tmp_path)


@pytest.mark.parametrize("name", ["tc_resnet", "bc_resnet"])
def test_the_packages_models_have_their_exported_files(name, clips):
    run_dir = pretrained.PRETRAINED_DIR.parent / name
    loaded = [load.load_recogniser(run_dir, engine=engine).model for engine in load.ENGINES]
    answers = [batches.predict_waveforms(model, clips) for model in loaded]
    np.testing.assert_allclose(*answers, atol=1e-5)


def test_files_that_are_no_model(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.onnx: must be an ONNX file"):
        OnnxModel(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"bad")
    with pytest.raises(ValueError, match=r"bad.onnx: must be an ONNX model"):
        OnnxModel(tmp_path / "bad.onnx")
    with pytest.raises(FileNotFoundError, match="must hold a trained model"):
        load.load_recogniser(tmp_path)
    for name in ("model.weights.h5", "run.json", "metrics.json"):
        shutil.copy(pretrained.PRETRAINED_DIR.parent / "tc_resnet" / name, tmp_path)
    with pytest.raises(ValueError, match="`engine` must be one of"):
        load.load_recogniser(tmp_path, engine="torch")
    with pytest.raises(FileNotFoundError, match=r"must hold model.onnx for onnxruntime"):
        load.load_recogniser(tmp_path, engine="onnxruntime")


def test_predict_with_an_exported_file_imports_no_tensorflow(trained, clips, tmp_path):
    onnx_bytes(trained, tmp_path / "model.onnx", clips)
    write_wav(tmp_path / "a.wav", clips[0])
    code = "import sys; from kaggle_speech.cli.main import main\n"
    code += f"assert main(['predict', '--onnx', {str(tmp_path / 'model.onnx')!r}, {str(tmp_path / 'a.wav')!r}]) == 0\n"
    code += "assert not {'tensorflow', 'keras', 'pandas', 'sklearn', 'librosa'} & {*sys.modules}, sys.modules.keys()\n"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    expected = batches.predict_waveforms(trained, np.array([read_clip(tmp_path / "a.wav")]))
    assert shown.split("\t")[1] == COMPETITION_LABELS[expected.argmax()]


@pytest.fixture(scope="module")
def clips_df(sample_dir):
    """Clips of a few validation speakers, and of training speakers to calibrate on."""
    clips_df = check_clips(index_clips(sample_dir), progress=False)[0]
    return pd.concat([clips_df[clips_df["split"] == split].head(60) for split in ("train", "val")])


def test_a_run_is_exported_with_a_report(clips_df, tmp_path):
    run_dir = pretrained.PRETRAINED_DIR.parent / "tc_resnet"
    files = [("onnx", "float32"), ("onnx", "int8"), ("litert", "float16"), ("saved_model", "float32")]
    report_df = report.export_run(run_dir, tmp_path, clips_df, files, num_calibration=8)
    assert list(report_df["file"]) == ["", "model.onnx", "model_int8.onnx", "model_float16.tflite", "model_saved_model"]
    assert list(report_df["runtime"]) == ["keras", "onnx", "onnx", "litert", "saved_model"]
    assert [*report_df][:5] == ["file", "runtime", "precision", "bytes", "max_difference"]
    assert report_df["bytes"][1] == (tmp_path / "model.onnx").stat().st_size
    model, _ = runs.load_run(run_dir)
    val_df = validation_clips(clips_df)
    probabilities = predict.predict_probabilities(model, val_df, progress=False)
    accuracy = (np.array(COMPETITION_LABELS)[probabilities.argmax(axis=1)] == val_df["label"]).mean()
    np.testing.assert_allclose(report_df["accuracy"], accuracy, atol=0.05)
    assert (report_df["max_difference"][[0, 1, 4]] < 1e-4).all() and (report_df["agreement"] > 0.9).all()
    assert (report_df[["ms_2_threads", "clips_per_s_16", "clips_per_s_64"]] > 0).all(axis=None)
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "model_report.csv").fillna({"file": ""}), report_df, check_dtype=False
    )
    metadata = OnnxModel(tmp_path / "model.onnx").metadata
    metrics = read_json(run_dir / "metrics.json")
    assert metadata["model"] == metrics["model"] and metadata["accuracy"] == metrics["accuracy"]
    assert metadata["task"] == "words"


def test_files_that_there_are_not(clips_df, tmp_path):
    run_dir = pretrained.PRETRAINED_DIR.parent / "tc_resnet"
    for files in ([("litert", "int8")], [("onnx", "float32"), ("coreml", "float32")]):
        with pytest.raises(ValueError, match=r"`files` must be pairs of"):
            report.export_run(run_dir, tmp_path / "out", clips_df, files)
    with pytest.raises(FileNotFoundError, match="must hold a trained model"):
        report.export_run(tmp_path, tmp_path / "out", clips_df)
    assert not (tmp_path / "out").exists()


def test_a_run_whose_export_fails_keeps_its_good_file(clips_df, tmp_path, monkeypatch):
    run_dir = shutil.copytree(pretrained.PRETRAINED_DIR.parent / "tc_resnet", tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    monkeypatch.setattr(onnx_graph, "compute_dft_kernels", lambda proto, spec: halved(proto))

    def halved(proto):
        """The model with wrong weights."""
        for tensor in proto.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1:
                tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) / 2, tensor.name))
        return proto

    with pytest.raises(check.ExportError, match=r"model.onnx: in float32, probabilities must be within"):
        report.export_run(run_dir, run_dir, clips_df)
    assert {path.name: path.read_bytes() for path in run_dir.iterdir()} == before


def pairs_of_rows(start):
    """An ONNX convolution of 4 rows and 3 columns, and the rows 2 i + start of it, as `models.bc_resnet` takes them."""
    helper = onnx.helper
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 0, 1, 0], strides=[1, 1], kernel_shape=[3, 1], group=2),
        helper.make_node("Transpose", ["c"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["t", "shape"], ["r"]),
        helper.make_node("Slice", ["r", "start", "end", "axis"], ["y"]),
    ]
    rng = np.random.default_rng(0)
    constants = {
        "w": rng.standard_normal((2, 1, 3, 1)).astype("float32"),
        "shape": np.array([-1, 2, 6, 2]),
        "start": np.array([3 * start]),
        "end": np.array([3 * start + 3]),
        "axis": np.array([2]),
    }
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in {"x": ("batch", 2, 4, 3), "y": ("batch", 2, 3, 2)}.items()
    ]
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "rows", values[:1], values[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize(("start", "is_stride"), [(1, True), (0, False)])
def test_rows_that_are_thrown_away_become_a_stride(start, is_stride):
    """Every second row from the second on; another slice stays as it is. Both compute what they did."""
    proto = pairs_of_rows(start)
    waveform = np.random.default_rng(1).standard_normal((5, 2, 4, 3)).astype("float32")
    run = [onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": waveform})[0]]
    folded = onnx_graph.fold(proto)
    run.append(onnxruntime.InferenceSession(folded.SerializeToString()).run(None, {"x": waveform})[0])
    assert ("Slice" not in [node.op_type for node in folded.graph.node]) == is_stride
    np.testing.assert_allclose(*run, rtol=0, atol=1e-6)
