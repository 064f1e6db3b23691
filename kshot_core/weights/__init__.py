"""Weights: the bank of K copies, merging, many paths in one pass."""
