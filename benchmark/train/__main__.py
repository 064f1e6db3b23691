"""``python -m benchmark.train``."""

from benchmark.cli.errors import exit_with
from benchmark.train.command import main

if __name__ == "__main__":
    exit_with(main)
