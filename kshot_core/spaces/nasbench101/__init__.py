"""NAS-Bench-101's cells."""

from kshot_core.spaces.nasbench101.space import NASBench101

__all__ = ["NASBench101"]
