"""The MobileNetV2 space: its size, what architectures cost, and that its two networks agree."""

from __future__ import annotations

import math
import random

import made_up
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from kshot_core.sharing import SHARING
from kshot_core.space import Arch
from kshot_core.spaces import MobileNetV2
from kshot_core.spaces.mobilenetv2.space import OPERATIONS
from kshot_core.streams import seeded
from kshot_core.training.recipe import Recipe
from kshot_core.training.trainer import Trainer, fit
from kshot_core.weights.bank import KShot

PAPER = MobileNetV2()
SMALL = MobileNetV2(
    stages=((8, 2, 2), (12, 3, 1)),
    stem=8,
    first=6,
    head=20,
    num_classes=made_up.NUM_CLASSES,
    image_size=13,
    stem_stride=1,
)
K3E6, IDENTITY = 3, 12
ARCHS = st.tuples(*(st.integers(0, num - 1) for num in SMALL.num_choices))


def _full(space: MobileNetV2, operation: int = K3E6) -> Arch:
    return (operation,) * space.num_layers + (4,) * (space.num_layers + 3)


def _images(num: int = 3, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, 3, 13, 13, generator=generator, dtype=torch.float64)


def test_the_paper_s_choices() -> None:
    assert len(OPERATIONS) == len(set(OPERATIONS)) == 13
    assert PAPER.num_layers == 21
    # Thirteen wherever the identity fits, which is not in the first layers of six stages.
    assert math.prod(PAPER.num_choices) == 13**15 * 12**6 * 5**24
    assert PAPER.num_choices[0] == 12
    assert PAPER.num_choices[1] == 13


def test_mobilenetv2_itself_costs_what_is_published() -> None:
    """Sandler et al., 2018, table 4: 300 M multiply-adds, 3.4 M parameters."""
    stages = ((24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
    original = MobileNetV2(stages=stages)
    arch = _full(original)
    # The network everybody builds has 3,504,872 parameters and 300.77 M multiply-adds.
    assert original.params(arch) == 3_504_872
    assert original.flops(arch) == pytest.approx(300.77e6, rel=1e-4)


def test_the_paper_s_budgets_are_in_reach() -> None:
    # Table 2: architectures of 145 to 412 million multiply-adds.
    least = (0,) * 21 + (0,) * 24
    most = (11,) * 21 + (4,) * 24
    assert PAPER.flops(least) < 145e6
    assert PAPER.flops(most) > 412e6


@settings(max_examples=25, deadline=None)
@given(arch=ARCHS)
def test_costs_are_those_of_the_built_network(arch: Arch) -> None:
    network = SMALL.standalone(arch).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 13, 13))
    assert counter.get_total_flops() == 2 * SMALL.flops(arch)
    assert sum(p.numel() for p in network.parameters()) == SMALL.params(arch)


@settings(max_examples=25, deadline=None)
@given(arch=ARCHS)
def test_a_path_of_the_supernet_is_the_network_with_its_leading_channels(arch: Arch) -> None:
    with seeded(0):
        supernet = SMALL.supernet().double()
    alone = SMALL.standalone(arch).double()
    shared = dict(supernet.named_parameters())
    with torch.no_grad():
        for name, parameter in alone.named_parameters():
            leading = tuple(slice(size) for size in parameter.shape)
            parameter.copy_(shared[name][leading])
    torch.testing.assert_close(supernet(_images(), arch), alone(_images()))


@settings(max_examples=50, deadline=None)
@given(arch=ARCHS)
def test_text_and_canonical_form(arch: Arch) -> None:
    assert SMALL.from_string(SMALL.to_string(arch)) == arch
    canonical = SMALL.canonical(arch)
    assert SMALL.canonical(canonical) == canonical
    assert SMALL.widths(canonical) == SMALL.widths(arch)
    assert (SMALL.flops(canonical), SMALL.params(canonical)) == (
        SMALL.flops(arch),
        SMALL.params(arch),
    )
    assert SMALL.num_convolutions(arch) == 5 - sum(choice == IDENTITY for choice in arch[:5])


def test_text_reads_well_and_refuses_what_is_not_an_architecture() -> None:
    arch = (0, IDENTITY, 5, 9, 11, *range(5), 4, 3, 2)
    text = "k3e3,id,k7e6,k3e6s,k7e6s|0.2,0.4,0.6,0.8,1.0,1.0,0.8,0.6"
    assert SMALL.to_string(arch) == text
    for wrong, message in {
        text.replace("id", "k9e3"): "got 'k9e3'",
        text.replace("|0.2", "|0.3"): "got '0.3'",
        text.replace("k3e3,", ""): "has 13 choices, got 12",
        text.replace("k3e3", "id"): "site 0 is 0..11, got 12",
        "": "got ''",
    }.items():
        with pytest.raises(ValueError, match=message):
            SMALL.from_string(wrong)


def test_the_identity_passes_the_width_before_it_on() -> None:
    arch = (K3E6, IDENTITY, K3E6, IDENTITY, IDENTITY, 4, 4, 1, 0, 2, 4, 3, 4)
    assert SMALL.widths(arch).layers == (3, 3, 7, 7, 7)
    x = _images()
    with seeded(0):
        supernet = SMALL.supernet().double()
    assert torch.equal(supernet(x, arch), supernet(x, SMALL.canonical(arch)))


def test_a_shortcut_adds_the_channels_in_common() -> None:
    with seeded(0):
        network = SMALL.standalone(_full(SMALL)).network
    block = network.layers[1]["k3_e6"]  # type: ignore[index]
    x = torch.randn(2, 8, 5, 5)
    for inputs, outputs in ((8, 8), (8, 3), (3, 8)):
        block.shortcut = False  # type: ignore[union-attr]
        plain = block(x[:, :inputs], outputs)
        block.shortcut = True  # type: ignore[union-attr]
        common = min(inputs, outputs)
        expected = plain.clone()
        expected[:, :common] += x[:, :common]
        torch.testing.assert_close(block(x[:, :inputs], outputs), expected)


def test_only_the_path_gets_gradients() -> None:
    with seeded(0):
        shared = KShot(SMALL.supernet(), 2, group=SMALL.parameter_group)
    arch = (K3E6, IDENTITY, 9, K3E6, 0, *[2] * 8)
    shared(_images().float(), arch, torch.tensor([0.3, 0.7])).sum().backward()
    used = {name for name, value in shared.bank.items() if value.grad is not None}
    assert used == {
        "fixed",
        "layer-0-k3_e6",
        "layer-2-k3_e6_se",
        "layer-3-k3_e6",
        "layer-4-k3_e3",
    }


def test_running_statistics_of_the_standalone_network() -> None:
    running = MobileNetV2(
        stages=((8, 2, 2),), stem=8, first=6, head=20, num_classes=4, batch_norm="running"
    )
    network = running.standalone((0, 3, 4, 4, 3, 4, 4))
    x = _images().float()
    trained = network(x)
    network.eval()
    assert not torch.allclose(network(x), trained)
    assert torch.allclose(network(x)[:1], network(x[:1]), atol=1e-6)


def test_it_trains_as_any_other_space_does() -> None:
    with seeded(0):
        shared = KShot(SMALL.supernet(), 3, group=SMALL.parameter_group)
    trainer = Trainer(
        shared,
        SHARING["simplex"](SMALL, 3),
        # Widest of two operations: what has two of eight channels learns next to nothing.
        lambda generator: [_full(SMALL, int(torch.randint(2, (1,), generator=generator)))],
        made_up.images(96, size=13),
        Recipe(epochs=12, batch_size=16, warmup_epochs=1, num_groups=2, learning_rate=0.1),
        seed=0,
    )
    losses = [figures["weight_loss"] for figures in fit(trainer)]
    assert sum(losses[-3:]) < 0.85 * sum(losses[:3])
    assert trainer.num_simplex_steps > 0


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"stages": ()}, "stages must be at least one"),
        ({"stages": ((8, 2, 3),)}, r"got \(8, 2, 3\)"),
        ({"stem": 0}, "stem must be at least 1, got 0"),
        ({"batch_norm": "none"}, "batch_norm is"),
    ],
)
def test_impossible_settings_are_refused(settings_: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MobileNetV2(**settings_)  # type: ignore[arg-type]


def test_random_architectures_of_the_paper_s_space_build() -> None:
    draw = random.Random(0)
    arch = tuple(draw.randrange(num) for num in PAPER.num_choices)
    with torch.device("meta"):
        network = PAPER.standalone(arch)
    assert sum(p.numel() for p in network.parameters()) == PAPER.params(arch)
