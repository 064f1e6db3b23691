"""Search a space with a supernet: ``python -m benchmark.search``."""
