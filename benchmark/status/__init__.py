"""What a results folder is at, read while others write to it: ``python -m benchmark.status``."""
