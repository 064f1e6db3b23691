"""``python -m benchmark.search``."""

from benchmark.cli.errors import exit_with
from benchmark.search.command import main

if __name__ == "__main__":
    exit_with(main)
