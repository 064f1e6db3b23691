"""DARTS's cells: the space, its genotypes, its supernet and its stand-alone networks."""

from kshot_core.spaces.darts.space import DARTS

__all__ = ["DARTS"]
