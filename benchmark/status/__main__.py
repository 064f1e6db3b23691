"""``python -m benchmark.status``."""

from benchmark.cli.errors import exit_with
from benchmark.status.command import main

if __name__ == "__main__":
    exit_with(main)
