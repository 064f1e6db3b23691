"""MobileNetV2: the space, its supernet and its stand-alone networks."""

from kshot_core.spaces.mobilenetv2.space import MobileNetV2

__all__ = ["MobileNetV2"]
