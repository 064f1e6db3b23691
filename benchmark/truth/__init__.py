"""Stand-alone accuracies: tables, importers, ``python -m benchmark.truth``."""
