"""Rendered data: competition-shaped clips and spoken sentences from a speech synthesiser, offline."""
