"""Scores of architectures with shared weights."""
