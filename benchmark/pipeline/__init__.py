"""Train, search and retrain in one command: ``python -m benchmark.pipeline``."""
