"""The mean of a training's weights over the ends of its last epochs.

A supernet's ranking moves from epoch to epoch by more than architectures differ. The mean of
weights that one trajectory passed through lies nearer the middle of what it circles (Izmailov et
al. 2018, there with a constant rate), and costs one addition an epoch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WeightAverage:
    """The running mean of modules' weights, which they take once all epochs are in it.

    Whatever is a float takes part: parameters, and running statistics where a network keeps them,
    of which the mean is only near what averaged weights would give. The mean is kept in 64 bits,
    and what never moves stays as it is to the last bit.

    Args:
        modules: by name; on whatever device, which the mean is on too.
        num: epochs that are averaged; 0 averages nothing.
    """

    def __init__(self, modules: Mapping[str, nn.Module], num: int) -> None:
        self.modules, self.num = modules, num
        self._means: dict[str, Tensor] = {}

    @torch.no_grad()
    def follow(self, epochs_left: int) -> None:
        """Take note of an epoch's end, with so many to come; after the last, put the mean.

        An epoch that is not among the last ``num`` is passed over.
        """
        so_far = self.num - epochs_left
        if so_far <= 0:
            return
        for name, value in self._floats().items():
            new = value.double()
            mean = new if so_far == 1 else self._means[name]
            self._means[name] = mean + (new - mean) / so_far
        if epochs_left == 0:
            for name, value in self._floats().items():
                value.copy_(self._means[name])
            self._means.clear()

    def state(self) -> dict[str, Tensor]:
        """The means so far, by name."""
        return dict(self._means)

    def restore(self, state: Mapping[str, Tensor], epochs_left: int) -> None:
        """Take up what ``state()`` returned when so many epochs were to come.

        Raises:
            KeyError: the state is of other modules, or of another number of epochs.
        """
        under_way = 0 < epochs_left < self.num
        names = self._floats() if under_way else {}
        self._means = {name: state[name].to(value.device) for name, value in names.items()}

    def _floats(self) -> dict[str, Tensor]:
        return {
            f"{label}/{name}": value
            for label, module in self.modules.items()
            for name, value in module.state_dict().items()
            if value.is_floating_point()
        }
