"""``python -m benchmark.standalone``."""

from benchmark.cli.errors import exit_with
from benchmark.standalone.command import main

if __name__ == "__main__":
    exit_with(main)
