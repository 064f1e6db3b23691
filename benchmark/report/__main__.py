"""``python -m benchmark.report``."""

from benchmark.cli.errors import exit_with
from benchmark.report.command import main

if __name__ == "__main__":
    exit_with(main)
