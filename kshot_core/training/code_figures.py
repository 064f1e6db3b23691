"""What codes of several architectures have in common and what sets them apart.

Shapes: A architectures, K copies.
"""

from __future__ import annotations

import math

from torch import Tensor


def relative_entropy(codes: Tensor) -> Tensor:
    """Mean entropy of codes (A, K) as a share of log K: 1 is uniform, 0 is one-hot."""
    num = codes.shape[1]
    if num == 1:
        return codes.new_ones(())
    entropy: Tensor = -(codes * codes.clamp_min(1e-12).log()).sum(1).mean() / math.log(num)
    return entropy


def unbalanced(codes: Tensor) -> Tensor:
    """Log K - H of the mean of codes (m, K): 0 where the copies are used alike, log K for one."""
    mean = codes.mean(0)
    return math.log(len(mean)) + (mean * mean.clamp_min(1e-12).log()).sum()


def spread(codes: Tensor) -> dict[str, float]:
    """How much codes (A, K) differ between architectures."""
    top = codes.argmax(1).bincount(minlength=codes.shape[1])
    return {
        "code_sd": codes.std(0, correction=0).mean().item(),
        "top_copy_share": top.max().item() / len(codes),
    }
