"""Searching under hard limits: NSGA-II and random search."""
