"""The page as Python writes it: settings, folder, frame for notebooks, runtime, command."""

import base64
import gzip
import hashlib
import html
import html.parser
import io
import json
import re
import tarfile
import threading
import urllib.request

import golden_streams
import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

import kaggle_speech as ks
from kaggle_speech.cli.main import main
from kaggle_speech.data import downloads
from kaggle_speech.files import fingerprint
from kaggle_speech.inference.answers import Rejection
from kaggle_speech.inference.recogniser import Recogniser
from kaggle_speech.labels import COMMANDS, COMPETITION_LABELS
from kaggle_speech.models import pretrained
from kaggle_speech.streaming.app import palette
from kaggle_speech.web import folder, runtime, settings
from kaggle_speech.web.notebook import SCRIPTS
from kaggle_speech.web.server import PageServer

MODEL_DIR = pretrained.PRETRAINED_DIR.parent / "tc_resnet"
RUNTIME = {"ort.js": b"export const env = {};", "ort.wasm": b"\0asm" * 1000}


@pytest.fixture(scope="module")
def recogniser():
    return ks.load("tc_resnet")


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A registry of this machine with a small package in the place of onnxruntime-web, and the files in it."""
    path = tmp_path / "registry/onnxruntime-web/-" / runtime.FILE_NAME
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as package:
        for own_name, name in runtime.FILES.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(RUNTIME[own_name])
            package.addfile(member, io.BytesIO(RUNTIME[own_name]))
    monkeypatch.setattr(runtime, "NUM_BYTES", path.stat().st_size)
    monkeypatch.setattr(runtime, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(runtime.folders, "cache_dir", lambda: tmp_path / "cache")
    with PageServer(tmp_path / "registry") as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv(runtime.REGISTRY_VARIABLE, server.url)
        yield path
        server.shutdown()


@pytest.mark.parametrize("name", golden_streams.STREAMS)
def test_golden_streams_are_those_of_this_version(name):
    """Their twin is in `recogniser.test.mjs`."""
    num_classes, options, rejection = golden_streams.STREAMS[name]
    content = json.loads((golden_streams.FOLDER / f"{name}.json").read_text())
    model = golden_streams.Given([probabilities for _, probabilities in content["hops"]])
    recogniser = golden_streams.recogniser_of(model, num_classes, rejection)
    assert golden_streams.settings_of(recogniser, options) == content["settings"]
    detections = golden_streams.replay(recogniser.stream(**options), model, [level for level, _ in content["hops"]])
    assert len(detections) >= 5
    assert [row[:2] for row in detections] == [row[:2] for row in content["detections"]]
    np.testing.assert_allclose(*([row[2] for row in rows] for rows in (detections, content["detections"])), atol=1e-9)


def test_settings_are_those_of_the_stream(recogniser):
    options = {"threshold": 0.7, "hop_ms": 50, "in_sentences": True, "smoothing": 0.5}
    content = settings.page_settings(recogniser, **options)
    assert content == json.loads(json.dumps(content))
    assert content["vocabulary"] == list(COMPETITION_LABELS) and content["events"] == list(COMMANDS)
    assert (content["hop_samples"], content["smoothing"], content["gate"]) == (800, 0.5, None)
    assert content["trigger"]["threshold"] == 0.7 and content["rejection"]["threshold"] is None
    assert settings.page_settings(recogniser)["gate"]["after_hops"] == 3
    rejection = Rejection("margin", 1.5, 0.2)
    content = settings.page_settings(Recogniser(recogniser.model, recogniser.vocabulary, rejection=rejection))
    assert [content["rejection"][name] for name in ("score", "temperature", "threshold")] == ["margin", 1.5, 0.2]


def test_settings_refuse_what_the_page_cannot_do(recogniser):
    with pytest.raises(ValueError, match=r"`threshold` must be from 0.1 to 0.99. Received: threshold=2"):
        settings.page_settings(recogniser, threshold=2)
    personal = Recogniser(recogniser.model, (*recogniser.vocabulary, "lights"), words=("lights",))
    with pytest.raises(ValueError, match=r"must have no enrolled words in a page. Received: lights"):
        settings.page_settings(personal)


def test_page_and_python_agree_on_the_version_and_the_colours():
    script = (folder.STATIC_DIR / "recogniser.js").read_text(encoding="utf-8")
    assert f"SETTINGS_VERSION = {settings.VERSION};" in script
    style = (folder.STATIC_DIR / "style.css").read_text(encoding="utf-8")
    dark = style[: style.index("@media")]
    for name in ("BACKGROUND", "SURFACE", "RAISED", "BORDER", "TEXT", "MUTED", "BLUE", "ORANGE", "ERROR"):
        assert f"--{name.lower()}: {getattr(palette, name)};" in dark
    assert f"--error-surface: {palette.ERROR_SURFACE};" in dark


def test_colours_of_the_spectrogram_are_those_of_magma():
    expected = colormaps["magma"](np.linspace(0, 1, len(palette.SPECTROGRAM_COLORS)))[:, :3]
    np.testing.assert_allclose([to_rgb(color) for color in palette.SPECTROGRAM_COLORS], expected, atol=1 / 255)


def test_colours_can_be_read():
    """Contrast of text of at least 4.5, of controls and bars of at least 3 (WCAG 2.1), in both schemes."""
    style = (folder.STATIC_DIR / "style.css").read_text(encoding="utf-8")
    schemes = [dict(re.findall(r"--([a-z-]+): (#\w{6})", part)) for part in style.split("@media")[:2]]

    def luminance(color):
        parts = np.array(to_rgb(color))
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    def contrast(first, second):
        low, high = sorted(map(luminance, (first, second)))
        return (high + 0.05) / (low + 0.05)

    for colors in schemes:
        assert colors.keys() == schemes[0].keys()
        for surface in ("background", "surface", "raised"):
            assert all(contrast(colors[text], colors[surface]) >= 4.5 for text in ("text", "muted"))
            assert contrast(colors["line"], colors[surface]) >= 3
        assert contrast(colors["error"], colors["error-surface"]) >= 4.5
        assert contrast(colors["on-blue"], colors["blue"]) >= 4.5
        assert all(contrast(colors[bar], colors["surface"]) >= 3 for bar in ("blue", "orange"))


def test_the_folder_is_complete(recogniser, registry, tmp_path):
    out_dir = folder.write_page(recogniser, tmp_path / "page", progress=False, threshold=0.7)
    names = {path.name for path in out_dir.iterdir()}
    static = {path.name for path in folder.STATIC_DIR.iterdir()} - {folder.LOADER_NAME, folder.NODE_NAME}
    assert names == static | {"model.onnx", "settings.json", "ort.js", "ort.wasm"}
    assert (out_dir / "model.onnx").read_bytes() == (MODEL_DIR / "model.onnx").read_bytes()
    assert {name: (out_dir / name).read_bytes() for name in RUNTIME} == RUNTIME
    content = json.loads((out_dir / "settings.json").read_text())
    assert content["model"] == {"name": "tc_resnet", "fingerprint": recogniser.model.fingerprint}
    assert content["trigger"]["threshold"] == 0.7
    index = (out_dir / "index.html").read_text(encoding="utf-8")
    assert "http" not in index.replace("http-equiv", "").replace("http.server", "")
    imports = {name for script in SCRIPTS for name in re.findall(r'"\./(.*?)"', (out_dir / script).read_text())}
    assert imports <= names


def test_a_page_is_replaced_and_nothing_else_is(recogniser, tmp_path):
    out_dir = folder.write_page(recogniser, tmp_path / "page", cdn=True)
    (out_dir / "own.txt").write_text("kept with the page of the same settings")
    folder.write_page(recogniser, out_dir, cdn=True)
    assert (out_dir / "own.txt").exists()
    folder.write_page(recogniser, out_dir, cdn=True, threshold=0.5)
    assert json.loads((out_dir / "settings.json").read_text())["trigger"]["threshold"] == 0.5
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "settings.json").write_text("{}")
    with pytest.raises(FileExistsError, match="must be new, empty or of an earlier call"):
        folder.write_page(recogniser, tmp_path / "mine", cdn=True)
    assert (tmp_path / "mine" / "settings.json").read_text() == "{}"


def test_a_content_network_is_allowed_only_where_it_is_used(recogniser):
    files = folder.page_files(recogniser, cdn=True)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', files["index.html"].decode())[1]
    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))
    assert {name for name, value in directives.items() if runtime.CDN_ORIGIN in value} == {"script-src", "connect-src"}
    addresses = json.loads(files["settings.json"])["runtime"]
    assert (
        addresses["wasm"]
        == f"{runtime.CDN_ORIGIN}/npm/onnxruntime-web@{runtime.VERSION}/dist/{runtime.FILES['ort.wasm']}"
    )
    assert not {"ort.js", "ort.wasm"} & files.keys()


def test_the_runtime_is_fetched_once_and_checked(registry):
    assert runtime.runtime_files(progress=False) == RUNTIME
    content = registry.read_bytes()
    registry.unlink()
    assert runtime.runtime_files(progress=False) == RUNTIME
    registry.write_bytes(content[:-1] + b"x")
    (runtime.folders.cache_dir() / "onnxruntime-web" / runtime.FILE_NAME).unlink()
    with pytest.raises(downloads.ArchiveError, match=r"onnxruntime-web-.*.tgz: must be \d+ bytes with SHA-256"):
        runtime.runtime_files(progress=False)


def test_a_runtime_that_cannot_be_had_is_an_error_that_says_what_to_do(registry, tmp_path, monkeypatch, capsys):
    registry.unlink()
    assert main(["-q", "page", "--run", str(MODEL_DIR), "--out", str(tmp_path / "page")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: http://localhost") and "404" in error
    assert all(
        word in error for word in ("NPM_CONFIG_REGISTRY", "npm pack onnxruntime-web@", "--cdn", str(tmp_path / "cache"))
    )
    assert not (tmp_path / "page").exists()


class Frame(html.parser.HTMLParser):
    """Attributes of the only iframe of an HTML text."""

    def handle_starttag(self, tag, attrs):
        assert tag == "iframe"
        self.attributes = dict(attrs)


def test_a_notebook_gets_all_files_in_one_frame(recogniser, registry):
    shown = ks.page(recogniser, height=500, progress=False, hop_ms=200)
    assert repr(shown) == "NotebookPage(tc_resnet, height=500)"
    frame = Frame()
    frame.feed(shown._repr_html_())
    assert frame.attributes["height"] == "500" and "microphone" in frame.attributes["allow"]
    document = frame.attributes["srcdoc"]
    assert document == shown.document
    encoded = json.loads(re.search(r'id="files">(.*?)</script>', document)[1])
    contents = {name: base64.b64decode(content) for name, content in encoded.items()}
    static = {name: (folder.STATIC_DIR / name).read_bytes() for name in SCRIPTS}
    assert {name: contents.pop(name) for name in SCRIPTS} == static
    assert contents["ort.js"] == RUNTIME["ort.js"]  # a script is an address, which nothing unpacks
    contents |= {name: gzip.decompress(contents[name]) for name in ("settings.json", "model.onnx", "ort.wasm")}
    assert json.loads(contents.pop("settings.json"))["hop_samples"] == 3200
    assert contents == RUNTIME | {"model.onnx": (MODEL_DIR / "model.onnx").read_bytes()}
    assert (folder.STATIC_DIR / "style.css").read_text(encoding="utf-8") in document
    assert 'src="' not in document and 'href="' not in document.replace('href="data:,"', "")


def test_scripts_come_after_those_that_they_import():
    texts = {name: (folder.STATIC_DIR / name).read_text(encoding="utf-8") for name in SCRIPTS}
    assert {*SCRIPTS, folder.LOADER_NAME} == {path.name for path in folder.STATIC_DIR.glob("*.js")}
    for position, name in enumerate(SCRIPTS):
        assert {*re.findall(r'from "\./(.*?)"', texts[name])} <= {*SCRIPTS[:position]}


def test_the_same_recogniser_gives_the_same_page(recogniser):
    assert ks.page(recogniser, cdn=True).document == ks.page(recogniser, cdn=True).document


def test_the_command_writes_a_page(tmp_path, capsys):
    options = ["--threshold", "0.6", "--in-sentences", "--cdn", "--events", "stop", "go"]
    assert main(["page", "--run", str(MODEL_DIR), "--out", str(tmp_path / "page"), *options]) == 0
    assert capsys.readouterr().out.strip() == str((tmp_path / "page").resolve())
    content = json.loads((tmp_path / "page" / "settings.json").read_text())
    assert content["trigger"]["threshold"] == 0.6 and content["gate"] is None and content["events"] == ["stop", "go"]
    assert main(["page", "--model", "resnet_ctc", "--out", str(tmp_path / "text"), "--cdn"]) == 1
    assert "must recognise words" in capsys.readouterr().err


def test_the_command_serves_the_page_on_this_machine(tmp_path, monkeypatch, capsys):
    looks = []
    opened = []

    def open_page(url):
        """The user looks at the page, and presses Ctrl+C."""
        looks.append(threading.Thread(target=look, args=(url,)))
        looks[0].start()

    def look(url):
        with urllib.request.urlopen(f"{url}app.js", timeout=10) as answer:
            opened.append((answer.headers["Content-Type"], answer.read()))

    def serve_one(server):
        server.handle_request()
        looks[0].join(10)
        raise KeyboardInterrupt

    monkeypatch.setattr("webbrowser.open", open_page)
    monkeypatch.setattr(PageServer, "serve_forever", serve_one)
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert main(["page", "--out", str(tmp_path / "page"), "--cdn", "--serve"]) == 130
    assert re.search(r"http://localhost:\d+/ \(Ctrl\+C ends it\)", capsys.readouterr().err)
    assert opened == [("text/javascript", (folder.STATIC_DIR / "app.js").read_bytes())]


@pytest.mark.slow
def test_a_model_that_keras_runs_is_exported(tmp_path):
    recogniser = ks.load("tc_resnet", engine="keras")
    files = folder.page_files(recogniser, cdn=True)
    (tmp_path / "model.onnx").write_bytes(files["model.onnx"])
    content = json.loads(files["settings.json"])
    assert content["model"]["fingerprint"] == fingerprint(files["model.onnx"])
    exported = ks.inference.OnnxModel(tmp_path / "model.onnx")
    clips = np.random.default_rng(1).standard_normal((4, 16_000)).astype("float32")
    expected = ks.load("tc_resnet").model.predict_on_batch(clips)
    np.testing.assert_allclose(exported.predict_on_batch(clips), expected, atol=1e-4)
