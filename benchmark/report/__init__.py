"""Rebuild tables and figures: ``python -m benchmark.report``."""
