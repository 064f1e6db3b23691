"""Truth of one's own: ``python -m benchmark.standalone``."""
