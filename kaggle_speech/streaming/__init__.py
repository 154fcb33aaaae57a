"""Streaming: sound that does not end: sources, word recogniser, transcriber, their scores, the window."""
