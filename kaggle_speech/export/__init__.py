"""Export: files for other programs: ONNX, LiteRT, SavedModel, cards, features."""
