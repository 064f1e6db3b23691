"""DARTS-PTB: published sizes and genotypes, the cell by hand, dropout, and several at a time."""

from __future__ import annotations

import copy
import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import recurrent
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from kshot_core.retraining.fleet import Fleet
from kshot_core.retraining.standalone import (
    StandaloneRecipe,
    build_fleet,
    standalone_scores,
    train_standalone,
)
from kshot_core.sharing.simplex import SimplexNet
from kshot_core.space import Arch
from kshot_core.spaces.darts_ptb import DARTSPTB
from kshot_core.spaces.darts_ptb.genotype import ACTIVATIONS, NUM_CHOICES
from kshot_core.streams import seeded
from kshot_core.tasks import task_of
from kshot_core.tasks.language import LanguageModelling
from kshot_core.training.recipe import Recipe
from kshot_core.training.trainer import Trainer, fit
from kshot_core.weights.bank import KShot

LANGUAGE = LanguageModelling()
SPACE = DARTSPTB()
DRY = {"dropout": 0.0, "dropouth": 0.0, "dropoutx": 0.0, "dropouti": 0.0, "dropoute": 0.0}
WET = {"dropout": 0.3, "dropouth": 0.2, "dropoutx": 0.4, "dropouti": 0.1, "dropoute": 0.1}
# As in DARTS's genotypes.py.
V1 = (
    "Genotype(recurrent=[('relu', 0), ('relu', 1), ('tanh', 2), ('relu', 3), ('relu', 4), "
    "('identity', 1), ('relu', 5), ('relu', 1)], concat=range(1, 9))"
)
V2 = (
    "Genotype(recurrent=[('sigmoid', 0), ('relu', 1), ('relu', 1), ('identity', 1), ('tanh', 2), "
    "('sigmoid', 5), ('tanh', 3), ('relu', 5)], concat=range(1, 9))"
)


def small(**changes: object) -> DARTSPTB:
    settings = {"units": 7, "num_classes": 6, **DRY, **changes}
    return DARTSPTB(**settings)  # type: ignore[arg-type]


def archs(num: int, seed: int = 0) -> list[Arch]:
    generator = torch.Generator().manual_seed(seed)
    draws = (torch.rand(len(NUM_CHOICES), generator=generator).tolist() for _ in range(num))
    return [tuple(int(u * n) for u, n in zip(one, NUM_CHOICES, strict=True)) for one in draws]


def tokens(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(6, shape, generator=torch.Generator().manual_seed(seed))


# Costs and texts.


def test_the_published_networks_have_the_published_size() -> None:
    for text in (V1, V2):
        network = SPACE.standalone(SPACE.from_string(text))
        num = sum(parameter.numel() for parameter in network.parameters())
        assert num == SPACE.params(SPACE.from_string(text)) == 22_960_000  # "23M" in table 3


def test_multiply_adds_are_those_of_the_built_network() -> None:
    space, (arch,) = small(units=5), archs(1)
    with FlopCounterMode(display=False) as counter:
        space.standalone(arch).eval()((tokens(1, 3), None))
    assert counter.get_total_flops() == 2 * 3 * space.flops(arch)


def test_genotypes_are_read_and_written() -> None:
    for text in (V1, V2):
        arch = SPACE.from_string(text)
        assert SPACE.genotype(arch) == text
        assert SPACE.from_string(SPACE.to_string(arch)) == arch
    assert SPACE.to_string(SPACE.from_string(V1)) == (
        "|relu~0|relu~1|tanh~2|relu~3|relu~4|identity~1|relu~5|relu~1|"
    )
    # A list of states is as good as a range.
    as_list = V1.replace("range(1, 9)", "[1, 2, 3, 4, 5, 6, 7, 8]")
    assert SPACE.from_string(as_list) == SPACE.from_string(V1)
    for arch in archs(50):
        assert SPACE.from_string(SPACE.genotype(arch)) == arch


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|none~2|", "reads"),
        ("01201201", "reads"),
        ("|tanh~0|relu~1|", "8 steps, got 2"),
        ("|tanh~0|relu~1|none~1|relu~1|relu~1|relu~1|relu~1|relu~1|", "step 3 is one of tanh"),
        ("|tanh~0|relu~2|relu~1|relu~1|relu~1|relu~1|relu~1|relu~1|", r"step 2 reads .*0\.\.1"),
        ("Genotype(normal=[('sep_conv_3x3', 0)], normal_concat=[2])", "convolutional cells"),
        (V1.replace("range(1, 9)", "range(2, 9)"), "mean of the states 1..8"),
        (V1.replace("range(1, 9)", "range(1, 10**9)"), "a range or list of states"),
        (V1.replace("range(1, 9)", "open('x')"), "a range or list of states"),
        (V1.replace("'relu', 0", "'relu'"), "pairs like"),
        (V1.replace("('relu', 0)", "print(1)"), "pairs like"),
        (V1[:-1], "no Python expression"),
        ("Genotype()", "a recurrent genotype reads"),
        ("", "reads"),
    ],
)
def test_what_is_no_recurrent_cell_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        SPACE.from_string(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"units": 0}, "units must be at least 1, got 0"),
        ({"num_classes": 1}, "num_classes must be at least 2, got 1"),
        ({"dropoutx": 1.0}, "dropoutx is a share from 0 to below 1, got 1.0"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**wrong)


def test_all_cells_of_the_real_tables_are_read(shared_file: Callable[[str], Path]) -> None:
    path = shared_file("five_spaces/ptb.csv")
    with path.open() as file:
        cells = [json.loads(row["architecture"]) for row in csv.DictReader(file)]
    for cell in cells:
        steps = [(ACTIVATIONS[cell[f"act/{i}"]], cell[f"switch/{i}"]) for i in range(8)]
        text = "".join(f"|{name}~{source}" for name, source in steps) + "|"
        assert SPACE.to_string(SPACE.from_string(text)) == text


# The networks.


def by_hand(
    network: torch.nn.Module, arch: Arch, x: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """One token after another, as DARTS's cell is written down in the module's text."""
    values = dict(network.named_parameters())
    table, H = values["embedding.weight"], state.shape[1]
    activations = {"identity": lambda h: h, "relu": torch.relu, "tanh": torch.tanh}
    activations["sigmoid"] = torch.sigmoid
    names = [ACTIVATIONS[choice] for choice in (arch[0], *arch[1::2])]
    sources = [0, *arch[2::2]]
    logits = []
    for token in x.T:
        ch = torch.cat([table[token], state], 1) @ values["cell.first"]
        c, h = ch[:, :H].sigmoid(), ch[:, H:].tanh()
        states = [state + c * (h - state)]
        for step, (name, source) in enumerate(zip(names, sources, strict=True)):
            ch = states[source] @ values[f"cell.steps.{step}"]
            c, h = ch[:, :H].sigmoid(), activations[name](ch[:, H:])
            states.append(states[source] + c * (h - states[source]))
        state = torch.stack(states[1:]).mean(0)
        logits.append(state @ table.T + values["decoder.bias"])
    return torch.stack(logits, 1), state


@pytest.mark.parametrize("arch", [SPACE.from_string(V1), *archs(3)])
def test_the_network_is_the_cell_by_hand(arch: Arch) -> None:
    with seeded(0):
        network = small().standalone(arch).double()
    for parameter in network.parameters():
        parameter.data.mul_(20)  # or all activations are linear
    x, state = tokens(4, 5), torch.rand(4, 7).double()
    for found, expected in zip(network((x, state)), by_hand(network, arch, x, state), strict=True):
        torch.testing.assert_close(found, expected)
    begun, _ = network((x, None))
    torch.testing.assert_close(begun, by_hand(network, arch, x, torch.zeros(4, 7).double())[0])


def test_a_path_of_the_supernet_is_the_network_with_its_weights() -> None:
    with seeded(0):
        supernet = small(normalise=False).supernet()
    for arch in archs(4):
        alone = small().standalone(arch)
        alone.load_state_dict(supernet.state_dict())
        expected = alone((tokens(3, 5), None))
        for found, one in zip(supernet((tokens(3, 5), None), arch), expected, strict=True):
            assert torch.equal(found, one)


def test_states_of_the_supernet_are_normalised_and_alone_they_are_not() -> None:
    with seeded(0):
        supernet, alone = small().supernet(), small().standalone(archs(1)[0])
    _, state = supernet((tokens(64, 9), None), archs(1)[0])
    _, plain = alone((tokens(64, 9), None))
    # The mean of eight states that each have variance 1.
    assert 0.3 < float(state.detach().var(0, unbiased=False).mean()) <= 1.001
    torch.testing.assert_close(state.mean(0), torch.zeros(7), atol=1e-5, rtol=0)
    assert float(plain.detach().var()) < 0.01


def test_the_decoder_has_the_embedding_s_weights_in_every_copy() -> None:
    shared = KShot(small().supernet(), 3, group=small().parameter_group)
    assert list(shared.bank) == ["all"]
    assert shared.bank["all"].shape == (3, small().params(archs(1)[0]))
    code = torch.tensor([0.2, 0.3, 0.5])
    with shared.merged(code) as network:
        assert network.decoder.weight is network.embedding.weight
    logits, state = shared((tokens(4, 5), None), archs(1)[0], code)
    assert (logits.shape, state.shape) == ((4, 5, 6), (4, 7))
    logits.sum().backward()
    assert shared.bank["all"].grad is not None


# Dropout.


def test_in_evaluation_nothing_is_dropped() -> None:
    (arch,) = archs(1)
    with seeded(0):
        wet, dry = small(**WET).standalone(arch), small().standalone(arch)
    dry.load_state_dict(wet.state_dict())
    x = tokens(3, 5)
    assert torch.equal(wet.eval()((x, None))[0], dry((x, None))[0])
    assert not torch.equal(wet.train()((x, None))[0], dry((x, None))[0])


def test_masks_go_on_where_a_state_was_taken() -> None:
    (arch,) = archs(1)
    x, space = tokens(3, 5), small(**WET)
    with seeded(0):
        first, second = space.standalone(arch), space.standalone(arch)
    before = torch.get_rng_state()
    one = first((x, None))[0]
    second.load_state_dict(first.state_dict())
    two, again = first((x, None))[0], second((x, None))[0]
    assert torch.equal(two, again)
    assert not torch.equal(one, two)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", DRY)
def test_each_dropout_is_where_it_was_published(kind: str) -> None:
    (arch,) = archs(1)
    space = small(units=40, **{kind: 0.5})
    with seeded(0):
        network = space.standalone(arch)
    inputs: dict[str, Tensor] = {}
    network.decoder.register_forward_pre_hook(lambda _, x: inputs.update(decoded=x[0]))
    network.cell.register_forward_pre_hook(lambda _, x: inputs.update(x=x[0], state=x[1]))
    # The same token throughout.
    x = torch.full((3, 4), 2)
    network((x, torch.ones(3, 40)))
    decoded, embedded = inputs["decoded"], inputs["x"]
    if kind == "dropout":
        zero = decoded == 0
        assert 0.4 < float(zero.float().mean()) < 0.6
        assert torch.equal(zero, zero[:, :1].expand_as(zero))  # the same at every token
    else:
        assert not (decoded == 0).any()
    row = network.embedding.weight[2].detach()
    if kind in ("dropoutx", "dropouti"):
        zero = embedded == 0
        assert 0.4 < float(zero.float().mean()) < 0.6
        assert torch.equal(zero, zero[:1].expand_as(zero))
        torch.testing.assert_close(embedded[~zero], (2 * row).expand_as(embedded)[~zero])
    elif kind == "dropoute":
        assert bool((embedded == 0).all()) or torch.allclose(embedded, 2 * row)
    else:
        assert torch.equal(embedded, row.expand_as(embedded))


def test_whole_words_are_dropped_where_they_are_read_and_not_where_they_are_said() -> None:
    space = small(num_classes=400, units=5, dropoute=0.5)
    with seeded(0):
        network = space.standalone(archs(1)[0])
    seen: list[Tensor] = []
    network.cell.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    logits, _ = network((torch.arange(400).view(1, 400), None))
    dropped = (seen[0][:, 0] == 0).all(1)
    assert 0.4 < float(dropped.float().mean()) < 0.6
    assert logits.detach().abs().sum((0, 1)).min() > 0


def test_the_state_is_dropped_with_one_mask_wherever_the_cell_multiplies_it() -> None:
    space = small(units=30, dropouth=0.5)
    with seeded(0):
        network = space.standalone(archs(1)[0])
    masks: list[Tensor] = []
    network.cell.register_forward_pre_hook(lambda _, x: masks.append(x[3]))
    x, state = tokens(2, 6), torch.rand(2, 30)
    found = network((x, state))
    (mask,) = masks
    assert set(mask.flatten().tolist()) == {0.0, 2.0}
    network.eval()
    # Rows of the weights that read the state, scaled as the mask scales what they are read with.
    for sequence in range(2):
        scaled = copy.deepcopy(network)
        with torch.no_grad():
            scaled.cell.first[30:] *= mask[sequence][:, None]
            for weight in scaled.cell.steps:
                weight.mul_(mask[sequence][:, None])
        part = slice(sequence, sequence + 1)
        for one, expected in zip(found, scaled((x[part], state[part])), strict=True):
            torch.testing.assert_close(one[part], expected)


# Several at a time.


@pytest.mark.parametrize("settings", [DRY, WET], ids=["dry", "wet"])
@pytest.mark.parametrize("num", [1, 2, 7])
def test_a_fleet_computes_what_each_does_alone(settings: dict[str, float], num: int) -> None:
    space, chosen = small(**settings), archs(num, seed=3)
    networks = []
    for seed, arch in enumerate(chosen):
        with seeded(seed):
            networks.append(space.standalone(arch).double())
    for network in networks:
        for parameter in network.parameters():
            parameter.data.mul_(20)
    alone = copy.deepcopy(networks)
    fleet = Fleet(networks, chosen)
    x, state = tokens(num, 3, 5), None
    ends: list[Tensor | None] = [None] * num
    for _ in range(2):
        logits, state = fleet((x, state))
        logits.square().sum().backward()
        state = state.detach()
        for member, network in enumerate(alone):
            expected, end = network((x[member], ends[member]))
            expected.square().sum().backward()
            ends[member] = end.detach()
            torch.testing.assert_close(logits[member], expected)
            torch.testing.assert_close(state[member], end)
    for name, parameter in alone[-1].named_parameters():
        stack = fleet.stacks[name.replace(".", "-")]
        torch.testing.assert_close(stack.grad[-1], parameter.grad)


@pytest.mark.parametrize("normalise", [False, True])
def test_paths_of_a_bank_in_one_pass_are_those_one_by_one(normalise: bool) -> None:
    space, chosen = small(normalise=normalise), archs(5)
    with seeded(0):
        shared = KShot(space.supernet().double(), 3, group=space.parameter_group)
    codes = torch.rand(5, 3).double().softmax(1)
    x, states = tokens(5, 8, 4), torch.rand(5, 8, 7).double()
    logits, ends = shared.network.forward_many((x, states), chosen, shared.merging(codes))
    for member, arch in enumerate(chosen):
        expected, end = shared((x[member], states[member]), arch, codes[member])
        torch.testing.assert_close(logits[member], expected)
        torch.testing.assert_close(ends[member], end)


# Training.


def test_it_trains_k_shot() -> None:
    space = small(units=16, dropout=0.1, normalise=False)
    with seeded(0):
        shared = KShot(space.supernet(), 2, group=space.parameter_group)
    chosen = archs(2)
    trainer = Trainer(
        shared,
        SimplexNet(NUM_CHOICES, 2, seed=0),
        lambda generator: (chosen[int(torch.randint(2, (), generator=generator))],),
        recurrent.text(1400),
        Recipe(
            epochs=6,
            batch_size=8,
            warmup_epochs=1,
            num_groups=2,
            simplex_every=6,
            learning_rate=4.0,
            weight_decay=0.0,
            gradient_clip=0.25,
        ),
        seed=0,
        task=task_of(space),
    )
    losses = [figures["weight_loss"] for figures in fit(trainer)]
    # Letters of one of two kinds come in turns, which a network learns first.
    assert losses[0] > 1.7
    assert losses[-1] < 1.35
    assert trainer.num_simplex_steps > 10


def test_alone_cells_learn_and_each_what_it_would_without_the_others() -> None:
    space, chosen = small(units=16), archs(3)
    recipe = StandaloneRecipe(
        epochs=3, batch_size=8, learning_rate=3.0, weight_decay=0.0, gradient_clip=0.25
    )
    seeds = [0, 1, 1]
    batches = recurrent.text(600, seed=1).scoring_batches(5)

    def score(fleet: Fleet) -> list[float]:
        return standalone_scores(fleet, batches, LANGUAGE)

    fleet = build_fleet(space, chosen, seeds)
    before = score(fleet)
    train_standalone(fleet, recurrent.text(1400), recipe, seeds, LANGUAGE)
    after = score(fleet)
    assert min(before) > 5.5
    assert max(after) < 4.0
    again = build_fleet(space, chosen[1:], [1, 1])
    train_standalone(again, recurrent.text(1400), recipe, [1, 1], LANGUAGE)
    assert score(again) == pytest.approx(after[1:], rel=1e-2)


def test_gradients_are_clipped_network_by_network() -> None:
    space, chosen = small(), archs(2)
    fleet = build_fleet(space, chosen, [0, 1])
    logits, _ = fleet((tokens(2, 3, 5), None))
    (logits[0].square().sum() * 1e4 + logits[1].square().sum() * 1e-6).backward()
    before = [stack.grad.clone() for stack in fleet.parameters() if stack.grad is not None]
    fleet.clip_gradients(0.5)
    after = [stack.grad for stack in fleet.parameters() if stack.grad is not None]
    norm = torch.cat([one[0].flatten() for one in after]).norm()
    assert norm.item() == pytest.approx(0.5, rel=1e-5)
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one[1], other[1])
        torch.testing.assert_close(one[0] / one[0].norm(), other[0] / other[0].norm())
