"""``python -m benchmark.truth``."""

from benchmark.cli.errors import exit_with
from benchmark.truth.command import main

if __name__ == "__main__":
    exit_with(main)
