"""Texts to model: the embedded language, Penn Treebank, or any file."""
