"""Evaluation: metrics, intervals, open set, robustness, error rates, the report."""
