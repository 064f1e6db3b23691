"""Train a found architecture from scratch: ``python -m benchmark.retrain``."""
