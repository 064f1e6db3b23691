"""Architectures trained alone."""
