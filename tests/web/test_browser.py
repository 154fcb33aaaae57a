"""The page in headless Chromium, with the recogniser of the package; and the JavaScript under Node."""

import base64
import csv
import io
import json
import shutil
import subprocess
import threading
from pathlib import Path

import chromium
import numpy as np
import pytest
import soundfile
import soxr
from scipy.signal import correlate

import kaggle_speech as ks
from kaggle_speech.audio import SAMPLE_RATE, write_wav
from kaggle_speech.data import noise
from kaggle_speech.data.clips import noise_paths
from kaggle_speech.features.filters import log_mel_levels
from kaggle_speech.streaming.app import palette
from kaggle_speech.streaming.made_streams import stream_pieces
from kaggle_speech.web import folder
from kaggle_speech.web.server import PageServer
from kaggle_speech.web.settings import page_settings

FOLDER = Path(__file__).parent
DURATION_S = 11
#: What the page shows, as JavaScript.
IS_READY = "!document.getElementById('start').disabled"
STATUS = "document.getElementById('status').textContent"
BANNER = "document.getElementById('banner').textContent"
FRAME = "document.querySelector('iframe').contentDocument"
ROWS = (
    "[...document.querySelectorAll('#rows tr')].reverse().map((row) => [...row.cells].map((cell) => cell.textContent))"
)

pytestmark = pytest.mark.slow
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
needs_chromium = pytest.mark.skipif(
    chromium.find_chromium() is None, reason=f"needs Chromium: none of {', '.join(chromium.NAMES)} is there"
)


@needs_node
def test_the_scripts_pass_their_tests():
    command = ["node", "--test", *sorted(FOLDER.glob("*.test.mjs"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout


@needs_node
def test_the_spectrogram_is_that_of_the_window(speech):
    waveform = np.concatenate([*speech[:3]])
    code = f"""
        import {{ Spectrogram }} from "{folder.STATIC_DIR.as_uri()}/signal.js";
        const {{ settings, waveform }} = JSON.parse(require("node:fs").readFileSync(0));
        const spectrogram = new Spectrogram(settings.spectrogram, settings.buffer_samples);
        for (let start = 0; start < waveform.length; start += 777) {{
          spectrogram.append(Float32Array.from(waveform.slice(start, start + 777)));
        }}
        console.log(JSON.stringify(spectrogram.levels()));
    """.replace("require(", "process.getBuiltinModule(").replace('("node:fs")', '("node:fs")')
    content = {"settings": page_settings(ks.load("tc_resnet")), "waveform": waveform.tolist()}
    command = ["node", "--input-type=module", "--eval", code]
    done = subprocess.run(command, input=json.dumps(content), capture_output=True, text=True, check=True, timeout=60)
    expected = log_mel_levels(waveform, palette.SPEC, range_db=palette.RANGE_DB, min_top_db=palette.MIN_TOP_DB)
    np.testing.assert_allclose(json.loads(done.stdout), expected, atol=1e-3)


@pytest.fixture(scope="module")
def recogniser():
    return ks.load()


@pytest.fixture(scope="module")
def page_dir(recogniser, tmp_path_factory):
    """The page with the real runtime."""
    try:
        return folder.write_page(recogniser, tmp_path_factory.mktemp("web") / "page", progress=False)
    except OSError as error:
        pytest.skip(f"needs onnxruntime-web: {error}")


@pytest.fixture(scope="module")
def server(page_dir):
    with PageServer(page_dir) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def words(sample_dir, tmp_path_factory):
    """Path of a recording of rendered words over noise, and its waveform."""
    clips_df, _ = ks.read_clips_table(sample_dir, progress=False)
    regions = noise.read_noise(noise_paths(clips_df), "val")
    pieces = stream_pieces(clips_df[clips_df["split"] == "val"], regions, 20, DURATION_S)
    waveform = np.concatenate([piece for piece, _ in pieces])
    path = tmp_path_factory.mktemp("words") / 'words, "spoken".wav'
    write_wav(path, waveform)
    return path, waveform


@pytest.fixture(scope="module")
def quiet_browser(tmp_path_factory):
    """A browser without a microphone, in which http://plain.test/ is this machine, and not secure."""
    options = ["--host-resolver-rules=MAP plain.test 127.0.0.1"]
    with chromium.Chromium(tmp_path_factory.mktemp("profile"), options=options) as browser:
        yield browser


@pytest.fixture(scope="module")
def microphone_browser(words, tmp_path_factory):
    """A browser whose microphone gives the recording of words."""
    with chromium.Chromium(tmp_path_factory.mktemp("profile"), words[0]) as browser:
        yield browser


def open_page(browser, url):
    browser.resize(1440, 900)
    browser.open(url)
    browser.wait_for(IS_READY)


def drop(browser, path, document="document"):
    """Drop a file on the page."""
    content = base64.b64encode(path.read_bytes()).decode()
    browser.evaluate(f"""{{
        const bytes = Uint8Array.from(atob("{content}"), (character) => character.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], {json.dumps(path.name)}));
        {document}.dispatchEvent(new DragEvent("drop", {{ dataTransfer }}));
    }}""")


def press(browser, key, code):
    for kind in ("keyDown", "keyUp"):
        text = {"text": key} if kind == "keyDown" and len(key) == 1 else {}
        browser.call(
            "Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=ord(code[0]), **text
        )


def detections(browser):
    """`(seconds, label)` of each row of the log."""
    return [(float(row[1].removesuffix(" s")), row[2]) for row in browser.evaluate(ROWS)]


def listen(recogniser, source, sample_rate=None):
    return [(round(detection.time_s, 2), detection.label) for detection in recogniser.listen(source, sample_rate)]


@needs_chromium
def test_a_dropped_file_gives_the_detections_of_listen(quiet_browser, server, words, recogniser):
    """To the hop; nothing is asked of another machine, and nothing is wrong in the console."""
    path, _ = words
    expected = list(recogniser.listen(path))
    assert len(expected) >= 3
    open_page(quiet_browser, server.url)
    assert quiet_browser.evaluate(BANNER) == ""
    drop(quiet_browser, path)
    quiet_browser.wait_for(f"{STATUS} === 'Playing'")
    quiet_browser.wait_for(f"{STATUS} === 'The file has ended'", 2 * DURATION_S)
    assert detections(quiet_browser) == [(round(found.time_s, 2), found.label) for found in expected]
    assert quiet_browser.evaluate("document.getElementById('word').textContent") == expected[-1].label
    assert quiet_browser.evaluate("document.getElementById('announcement').textContent").startswith(expected[-1].label)
    quiet_browser.evaluate("""{
        const create = URL.createObjectURL;
        URL.createObjectURL = (blob) => ((globalThis.saved = blob.text()), create(blob));
        HTMLAnchorElement.prototype.click = () => {};
        document.getElementById("save").click();
    }""")
    rows = list(csv.DictReader(io.StringIO(quiet_browser.evaluate("globalThis.saved"))))
    assert [(float(row["time_s"]), row["label"]) for row in rows] == [
        (pytest.approx(found.time_s, abs=1e-3), found.label) for found in expected
    ]
    np.testing.assert_allclose(
        [float(row["confidence"]) for row in rows], [found.confidence for found in expected], atol=1e-3
    )
    assert {row["source"] for row in rows} == {path.name}
    assert quiet_browser.errors == []
    addresses = {address for address in quiet_browser.requests if not address.startswith(("blob:", "data:"))}
    assert len(addresses) >= 10 and all(address.startswith(server.url) for address in addresses)


@needs_chromium
def test_a_stereo_file_of_another_rate_gives_the_same_words(quiet_browser, server, words, recogniser, tmp_path):
    _, waveform = words
    path = tmp_path / "stereo.wav"
    left = soxr.resample(waveform, SAMPLE_RATE, 44_100)
    soundfile.write(path, np.stack([1.5 * left, 0.5 * left], axis=1).clip(-1, 1), 44_100)
    expected = listen(recogniser, path)
    open_page(quiet_browser, server.url)
    drop(quiet_browser, path)
    quiet_browser.wait_for(f"{STATUS} === 'The file has ended'", 2 * DURATION_S)
    shown = detections(quiet_browser)
    assert [label for _, label in shown] == [label for _, label in expected]
    np.testing.assert_allclose(*([time_s for time_s, _ in rows] for rows in (shown, expected)), atol=0.101)
    assert quiet_browser.errors == []


@needs_chromium
def test_the_microphone_is_recognised_as_listen_does(microphone_browser, server, words, recogniser):
    """The sound that the page hears is the recording, without gaps; its detections are those of `listen` in it."""
    _, waveform = words
    open_page(microphone_browser, server.url)
    microphone_browser.evaluate("""{
        globalThis.heard = [];
        const post = Worker.prototype.postMessage;
        Worker.prototype.postMessage = function (message) {
            if (message.samples) globalThis.heard.push(...message.samples);
            return post.call(this, message);
        };
    }""")
    press(microphone_browser, " ", "Space")
    microphone_browser.wait_for(f"{STATUS} === 'Listening'")
    microphone_browser.pause(DURATION_S - 1)
    press(microphone_browser, " ", "Space")
    microphone_browser.wait_for(f"{STATUS} === 'Stopped'")
    heard = np.array(microphone_browser.evaluate("globalThis.heard"), "float32")
    assert len(heard) > (DURATION_S - 3) * SAMPLE_RATE
    whole = heard[SAMPLE_RATE : -2 * SAMPLE_RATE]
    offset = int(correlate(waveform, whole, "valid").argmax())
    for start in range(0, len(whole) - SAMPLE_RATE, SAMPLE_RATE):
        parts = whole[start : start + SAMPLE_RATE], waveform[offset + start : offset + start + SAMPLE_RATE]
        assert np.corrcoef(*parts)[0, 1] > 0.9, start
    shown = detections(microphone_browser)
    assert len(shown) >= 2
    assert shown == listen(recogniser, heard, SAMPLE_RATE)[: len(shown)]  # what came after the stop is not shown
    assert microphone_browser.evaluate("document.getElementById('source').options.length") > 1
    assert microphone_browser.errors == []


@needs_chromium
def test_a_microphone_that_goes_away_is_named(microphone_browser, server):
    open_page(microphone_browser, server.url)
    microphone_browser.evaluate("""{
        const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (options) => (globalThis.stream = await ask(options));
        document.getElementById("start").click();
    }""")
    microphone_browser.wait_for(f"{STATUS} === 'Listening'")
    microphone_browser.evaluate("stream.getAudioTracks()[0].dispatchEvent(new Event('ended'))")
    microphone_browser.wait_for(f"{STATUS} === 'Stopped'")
    assert "gives no sound any more. Plug it in again and press Start" in microphone_browser.evaluate(BANNER)


@needs_chromium
def test_a_machine_that_is_too_slow_drops_sound_and_says_so(microphone_browser, server):
    open_page(microphone_browser, server.url)
    microphone_browser.evaluate("""{
        const post = Worker.prototype.postMessage;
        Worker.prototype.postMessage = function (message) {
            if (message.type !== "sound") post.call(this, message); // no answer comes
        };
        document.getElementById("start").click();
    }""")
    microphone_browser.wait_for(
        "document.getElementById('dropped').textContent.endsWith('chunks dropped: this machine is too slow')"
    )
    assert not microphone_browser.evaluate("document.getElementById('dropped').textContent").startswith("0 ")


@needs_chromium
@pytest.mark.parametrize("host", ["localhost", "plain.test"])
def test_without_a_microphone_it_says_why(quiet_browser, server, host):
    open_page(quiet_browser, server.url.replace("localhost", host))
    if host == "plain.test":
        assert quiet_browser.evaluate(BANNER).startswith("The page is not secure")
    quiet_browser.evaluate("document.getElementById('start').click()")
    quiet_browser.wait_for(f"{STATUS} === 'Stopped'")
    reason = {"localhost": "No microphone was found. Plug one in", "plain.test": "The page is not secure"}[host]
    assert quiet_browser.evaluate(BANNER).startswith(reason)
    assert quiet_browser.errors == []


@needs_chromium
def test_a_refused_microphone_is_named(server, words, tmp_path):
    """Headless browsers refuse what nobody allows."""
    options = ["--use-fake-device-for-media-stream", "--deny-permission-prompts"]
    with chromium.Chromium(tmp_path, options=options) as browser:
        open_page(browser, server.url)
        browser.evaluate("document.getElementById('start').click()")
        browser.wait_for(f"{STATUS} === 'Stopped'")
        assert browser.evaluate(BANNER).startswith("The browser refused the microphone. Allow it")


@needs_chromium
def test_a_file_that_is_no_audio_is_named(quiet_browser, server, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not audio")
    open_page(quiet_browser, server.url)
    drop(quiet_browser, path)
    quiet_browser.wait_for(f"{BANNER} !== ''")
    assert quiet_browser.evaluate(BANNER) == (
        "notes.txt must be an audio file (WAV, FLAC, MP3, OGG) that is whole. Received: an unknown type, 9 bytes."
    )
    assert quiet_browser.evaluate(STATUS) == "Stopped" and quiet_browser.errors == []


@needs_chromium
@pytest.mark.parametrize("name", ["settings.json", "model.onnx", "ort.wasm"])
def test_a_damaged_page_says_what_is_wrong(quiet_browser, page_dir, tmp_path, name):
    """Node's tests have the other cases."""
    shutil.copytree(page_dir, tmp_path / "page")
    if name == "settings.json":
        content = json.loads((page_dir / name).read_text())
        (tmp_path / "page" / name).write_text(json.dumps(content | {"version": 0}))
        message = "settings.json must be of version 1. Received: version 0. Write the page again"
    elif name == "model.onnx":
        (tmp_path / "page" / name).write_bytes((page_dir / name).read_bytes()[:-1])
        message = "model.onnx must be the one that settings.json names"
    else:
        (tmp_path / "page" / name).unlink()
        message = "ort.wasm must lie beside the page. Received: 404"
    with PageServer(tmp_path / "page") as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        quiet_browser.open(server.url)
        quiet_browser.wait_for(f"{STATUS} === 'Not ready'")
        assert quiet_browser.evaluate(BANNER).startswith(message) and not quiet_browser.evaluate(IS_READY)
        server.shutdown()


@needs_chromium
def test_the_keyboard_reaches_everything(quiet_browser, server, words):
    open_page(quiet_browser, server.url)
    reached = []
    for _ in range(7):
        press(quiet_browser, "Tab", "Tab")
        reached.append(quiet_browser.evaluate("document.activeElement.id || document.activeElement.className"))
    assert reached == ["source", "open", "start", "threshold", "clear", "save", "table"]
    quiet_browser.evaluate("document.getElementById('threshold').focus()")
    quiet_browser.call(
        "Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft", code="ArrowLeft", windowsVirtualKeyCode=37
    )
    assert quiet_browser.evaluate("document.getElementById('threshold-value').textContent") == "79 %"


@needs_chromium
@pytest.mark.parametrize("width", [320, 768, 1440])
def test_it_fits_every_width(quiet_browser, server, width):
    open_page(quiet_browser, server.url)
    quiet_browser.resize(width, 900)
    assert quiet_browser.evaluate("document.documentElement.scrollWidth") == width


@pytest.fixture
def show_notebook(recogniser, page_dir, tmp_path):
    """A function of a browser and of the permission that the host gives: opens a host with the page in a frame."""
    with PageServer(tmp_path) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

        def show(browser, permission):
            shown = ks.page(recogniser, progress=False)._repr_html_()
            assert len(shown) < 8e6
            host = '<!DOCTYPE html><meta charset="utf-8"><title>notebook</title><link rel="icon" href="data:,">'
            (tmp_path / "index.html").write_text(host + shown.replace("microphone;", permission), encoding="utf-8")
            browser.resize(1000, 800)
            browser.open(server.url)
            browser.wait_for(f"{FRAME}?.{STATUS.removeprefix('document.')} === 'Ready'")
            assert {address for address in browser.requests if address.startswith("http")} == {server.url}

        yield show
        server.shutdown()


@needs_chromium
def test_a_notebook_that_keeps_the_microphone_plays_files(quiet_browser, show_notebook, words, recogniser):
    show_notebook(quiet_browser, "microphone 'none';")
    assert "does not pass the microphone on. Play a file here" in quiet_browser.evaluate(f"{FRAME}.{BANNER[9:]}")
    drop(quiet_browser, words[0], FRAME)
    quiet_browser.wait_for(f"{FRAME}.querySelectorAll('#rows tr').length > 0", 2 * DURATION_S)
    time_s, label = listen(recogniser, words[0])[0]
    row = quiet_browser.evaluate(f"{FRAME}.querySelector('#rows tr').innerText").split("\t")
    assert row[1:3] == [f"{time_s:.2f} s", label]
    assert quiet_browser.errors == []


@needs_chromium
def test_a_notebook_gives_the_page_the_microphone(microphone_browser, show_notebook):
    show_notebook(microphone_browser, "microphone;")
    microphone_browser.evaluate(f"{FRAME}.getElementById('start').click()")
    microphone_browser.wait_for(f"{FRAME}.querySelectorAll('#rows tr').length > 0", 2 * DURATION_S)
    assert microphone_browser.errors == []
