"""Metrics in plain NumPy and SciPy, each with its source."""
