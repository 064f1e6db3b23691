"""``python -m benchmark.pipeline``."""

from benchmark.cli.errors import exit_with
from benchmark.pipeline.command import main

if __name__ == "__main__":
    exit_with(main)
