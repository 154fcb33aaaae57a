"""Inference: a trained model and waveforms to labels, probability files and submissions."""
