"""Speech synthesis by the voices of espeak-ng, offline, in a process of its own.

espeak-ng keeps state (phases, noise generators) between calls, so the same words give
the same bytes only in a fresh process, in the same order and with a set seed.
Run as a script, this file is that process: it needs only the standard library,
reads voice plans from standard input and streams their samples to standard output.
"""

import ctypes
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # the process of espeak-ng has no use for it
    import numpy as np

#: Sample rate of espeak-ng, Hz.
VOICE_SAMPLE_RATE = 22_050

#: Accents of English that have phonemes of their own in espeak-ng.
ACCENTS = ("en", "en-us", "en-us-nyc", "en-029", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd")

#: Parts of the names of voice variants that do not resemble natural speech.
_NOT_A_PERSON = ("robo", "whisper", "demonic", "croak")


class VoicePlan(NamedTuple):
    """A text, and the voice, rate and pitch to say it with."""

    voice: str  # `accent+variant`
    text: str
    words_per_minute: int  # 80 to 450
    pitch: int  # 0 to 99, 50 is the voice's own
    pitch_range: int  # 0 (monotone) to 99


def espeak_paths() -> tuple[Path, Path]:
    """Paths of the library and of the data folder of espeak-ng, from the optional package espeakng-loader (GPL-3.0).

    Raises:
        ImportError: the package is not installed.
    """
    try:
        import espeakng_loader
    except ImportError as error:
        raise ImportError(
            "speech can be rendered only where espeak-ng is installed: pip install espeakng-loader"
        ) from error
    return Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())


def voice_variants() -> list[str]:
    """Names of the voice variants (timbres), sorted; each combines with each of `ACCENTS`."""
    _, data_dir = espeak_paths()
    names = (path.name for path in (data_dir / "voices" / "!v").iterdir())
    return sorted(name for name in names if not any(part in name.lower() for part in _NOT_A_PERSON))


def draw_voice_plans(
    takes: Sequence[tuple[str, str, int]], rng: "np.random.Generator", words_per_minute: tuple[int, int] = (105, 175)
) -> Iterator[tuple[VoicePlan, float]]:
    """Draw a voice plan and a vocal tract scale for each take; the takes of one speaker differ a little.

    Args:
        takes: `(text, voice, take)` each.
        rng: NumPy generator.
        words_per_minute: of the slowest and the fastest speaker.
    """
    voices = dict.fromkeys(voice for _, voice, _ in takes)
    slow, fast = words_per_minute
    manners = {voice: rng.uniform((slow, 35, 20, 0.92), (fast, 65, 80, 1.08)) for voice in voices}
    for text, voice, _ in takes:
        rate, pitch, pitch_range = manners[voice][:3] + rng.uniform(-1, 1, 3) * (20, 8, 15)
        yield VoicePlan(voice, text, round(rate), round(pitch), round(pitch_range)), manners[voice][3]


def render_speech(voice_plans: Sequence[VoicePlan]) -> Iterator["np.ndarray"]:
    """Synthesise voice plans, in order; the same list gives the same bytes on every call.

    Shape: yields `(samples,)`, int16 at `VOICE_SAMPLE_RATE`.

    Args:
        voice_plans: text, voice, rate and pitch of each.

    Raises:
        ImportError: espeakng-loader is not installed.
        RuntimeError: espeak-ng refuses a voice, or its process ends early.

    Source: espeak-ng `speak_lib.h`.
    """
    import numpy as np

    library_path, data_dir = espeak_paths()
    command = [sys.executable, "-I", __file__, str(library_path.resolve()), str(data_dir.resolve())]
    with tempfile.TemporaryFile() as plan, tempfile.TemporaryFile() as log:
        plan.write(json.dumps(voice_plans).encode())
        plan.seek(0)
        with subprocess.Popen(command, stdin=plan, stdout=subprocess.PIPE, stderr=log) as process:
            assert process.stdout is not None
            try:
                for index in range(len(voice_plans)):
                    header = process.stdout.read(4)
                    num_bytes = struct.unpack("<i", header)[0] if len(header) == 4 else None
                    samples = process.stdout.read(num_bytes or 0)
                    if len(samples) != num_bytes:
                        process.wait()
                        log.seek(0)
                        raise RuntimeError(
                            f"espeak-ng must speak all {len(voice_plans)} utterances. Received: {index}, then "
                            f"exit code {process.returncode}: {log.read().decode(errors='replace').strip()[-500:]}"
                        )
                    yield np.frombuffer(samples, "<i2")
            finally:
                process.kill()


def _load_espeak(library_path, data_dir):
    os.chdir(Path(data_dir).parent)  # a relative path: espeak-ng cuts long ones, Windows breaks those beyond ASCII
    library = ctypes.CDLL(library_path)
    # 2: no sound device, samples go to the callback before espeak_Synth returns; 1 << 15: never call exit().
    sample_rate = library.espeak_Initialize(2, 1000, b".", 1 << 15)
    if sample_rate != VOICE_SAMPLE_RATE:
        sys.exit(f"espeak_Initialize must return {VOICE_SAMPLE_RATE} Hz. Received: {sample_rate}, data in {data_dir}")
    library.espeak_ng_SetRandSeed(ctypes.c_long(0))  # otherwise from the clock: some voices use random numbers
    return library


def _main(library_path, data_dir):
    voice_plans = [VoicePlan(*fields) for fields in json.load(sys.stdin)]
    library = _load_espeak(library_path, data_dir)
    chunks = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    def keep_samples(samples, num_samples, _events):
        if samples and num_samples > 0:
            chunks.append(ctypes.string_at(samples, 2 * num_samples))
        return 0

    library.espeak_SetSynthCallback(keep_samples)
    for voice_plan in voice_plans:
        chunks.clear()
        if library.espeak_SetVoiceByName(voice_plan.voice.encode()) != 0:
            sys.exit(f"espeak-ng must know the voice. Received: {voice_plan.voice!r}")
        parameters = {1: voice_plan.words_per_minute, 3: voice_plan.pitch, 4: voice_plan.pitch_range}
        for parameter, value in parameters.items():
            library.espeak_SetParameter(parameter, value, 0)
        text = voice_plan.text.encode() + b"\0"
        library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, 1, None, None)
        samples = b"".join(chunks)
        if not samples:
            sys.exit(f"espeak-ng must say something. Received: silence for {voice_plan}")
        sys.stdout.buffer.write(struct.pack("<i", len(samples)) + samples)


if __name__ == "__main__":
    _main(*sys.argv[1:])
