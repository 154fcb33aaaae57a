"""Headless Chromium for tests of the page, by the Chrome DevTools protocol over a pipe; no package is needed."""

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from fakes import TIMEOUT_S

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
OPTIONS = (
    *("--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-extensions", "--mute-audio"),
    *("--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update"),
    *("--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--hide-scrollbars"),
)


def find_chromium():
    """Path of the browser; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def _pipe():
    """Both ends of a pipe, with numbers above those that the browser expects, 3 and 4."""
    ends = os.pipe()
    numbers = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return numbers


class Chromium:
    """A browser with one page.

    Args:
        profile_dir: empty folder for its profile.
        microphone_path: WAV that is played into a fake microphone; None for no microphone.
        options: further options of the command line.

    Attributes:
        requests: addresses that the page has asked for, those of its worker included.
        errors: what the console was told, warnings and worse, and exceptions.
    """

    def __init__(self, profile_dir, microphone_path=None, options=()):
        options = [*OPTIONS, *options, f"--user-data-dir={profile_dir}"]
        if microphone_path:
            options += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
            options += [f"--use-file-for-fake-audio-capture={microphone_path}%noloop"]
        to_browser, self._to_browser = _pipe()
        self._from_browser, from_browser = _pipe()
        command = (
            f"import os, sys; os.dup2({to_browser}, 3); os.dup2({from_browser}, 4); os.execv(sys.argv[1], sys.argv[1:])"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", command, find_chromium(), *options],
            pass_fds=(to_browser, from_browser),
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._num_calls = 0
        self._answers = {}
        self.requests = []
        self.errors = []
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._to_browser)
        os.close(self._from_browser)

    def call(self, method, **parameters):
        """Result of a method of the protocol, in the page."""
        return self._send(method, self._session, **parameters)

    def evaluate(self, expression):
        """Value of a JavaScript expression in the page; a promise is awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression, timeout_s=TIMEOUT_S):
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + timeout_s
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, f"{expression}: not in {timeout_s} s; errors: {self.errors}"
            self.pause(0.05)

    def pause(self, seconds):
        """Let the page run; the workers that it starts wait for this class to see them."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._read(deadline)

    def open(self, url):
        """Open a page, and forget the requests and errors of the one before."""
        self.requests.clear()
        self.errors.clear()
        self.call("Page.navigate", url=url)
        self.wait_for(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def choose_file(self, selector, path):
        """Choose a file in an `<input type=file>`."""
        document = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def resize(self, width, height, scheme="dark", scale=1):
        """Set the size of the page in CSS pixels, and the colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 500,
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def memory_mb(self):
        """Resident memory of the browser's processes by their kind, in MB; on Linux."""
        sizes = {}
        for process in self._send("SystemInfo.getProcessInfo")["processInfo"]:
            pages = int(Path(f"/proc/{process['id']}/statm").read_text().split()[1])
            sizes[process["type"]] = sizes.get(process["type"], 0) + pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        return sizes

    def _send(self, method, session=None, **parameters):
        self._num_calls += 1
        number = self._num_calls
        message = {"id": number, "method": method, "params": parameters}
        os.write(self._to_browser, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        deadline = time.monotonic() + TIMEOUT_S
        while number not in self._answers:
            assert time.monotonic() < deadline, f"{method}: no answer in {TIMEOUT_S} s"
            self._read(deadline)
        answer = self._answers.pop(number)
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self, deadline):
        if select.select([self._from_browser], [], [], max(0, deadline - time.monotonic()))[0]:
            content = os.read(self._from_browser, 1 << 16)
            assert content, "the browser has ended"
            *messages, self._buffer = (self._buffer + content).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self._answers[message["id"]] = message
                else:
                    self._note(message["method"], message["params"])

    def _note(self, event, parameters):
        if event == "Target.attachedToTarget":  # a worker; the answers to these three are not waited for
            for method in ("Network.enable", "Runtime.enable", "Runtime.runIfWaitingForDebugger"):
                message = {"id": -1, "method": method, "params": {}, "sessionId": parameters["sessionId"]}
                os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        elif event == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif event == "Runtime.consoleAPICalled" and parameters["type"] in ("warning", "error", "assert"):
            self.errors.append(parameters["args"])
        elif event == "Log.entryAdded" and parameters["entry"]["level"] in ("warning", "error"):
            self.errors.append(parameters["entry"])
