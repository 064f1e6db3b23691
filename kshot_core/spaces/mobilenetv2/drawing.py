"""How inverted residual blocks are drawn, in this space and in those made of the same blocks."""

from __future__ import annotations

from kshot_core.drawing import Block
from kshot_core.spaces.mobilenetv2.network import Operation

FLAT = 0.34
"""Height of a layer that is one convolution."""
KERNELS = ("kernel 3×3", "kernel 5×5", "kernel 7×7")
_KINDS = {3: 1, 5: 2, 7: 3}


def block(
    name: str, operation: Operation, stage: str, stride: int, *, is_fixed: bool = False
) -> Block:
    """An inverted residual block, or the identity: the higher, the more hidden channels.

    Args:
        name: below it.
        operation: what it does.
        stage: text of the stage it belongs to.
        stride: of the layer.
        is_fixed: that there was no choice.
    """
    if operation.kernel == 0:
        return Block(name, "", 0, 0.0, stage, is_strided=stride > 1)
    height = FLAT if operation.expansion == 1 else min(1.0, 0.24 + 0.38 * operation.expansion / 3)
    kind = 0 if is_fixed else _KINDS[operation.kernel]
    label = str(operation.kernel)
    return Block(name, label, kind, height, stage, operation.excites, stride > 1)
