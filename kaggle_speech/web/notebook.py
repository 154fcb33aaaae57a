"""The page in a notebook: a frame that carries all its files."""

import base64
import gzip
import html
import json
import typing

from kaggle_speech.inference.recogniser import Recogniser
from kaggle_speech.web import runtime
from kaggle_speech.web.folder import LOADER_NAME, STATIC_DIR, allow, page_files

#: Scripts in the order of their imports: a script is loaded after those that it names.
SCRIPTS = ("recogniser.js", "signal.js", "capture.js", "sources.js", "view.js", "worker.js", "app.js")
POLICY = "default-src 'none'; script-src 'unsafe-inline' blob: 'wasm-unsafe-eval'; style-src 'unsafe-inline'; "
POLICY += "connect-src blob:; worker-src blob:; img-src data:; base-uri 'none'; form-action 'none'"


class NotebookPage:
    """The recogniser as a page in the output of a notebook's cell. `page` makes one.

    Args:
        document: the whole page, as HTML.
        height: of the frame, in pixels.
        name: name of the model.
    """

    def __init__(self, document: str, height: int, name: str):
        self.document = document
        self.height = height
        self.name = name

    def __repr__(self) -> str:
        return f"NotebookPage({self.name}, height={self.height})"

    def _repr_html_(self) -> str:
        return (
            f'<iframe title="Kaggle Speech" allow="microphone; autoplay" width="100%" height="{self.height}" '
            f'style="border: 0" srcdoc="{html.escape(self.document)}"></iframe>'
        )


def page(
    recogniser: Recogniser, *, cdn: bool = False, height: int = 760, progress: bool = True, **options: typing.Any
) -> NotebookPage:
    """Show the recogniser in a notebook: it listens to the microphone of whoever looks at it, in their browser.

    No sound leaves the browser. Where the notebook's host does not pass the microphone on, the page says so, and plays
    audio files that are dropped on it.

    Args:
        recogniser: the recogniser, without enrolled words; a model that Keras runs is exported (needs the extra
            `export`).
        cdn: leave onnxruntime-web, 5 MB of the output, to a content network; the browser fetches it.
        height: of the frame, in pixels.
        progress: show a progress bar while onnxruntime-web is fetched, once.
        options: arguments of `Recogniser.stream`, such as `threshold`, `hop_ms`, `in_sentences`.

    Returns:
        `NotebookPage`, which the notebook displays.

    Raises:
        ValueError: an option is out of range, or the recogniser has enrolled words.
        OSError: onnxruntime-web cannot be fetched.

    Examples:
        >>> import kaggle_speech as ks
        >>> page(ks.load("tc_resnet"), cdn=True)
        NotebookPage(tc_resnet, height=760)
    """
    files = page_files(recogniser, cdn=cdn, progress=progress, **options)
    return NotebookPage(_document(files, cdn), height, recogniser.name)


def _document(files: dict[str, bytes], cdn: bool) -> str:
    """One HTML document of the files of a page."""
    index, style = files["index.html"].decode(), files["style.css"].decode()
    others = [name for name in files if name not in (*SCRIPTS, "index.html", "style.css")]
    contents = {name: files[name] if name.endswith(".js") else _packed(files[name]) for name in (*others, *SCRIPTS)}
    encoded = json.dumps({name: base64.b64encode(content).decode() for name, content in contents.items()})
    loader = (STATIC_DIR / LOADER_NAME).read_text(encoding="utf-8")
    policy = allow(POLICY.encode(), runtime.CDN_ORIGIN).decode() if cdn else POLICY
    before, rest = index.split('content="default-src', 1)
    index = f'{before}content="{policy}{rest[rest.index(chr(34)) :]}'
    index = index.replace('<link rel="stylesheet" href="style.css">', f"<style>{style}</style>")
    script = f'<script type="application/json" id="files">{encoded}</script>\n<script>{loader}</script>\n</body>'
    index = index.replace('<script type="module" src="app.js"></script>\n', "")
    return index.replace("</body>", script)


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
