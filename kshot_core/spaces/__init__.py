"""Search spaces, by name. A new one: a file here and a line in ``SPACES``."""

from kshot_core.spaces.mobilenetv2.space import MobileNetV2
from kshot_core.spaces.nasbench201.space import NASBench201

__all__ = ["SPACES", "MobileNetV2", "NASBench201"]

SPACES = {"mobilenetv2": MobileNetV2, "nasbench201": NASBench201}
