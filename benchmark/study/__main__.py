"""``python -m benchmark.study``."""

from benchmark.cli.errors import exit_with
from benchmark.study.command import main

if __name__ == "__main__":
    exit_with(main)
