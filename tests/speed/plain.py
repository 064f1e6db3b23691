"""The supernet as it is usually written, to compare with: eager, channels first, edge by edge.

Every live operation is computed by itself: each convolution applies its own ReLU, each pooling
pools anew, a skip connection is a copy by ``nn.Identity``, sums start from the first operand. The
weights are those of the network given, so outputs can be compared.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.space import Arch
from kshot_core.spaces.nasbench201.many import EDGES
from kshot_core.spaces.nasbench201.network import Supernet


def forward(network: Supernet, x: Tensor, arch: Arch, dead_edges: bool = False) -> Tensor:
    """Logits (B, num_classes); with ``dead_edges`` also what does not reach the output is run."""
    path = arch if dead_edges else network.canonical(arch)
    x = network.stem(x.contiguous())
    for index, cell in enumerate(network.cells):
        if index > 0 and index % network.cells_per_stage == 0:
            x = network.reductions[index // network.cells_per_stage - 1](x)
        x = _cell(cell, x, path)
    logits: Tensor = network.classifier(F.relu(network.norm(x)).mean((2, 3)))
    return logits


def _cell(cell: nn.Module, x: Tensor, path: Arch) -> Tensor:
    nodes = [x]
    for target in (1, 2, 3):
        operands = [
            _operation(cell.edges[edge], nodes[start], path[edge])  # type: ignore[index]
            for edge, (start, end) in enumerate(EDGES)
            if end == target and path[edge] != 0
        ]
        nodes.append(sum(operands[1:], operands[0]) if operands else x * 0.0)
    return nodes[3]


def _operation(edge: nn.Module, x: Tensor, choice: int) -> Tensor:
    if choice == 1:
        return nn.Identity()(x)  # type: ignore[no-any-return]
    if choice == 4:
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    y: Tensor = edge[str(choice)](F.relu(x))  # type: ignore[index]
    return y
