"""Search spaces, by name. A new one: a file here and a line in ``SPACES``."""

from kshot_core.spaces.darts.space import DARTS
from kshot_core.spaces.darts_ptb.space import DARTSPTB
from kshot_core.spaces.mobilenetv2.space import MobileNetV2
from kshot_core.spaces.nasbench101.space import NASBench101
from kshot_core.spaces.nasbench201.space import NASBench201
from kshot_core.spaces.nasbench_macro import NASBenchMacro
from kshot_core.spaces.proxyless import Proxyless

__all__ = [
    "DARTS",
    "DARTSPTB",
    "SPACES",
    "MobileNetV2",
    "NASBench101",
    "NASBench201",
    "NASBenchMacro",
    "Proxyless",
]

SPACES = {
    "darts": DARTS,
    "darts_ptb": DARTSPTB,
    "mobilenetv2": MobileNetV2,
    "nasbench101": NASBench101,
    "nasbench201": NASBench201,
    "nasbench_macro": NASBenchMacro,
    "proxyless": Proxyless,
}
