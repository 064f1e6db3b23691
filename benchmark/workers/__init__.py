"""Processes on this machine, and those of torchrun."""
