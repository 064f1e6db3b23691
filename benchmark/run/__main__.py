"""``python -m benchmark.run``."""

from benchmark.cli.errors import exit_with
from benchmark.run.command import main

if __name__ == "__main__":
    exit_with(main)
