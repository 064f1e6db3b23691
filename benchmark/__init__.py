"""The experiments: everything with a flag, a path, a clock or a number from a paper."""
