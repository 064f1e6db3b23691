"""The weights that a training ends with are the mean of its last epochs'."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import made_up
import pytest
import torch
from torch import Tensor

from kshot_core.sampling import SAMPLERS
from kshot_core.sharing import SHARING
from kshot_core.sharing.simplex import SimplexSettings
from kshot_core.spaces import NASBench201
from kshot_core.streams import seeded
from kshot_core.training.recipe import Recipe
from kshot_core.training.trainer import Trainer, fit
from kshot_core.weights.bank import KShot

IMAGES = made_up.images(24)
RECIPE = Recipe(epochs=5, batch_size=8, warmup_epochs=1, num_groups=2)


def _trainer(batch_norm: str = "batch", sharing: str = "simplex", **changes: Any) -> Trainer:
    space = NASBench201(2, 1, made_up.NUM_CLASSES, 6, batch_norm=batch_norm)
    with seeded(0):
        supernet = space.supernet()
    strategy = SimplexSettings(hidden=8) if sharing == "simplex" else SHARING[sharing]
    return Trainer(
        KShot(supernet, 3, group=space.parameter_group),
        strategy(space, 3),
        SAMPLERS["uniform"](space),
        IMAGES,
        replace(RECIPE, **changes),
        0,
    )


def _trained(trainer: Trainer) -> dict[str, Tensor]:
    state = trainer.state()
    return {name: value for name, value in state.items() if name.startswith("shar")}


@pytest.mark.parametrize("batch_norm", ["batch", "running"])
@pytest.mark.parametrize("num", [2, 3, 5])
def test_it_is_the_mean_made_by_hand(num: int, batch_norm: str) -> None:
    """And nothing before the end is another thing than without it, the log included."""
    plain, averaged = _trainer(batch_norm), _trainer(batch_norm, average_epochs=num)
    ends = []
    for expected in fit(plain):
        assert averaged.run_epoch() == expected
        ends.append(_trained(plain))
        if averaged.epoch < RECIPE.epochs:
            assert all(map(torch.equal, _trained(averaged).values(), ends[-1].values()))
    for name, value in _trained(averaged).items():
        last = [end[name] for end in ends[-num:]]
        if value.is_floating_point():
            torch.testing.assert_close(value, torch.stack(last).mean(0), rtol=1e-6, atol=1e-7)
        else:
            assert torch.equal(value, last[-1]), "a count of batches has no mean"
    # Bank and simplex-net moved, so that the mean is not the last of them.
    moved = {
        name.split("/")[0] for name, v in _trained(averaged).items() if (v != ends[-1][name]).any()
    }
    assert moved == {"shared", "sharing"}


def test_what_never_moves_stays_to_the_last_bit() -> None:
    before = _trainer(sharing="random").sharing.state_dict()
    trainer = _trainer(sharing="random", average_epochs=3)
    for _ in fit(trainer):
        pass
    assert before
    for name, value in trainer.sharing.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_checkpoint_without_the_mean_is_refused() -> None:
    plain, averaged = _trainer(), _trainer(average_epochs=3)
    for _ in range(3):
        plain.run_epoch()
    with pytest.raises(ValueError, match="does not fit"):
        averaged.restore(plain.state())


@pytest.mark.parametrize("num", [-1, 1, 6])
def test_a_number_without_effect_is_refused(num: int) -> None:
    with pytest.raises(ValueError, match="average_epochs must be"):
        replace(RECIPE, average_epochs=num)
