"""Streaming: sound that does not end: sources, word recogniser, transcriber, their scores, the window (`app`)."""

from kaggle_speech.lazy import lazy_names, with_names

_NAMES = {
    "sources": "Microphone, AudioFile, Samples, StandardInput, input_devices",
    "words": "StreamingRecogniser, Detection, Trigger",
    "transcripts": "StreamingTranscriber, PartialTranscript, Windows",
    "runner": "StreamRunner",
    "stream": "Stream, Source",
    "scores": "stream_evaluate, score_detections, trace_stream",
    "made_streams": "stream_pieces",
}

__doc__ = with_names(__doc__, _NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
