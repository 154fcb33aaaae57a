"""The page in headless Chromium for some minutes: time to the first detection, words found, memory, lost sound.

python tests/benchmarks/bench_page.py --data DIR --minutes 10
"""

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from chromium import Chromium

import kaggle_speech as ks
from kaggle_speech.audio import write_wav
from kaggle_speech.data import noise
from kaggle_speech.data.clips import noise_paths
from kaggle_speech.streaming.made_streams import stream_pieces
from kaggle_speech.web import folder
from kaggle_speech.web.server import PageServer

ROWS = "[...document.querySelectorAll('#rows tr')].reverse().map((row) => row.cells[2].textContent)"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="clips; default: KAGGLE_SPEECH_DATA")
    parser.add_argument("--minutes", type=float, default=10)
    args = parser.parse_args()
    clips_df, _ = ks.read_clips_table(ks.prepare_data(args.data))
    recogniser = ks.load()
    regions = noise.read_noise(noise_paths(clips_df), "val")
    pieces = stream_pieces(clips_df[clips_df["split"] == "val"], regions, 20, 60 * args.minutes)
    waveform = np.concatenate([piece for piece, _ in pieces])
    expected = [detection.label for detection in recogniser.listen(waveform, 16_000)]
    with tempfile.TemporaryDirectory() as name:
        write_wav(Path(name, "words.wav"), waveform)
        page_dir = folder.write_page(recogniser, Path(name, "page"))
        with PageServer(page_dir) as server, Chromium(Path(name, "profile"), Path(name, "words.wav")) as browser:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            browser.resize(1440, 900)
            start = time.monotonic()
            browser.open(server.url)
            browser.wait_for("!document.getElementById('start').disabled")
            print(f"ready after {time.monotonic() - start:.1f} s")
            browser.evaluate("document.getElementById('start').click()")
            browser.wait_for(f"{ROWS}.length > 0", 60)
            print(
                f"first detection after {time.monotonic() - start:.1f} s, in a stream whose first word comes after one"
            )
            for minute in range(1, round(args.minutes) + 1):
                browser.pause(60)
                browser.call("HeapProfiler.collectGarbage")
                heap_mb = browser.call("Runtime.getHeapUsage")["usedSize"] / 1e6
                dropped = browser.evaluate("document.getElementById('dropped').textContent")
                memory_mb = ", ".join(f"{kind} {size:.0f}" for kind, size in browser.memory_mb().items())
                print(f"minute {minute}: heap {heap_mb:.1f} MB, processes (MB): {memory_mb}; {dropped}", flush=True)
            found = browser.evaluate(ROWS)
            print(f"{len(found)} detections, `listen` in the file: {len(expected)}; errors: {browser.errors}")


if __name__ == "__main__":
    main()
