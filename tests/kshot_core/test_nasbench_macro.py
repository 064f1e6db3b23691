"""NAS-Bench-Macro: every cost in its table, the two networks, and a training."""

from __future__ import annotations

import csv
import lzma
from collections.abc import Callable
from pathlib import Path

import made_up
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from kshot_core.sharing import SHARING
from kshot_core.space import Arch
from kshot_core.spaces import NASBenchMacro
from kshot_core.streams import seeded
from kshot_core.training.recipe import Recipe
from kshot_core.training.trainer import Trainer, fit
from kshot_core.weights.bank import KShot

SPACE = NASBenchMacro()
SMALL = NASBenchMacro(stem=4, head=12, num_classes=made_up.NUM_CLASSES, image_size=9)
# The last three together have each choice in each layer.
ARCHS: list[Arch] = [(0, 2, 1, 0, 2, 0, 1, 2), (1, 0, 2, 1, 0, 2, 0, 1), (2, 1, 0, 2, 1, 1, 2, 0)]
# architecture: parameters and multiply-adds, as published
PUBLISHED = {
    "00000000": (387882, 7713280),
    "00000001": (791594, 14115328),
    "00000002": (1219370, 20910592),
    "00000010": (791594, 14115328),
}


def _images(num: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(num, 3, 9, 9, generator=generator, dtype=torch.float64)


def test_costs_are_the_published_ones() -> None:
    for text, (params, flops) in PUBLISHED.items():
        arch = SPACE.from_string(text)
        assert (SPACE.params(arch), SPACE.flops(arch)) == (params, flops)


def test_all_6561_costs_and_the_order_are_those_of_the_real_table(
    shared_file: Callable[[str], Path],
) -> None:
    path = shared_file("nb_macro/nb_macro_truth.csv.xz")
    with lzma.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["arch"] for row in rows] == [SPACE.to_string(arch) for arch in SPACE.archs()]
    for arch, row in zip(SPACE.archs(), rows, strict=True):
        assert (SPACE.params(arch), SPACE.flops(arch)) == (int(row["params"]), float(row["flops"]))


@pytest.mark.parametrize("arch", ARCHS)
def test_costs_are_those_of_the_built_network(arch: Arch) -> None:
    network = SMALL.standalone(arch).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 9, 9))
    assert counter.get_total_flops() == 2 * SMALL.flops(arch)
    assert sum(p.numel() for p in network.parameters()) == SMALL.params(arch)


@pytest.mark.parametrize("arch", ARCHS)
def test_a_path_of_the_supernet_is_the_network_with_its_weights(arch: Arch) -> None:
    with seeded(0):
        supernet = SMALL.supernet().double()
    alone = SMALL.standalone(arch).double()
    shared = dict(supernet.named_parameters())
    alone.load_state_dict({name: shared[name] for name in alone.state_dict()})
    torch.testing.assert_close(supernet(_images(), arch), alone(_images()))


def test_the_index_counts_architectures_in_order() -> None:
    archs = SPACE.archs()
    assert len(archs) == len(set(archs)) == 6561
    for index in (0, 1, 2, 3, 1000, 6560):
        assert SPACE.from_index(index) == archs[index]
        assert SPACE.index(archs[index]) == index
    for index in (-1, 6561):
        with pytest.raises(ValueError, match=rf"0\.\.6560, got {index}"):
            SPACE.from_index(index)


@pytest.mark.parametrize("text", ["0120120", "012012013", "01201203", "0120120a", "٠1201201", ""])
def test_text_that_is_no_architecture_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="eight digits of 0, 1 and 2"):
        SPACE.from_string(text)


def test_only_the_path_gets_gradients() -> None:
    with seeded(0):
        shared = KShot(SMALL.supernet(), 2, group=SMALL.parameter_group)
    code = torch.tensor([0.3, 0.7])
    shared(_images().float(), ARCHS[0], code).sum().backward()
    used = {name for name, value in shared.bank.items() if value.grad is not None}
    # Identities have weights in the first layer of a stage: layers 0, 2 and 5.
    layers = {"layer-0-0", "layer-1-2", "layer-2-1", "layer-4-2", "layer-5-0", "layer-6-1"}
    assert used == {"fixed", "layer-7-2", *layers}


def test_an_identity_in_a_stage_passes_its_input_on() -> None:
    with seeded(0):
        supernet = SMALL.supernet().double()
    seen: list[torch.Tensor] = []
    supernet.head.register_forward_pre_hook(lambda module, args: seen.append(args[0]))  # type: ignore[union-attr]
    block = supernet.layers[5]["1"]  # type: ignore[index]
    block.register_forward_hook(lambda module, args, output: seen.append(output))  # type: ignore[union-attr]
    supernet(_images(), (0, 0, 0, 0, 0, 1, 0, 0))
    assert torch.equal(seen[0], seen[1])


def test_it_trains_k_shot() -> None:
    wider = NASBenchMacro(stem=8, head=32, num_classes=made_up.NUM_CLASSES, image_size=13)
    with seeded(0):
        shared = KShot(wider.supernet(), 2, group=wider.parameter_group)
    trainer = Trainer(
        shared,
        SHARING["simplex"](wider, 2),
        # Two architectures: 72 steps teach 6,561 little.
        lambda generator: [ARCHS[int(torch.randint(2, (1,), generator=generator))]],
        made_up.images(96, size=13),
        Recipe(epochs=12, batch_size=16, warmup_epochs=1, num_groups=2, learning_rate=0.1),
        seed=0,
    )
    losses = [figures["weight_loss"] for figures in fit(trainer)]
    assert sum(losses[-3:]) < 0.85 * sum(losses[:3])
    assert trainer.num_simplex_steps > 0


def test_running_statistics_of_the_standalone_network() -> None:
    running = NASBenchMacro(stem=4, head=12, num_classes=4, batch_norm="running")
    network = running.standalone(ARCHS[0])
    x = _images().float()
    trained = network(x)
    network.eval()
    assert not torch.allclose(network(x), trained)
    assert torch.allclose(network(x)[:1], network(x[:1]), atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"stem": 0}, "stem must be at least 1, got 0"),
        ({"head": -1}, "head must be at least 1, got -1"),
        ({"batch_norm": "none"}, 'batch_norm is "batch" or "running"'),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NASBenchMacro(**wrong)  # type: ignore[arg-type]
