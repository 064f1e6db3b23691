"""Supernets, trained and kept."""
