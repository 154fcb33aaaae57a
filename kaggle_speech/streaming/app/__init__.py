"""Live window: microphone or file, words and confidence as they come. Needs PySide6 (the extra `live`)."""
