"""What networks of inverted residual blocks cost."""

from __future__ import annotations

from collections.abc import Iterable

from kshot_core.spaces.mobilenetv2.network import Layer, Operation, squeezed


def network_cost(
    blocks: Iterable[tuple[Operation, Layer]],
    stem: int,
    head: int,
    image_size: int,
    image_channels: int,
    num_classes: int,
    stem_stride: int,
) -> tuple[int, int]:
    """Multiply-adds of one image in convolutions and linear maps, and trainable scalars.

    Args:
        blocks: every block, the fixed first one among them, in order.
        stem: channels of the first convolution, 3×3.
        head: channels of the last convolution, 1×1.
        image_size: height and width of the images in pixels.
        image_channels: channels of the images.
        num_classes: outputs of the classifier.
        stem_stride: of the first convolution.
    """
    size = _strided(image_size, stem_stride)
    weights = 9 * image_channels * stem
    flops, params = weights * size**2, weights + 2 * stem
    outputs = stem
    for operation, layer in blocks:
        if operation.kernel == 0:
            continue
        outputs = layer.outputs
        hidden = operation.expansion * layer.inputs
        after = _strided(size, layer.stride)
        expand = layer.inputs * hidden if operation.expansion > 1 else 0
        depthwise, project = operation.kernel**2 * hidden, hidden * layer.outputs
        flops += expand * size**2 + (depthwise + project) * after**2
        params += expand + depthwise + project + 2 * (hidden + layer.outputs)
        params += 2 * hidden if operation.expansion > 1 else 0
        if operation.excites:
            inner = squeezed(hidden)
            flops += 2 * hidden * inner
            params += 2 * hidden * inner + hidden + inner
        size = after
    weights = outputs * head
    flops += weights * size**2 + head * num_classes
    params += weights + 2 * head + (head + 1) * num_classes
    return flops, params


def _strided(size: int, stride: int) -> int:
    return (size + stride - 1) // stride
