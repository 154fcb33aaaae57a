"""Features: `FeatureSpec`, filters (NumPy), ops and layers (Keras)."""
