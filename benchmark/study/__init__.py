"""Studies: one question, one grid of jobs, one page: ``python -m benchmark.study``."""
