"""What a second of stream costs on one core: nothing sounds, words now and then, the model asked at every hop.

`python tests/benchmarks/bench_streaming.py --run RUN_DIR`. Real-time factor: time spent on a second of stream. The
stream is noise with bursts of tones: the model's work does not depend on what is said.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from kaggle_speech import audio
from kaggle_speech.inference import load
from kaggle_speech.models import pretrained
from kaggle_speech.streaming.words import StreamingRecogniser


def make_stream(duration_s, seconds_between_words, seed=0):
    """Noise, and half a second of tones now and then (None: never). Shape: -> `(samples,)`."""
    rng = np.random.default_rng(seed)
    stream = 0.003 * rng.standard_normal(round(duration_s * audio.SAMPLE_RATE))
    time_s = np.arange(audio.SAMPLE_RATE // 2) / audio.SAMPLE_RATE
    word = 0.1 * sum(np.sin(2 * np.pi * 150 * k * time_s) / k for k in range(1, 10))
    if seconds_between_words:
        for start in range(0, len(stream) - len(word), round(seconds_between_words * audio.SAMPLE_RATE)):
            stream[start : start + len(word)] += word
    return stream.astype("float32")


def main():
    """Prints a line for each kind of stream and size of chunk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=pretrained.PRETRAINED_DIR)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--hop-ms", type=int, default=100)
    args = parser.parse_args()
    engine = load.load_recogniser(args.run)
    kinds = {"steady noise": (None, None), "a word every 3 s": (3, None), "the model at every hop": (3, False)}
    for name, (seconds_between_words, activity) in kinds.items():
        stream = make_stream(60 * args.minutes, seconds_between_words)
        for chunk_ms in (10, 50):
            options = {"hop_ms": args.hop_ms, "activity": activity}
            recogniser = StreamingRecogniser(engine.model, engine.vocabulary, **options)
            num_samples, spent = chunk_ms * audio.SAMPLE_RATE // 1000, []
            for start in range(0, len(stream), num_samples):
                begin = time.perf_counter()
                recogniser.process(stream[start : start + num_samples])
                spent.append(time.perf_counter() - begin)
            fraction_asked = recogniser.num_asked / recogniser.num_hops
            print(
                f"{name}, chunks of {chunk_ms} ms: real-time factor {sum(spent) / (60 * args.minutes):.4f}, "
                f"longest chunk {1000 * max(spent):.1f} ms, asked at {fraction_asked:.0%} of hops"
            )


if __name__ == "__main__":
    main()
