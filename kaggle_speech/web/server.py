"""A server of the page for this machine alone."""

import functools
import http.server
from pathlib import Path


class PageServer(http.server.ThreadingHTTPServer):
    """Server of a folder on localhost, where browsers give a page the microphone.

    Args:
        folder: folder to serve.
        port: its port; 0 for one that is free.

    Attributes:
        url: address of the page.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, folder: Path | str, port: int = 0):
        super().__init__(("127.0.0.1", port), functools.partial(_Handler, directory=str(folder)))
        self.url = f"http://localhost:{self.server_port}/"


class _Handler(http.server.SimpleHTTPRequestHandler):
    # Not those of the system, which may lack these or have others.
    extensions_map = {  # noqa: RUF012
        **{".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".json": "application/json"},
        **{".wasm": "application/wasm", "": "application/octet-stream"},
    }

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # a page that is written again is shown again
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass
