"""Each sharing strategy by itself; what they have in common is in ``test_contracts.py``."""

from __future__ import annotations

import made_up
import pytest
import torch

from kshot_core.sharing import SHARING
from kshot_core.sharing.few_shot import FewShot
from kshot_core.sharing.fixed import Fixed
from kshot_core.sharing.one_shot import OneShot
from kshot_core.sharing.random import RandomCodes
from kshot_core.sharing.simplex import SimplexNet, SimplexSettings
from kshot_core.spaces import NASBench201

SPACE = NASBench201(channels=2, cells=1)
ARCHS = SPACE.archs()[:400]


def test_one_shot_has_one_copy() -> None:
    assert OneShot()(ARCHS[:3]).tolist() == [[1.0]] * 3
    with pytest.raises(ValueError, match="K = 1, got K = 2"):
        OneShot(2)


def test_fixed_codes_are_the_mean() -> None:
    assert Fixed(4)(ARCHS[:2]).tolist() == [[0.25] * 4] * 2


def test_random_codes_are_spread_over_the_simplex() -> None:
    codes = RandomCodes(SPACE.num_choices, 4, seed=0)(ARCHS)
    # Of a logistic-normal with unit logits, K = 4: mean 1/4, neither uniform nor one-hot.
    torch.testing.assert_close(codes.mean(0), torch.full((4,), 0.25), rtol=0, atol=0.15)
    assert 0.05 < codes.std(0).mean() < 0.3
    assert len(set(map(tuple, codes.tolist()))) > 390
    logits = torch.cat([RandomCodes(SPACE.num_choices, 4, seed=s)(ARCHS).log() for s in range(20)])
    centred = logits - logits.mean(1, keepdim=True)
    assert 0.7 < centred.std() / 0.75**0.5 < 1.3, "unit normal logits, their mean taken away"


@pytest.mark.parametrize("num_choices", [(5,) * 6, (13,) * 21 + (5,) * 24, (2, 7, 1)])
def test_logits_of_random_codes_are_standard_normal_over_architectures(
    num_choices: tuple[int, ...],
) -> None:
    logits = RandomCodes(num_choices, 4, seed=2).logits.split(list(num_choices))
    # A uniform architecture's logit is a sum of independent draws, one from each site.
    mean = sum(site.mean(0) for site in logits)
    variance = sum(site.var(0, unbiased=False) for site in logits)
    torch.testing.assert_close(mean, torch.zeros(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(variance, torch.ones(4))


def test_random_codes_of_a_single_architecture_are_equal() -> None:
    assert RandomCodes((1, 1), 4)([(0, 0)]).tolist() == [[0.25] * 4]


def test_random_codes_are_not_trained() -> None:
    assert list(RandomCodes(SPACE.num_choices, 4).parameters()) == []


@pytest.mark.parametrize("site", [0, 5])
def test_few_shot_has_a_copy_for_each_operation_of_an_edge(site: int) -> None:
    codes = FewShot(SPACE.num_choices, 5, site=site)(ARCHS)
    assert codes.argmax(1).tolist() == [arch[site] for arch in ARCHS]
    assert ((codes == 0) | (codes == 1)).all()


def test_few_shot_with_fewer_copies_shares_them_between_neighbours() -> None:
    few = FewShot((5, 5), 2, site=1)
    assert few([(0, choice) for choice in range(5)]).argmax(1).tolist() == [0, 0, 0, 1, 1]


def test_few_shot_refuses_what_it_cannot_split() -> None:
    for K in (1, 6):
        with pytest.raises(ValueError, match=r"K is 2\.\.5"):
            FewShot(SPACE.num_choices, K)
    with pytest.raises(ValueError, match=r"site to split is 0\.\.5, got 6"):
        FewShot(SPACE.num_choices, 5, site=6)


def test_simplex_net_is_two_layers_and_a_softmax() -> None:
    net = SimplexNet((2, 3), 4, hidden=7, seed=1)
    sizes = sorted(parameter.numel() for parameter in net.parameters())
    assert sizes == sorted([5 * 7, 7, 7 * 4, 4])
    onehot = torch.tensor([[0.0, 1.0, 0.0, 0.0, 1.0]])
    (branch,) = net.branches
    hidden = torch.relu(onehot @ branch.hidden.weight.mT + branch.hidden.bias)
    expected = torch.softmax(hidden @ branch.output.weight.mT + branch.output.bias, 1)
    torch.testing.assert_close(net([(1, 2)]), expected)


def test_widths_have_a_branch_of_their_own() -> None:
    net = SimplexNet((2, 3, 2), 4, width_sites=[1], hidden=7, seed=1)
    sizes = [[p.numel() for p in branch.parameters()] for branch in net.branches]
    assert sizes == [[4 * 7, 7, 7 * 4, 4], [3 * 7, 7, 7 * 4, 4]]
    operations, widths = (branch([(1, 2, 0)]) for branch in net.branches)
    torch.testing.assert_close(net([(1, 2, 0)]), torch.softmax(operations + widths, 1))
    # The channel branch sees widths alone, the other one operations alone.
    assert torch.equal(net.branches[0]([(1, 0, 0)]), operations)
    assert torch.equal(net.branches[1]([(0, 2, 1)]), widths)
    assert not torch.equal(net([(1, 0, 0)]), net([(1, 2, 0)]))
    only = SimplexNet((3, 3), 2, width_sites=[0, 1])
    assert len(only.branches) == 1
    assert only([(0, 2)]).shape == (1, 2)


def test_simplex_net_tells_every_edge_apart() -> None:
    """No averaging over the sites: the place of an operation changes the code."""
    net = SimplexNet(SPACE.num_choices, 8)
    codes = net([tuple(3 if edge == here else 1 for edge in range(6)) for here in range(6)])
    assert len(set(map(tuple, codes.tolist()))) == 6


def test_canonical_encoding_gives_equal_networks_equal_codes() -> None:
    same = (0, 0, 3, 1, 2, 0), (0, 0, 2, 1, 3, 4)
    assert SPACE.canonical(same[0]) == SPACE.canonical(same[1])
    raw, canonical = (
        SimplexSettings(encoding=encoding)(SPACE, 4) for encoding in ("raw", "canonical")
    )
    assert torch.equal(canonical([same[0]]), canonical([same[1]]))
    assert not torch.equal(raw([same[0]]), raw([same[1]]))
    assert canonical.reads(same[0]) == canonical.reads(same[1])
    assert raw.reads(same[0]) != raw.reads(same[1])
    with pytest.raises(ValueError, match="encoding"):
        SimplexSettings(encoding="other")


def test_a_strategy_serves_a_space_of_ones_own() -> None:
    space = made_up.MadeUpSpace()
    for name, build in SHARING.items():
        K = 1 if name == "one-shot" else 2
        assert build(space, K)(space.archs()).shape == (18, K)
