"""onnxruntime-web, which runs a model in a browser: fetched from npm's registry once, verified, kept in the cache."""

import os
import tarfile
from pathlib import Path

from kaggle_speech import folders

VERSION = "1.30.0"
FILE_NAME = f"onnxruntime-web-{VERSION}.tgz"
#: Bytes and SHA-256 of its package, whose SHA-512 is the `dist.integrity` that npm's registry states.
NUM_BYTES = 33_106_585
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
#: Names in a page -> files of the package: the script with its loader, and the WebAssembly for one or more threads.
FILES = {"ort.js": "ort.wasm.bundle.min.mjs", "ort.wasm": "ort-wasm-simd-threaded.wasm"}
#: npm's own environment variable, for another address of the registry.
REGISTRY_VARIABLE = "NPM_CONFIG_REGISTRY"
REGISTRY_URL = "https://registry.npmjs.org"
#: A content network that serves the files of npm's packages.
CDN_ORIGIN = "https://cdn.jsdelivr.net"


def runtime_addresses(*, cdn: bool = False) -> dict[str, str]:
    """Addresses of onnxruntime-web for `settings.json`: version, script, WebAssembly.

    Args:
        cdn: those of a content network, instead of the files beside the page.
    """
    folder = f"{CDN_ORIGIN}/npm/onnxruntime-web@{VERSION}/dist"
    script, wasm = (f"{folder}/{name}" if cdn else own_name for own_name, name in FILES.items())
    return {"version": VERSION, "script": script, "wasm": wasm}


def runtime_files(*, progress: bool = True) -> dict[str, bytes]:
    """Files of onnxruntime-web; the first call fetches them (33 MB), and continues where it was interrupted.

    Args:
        progress: show a progress bar.

    Returns:
        name in a page -> content.

    Raises:
        OSError: the package can neither be found in the cache nor fetched; names what can be done.
        ArchiveError: the download is not the published file; it has been removed.
    """
    with tarfile.open(_package_path(progress)) as package:
        contents = {}
        for own_name, name in FILES.items():
            file = package.extractfile(f"package/dist/{name}")
            assert file is not None, name
            contents[own_name] = file.read()
    return contents


def _package_path(progress: bool) -> Path:
    from kaggle_speech.data import downloads  # needs requests, which a page with `cdn` does not

    registry = os.environ.get(REGISTRY_VARIABLE) or REGISTRY_URL
    url = f"{registry.rstrip('/')}/onnxruntime-web/-/{FILE_NAME}"
    folder = folders.cache_dir() / "onnxruntime-web"
    try:
        return downloads.download_file(downloads.Download(url, NUM_BYTES, SHA256), folder, progress=progress)
    except downloads.requests.RequestException as error:
        raise OSError(
            f"{url}: must be reached once, for the runtime of the page. Name another registry in {REGISTRY_VARIABLE}, "
            f"put {FILE_NAME} (`npm pack onnxruntime-web@{VERSION}`) into {folder}, or leave the runtime to a content "
            f"network (`--cdn`, `cdn=True`). Received: {error}"
        ) from error
