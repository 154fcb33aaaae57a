"""Plots: one figure a function, from frames and arrays only."""
