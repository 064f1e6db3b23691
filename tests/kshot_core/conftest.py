"""Fixtures of the core's tests."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rate of every SGD step that the test takes, as they happen."""
    seen: list[float] = []
    step = torch.optim.SGD.step

    def recorded(self: torch.optim.SGD, closure: None = None) -> None:
        seen.append(self.param_groups[0]["lr"])
        step(self, closure)

    monkeypatch.setattr(torch.optim.SGD, "step", recorded)
    return seen
