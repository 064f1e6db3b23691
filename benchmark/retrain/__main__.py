"""``python -m benchmark.retrain``."""

from benchmark.cli.errors import exit_with
from benchmark.retrain.command import main

if __name__ == "__main__":
    exit_with(main)
