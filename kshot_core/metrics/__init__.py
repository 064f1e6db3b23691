"""Rank correlations, ties, bootstrap intervals."""
