"""Errors and progress on a terminal."""
