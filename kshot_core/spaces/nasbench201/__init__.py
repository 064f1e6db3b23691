"""NASBench201: the space, its supernet and its stand-alone networks."""

from kshot_core.spaces.nasbench201.space import NASBench201

__all__ = ["NASBench201"]
