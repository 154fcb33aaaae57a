"""Text: characters, CTC decoders, n-grams, alignment. NumPy only, no model."""
