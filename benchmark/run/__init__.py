"""Train and rank: ``python -m benchmark.run``."""
