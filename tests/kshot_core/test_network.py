"""NAS-Bench-201's networks against a plain reference that computes every edge."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.space import Arch
from kshot_core.spaces.nasbench201.space import EDGES, NASBench201
from kshot_core.weights.bank import KShot

PATHLESS = [(0, 0, 0, 0, 0, 0), (3, 2, 3, 0, 0, 0), (0, 0, 3, 0, 2, 3), (3, 0, 0, 0, 0, 2)]
KINDS = {
    "published": NASBench201(channels=3, cells=1, num_classes=4, image_size=8),
    "affine": NASBench201(channels=2, cells=2, num_classes=3, image_size=8, affine=True),
    "running": NASBench201(channels=3, cells=1, num_classes=4, image_size=8, batch_norm="running"),
    "odd": NASBench201(channels=2, cells=1, num_classes=3, image_size=7, image_channels=1),
}
archs = st.one_of(st.tuples(*[st.integers(0, 4)] * 6), st.sampled_from(PATHLESS))


class Reference:
    """The benchmark's definition written down: all edges computed, zeros for ``none``.

    It reads the weights of a supernet by their names and keeps running statistics of its own.
    """

    def __init__(self, network: nn.Module, space: NASBench201, training: bool) -> None:
        self.state = {name: value.clone() for name, value in network.state_dict().items()}
        self.space, self.training = space, training

    def norm(self, x: Tensor, name: str) -> Tensor:
        get = self.state.get
        running = get(f"{name}.running_mean"), get(f"{name}.running_var")
        return F.batch_norm(
            x,
            *running,
            get(f"{name}.weight"),
            get(f"{name}.bias"),
            training=self.training or running[0] is None,
        )

    def conv_norm(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = self.state[f"{name}.conv.weight"]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        return self.norm(x, f"{name}.norm")

    def edge(self, x: Tensor, choice: int, name: str) -> Tensor:
        if choice == 0:
            return torch.zeros_like(x)
        if choice == 1:
            return x
        if choice == 4:
            return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        return self.conv_norm(F.relu(x), f"{name}.{choice}")

    def __call__(self, x: Tensor, arch: Arch) -> Tensor:
        x = self.conv_norm(x, "stem")
        for index in range(3 * self.space.cells):
            if index and index % self.space.cells == 0:
                name = f"reductions.{index // self.space.cells - 1}"
                inner = self.conv_norm(F.relu(x), f"{name}.conv_a", stride=2)
                inner = self.conv_norm(F.relu(inner), f"{name}.conv_b")
                odd = x.shape[-1] % 2
                # The mean over a 2×2 window; at an odd border over the pixels there are.
                padded = F.pad(x, (0, odd, 0, odd), mode="replicate") if odd else x
                x = inner + F.conv2d(F.avg_pool2d(padded, 2), self.state[f"{name}.shortcut.weight"])
            nodes = [x]
            for target in (1, 2, 3):
                entering = [number for number, edge in enumerate(EDGES) if edge[1] == target]
                values = [
                    self.edge(
                        nodes[EDGES[number][0]], arch[number], f"cells.{index}.edges.{number}"
                    )
                    for number in entering
                ]
                nodes.append(torch.stack(values).sum(0))
            x = nodes[3]
        x = F.relu(self.norm(x, "norm")).mean((2, 3))
        return F.linear(x, self.state["classifier.weight"], self.state["classifier.bias"])


def _supernet(space: NASBench201, seed: int = 0) -> nn.Module:
    network = space.supernet()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
        for name, buffer in network.named_buffers():
            if name.endswith("var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
            elif name.endswith("mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.2)
    return network.double()


def _x(space: NASBench201, num: int = 4) -> Tensor:
    shape = (num, space.image_channels, space.image_size, space.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
@settings(max_examples=12, deadline=None)
@given(arch=archs)
def test_supernet_equals_the_reference(kind: str, training: bool, arch: Arch) -> None:
    space = KINDS[kind]
    network = _supernet(space).train(training)
    # Where batch-norm has a shift of its own, a convolution of a node that no data reaches would
    # add that shift; the supernet leaves it out. Otherwise dead edges are computed as written.
    exact = not space.affine and space.batch_norm == "batch"
    written = arch if exact else space.canonical(arch)
    expected = Reference(network, space, training)(_x(space), written)
    with torch.no_grad():
        torch.testing.assert_close(network(_x(space), arch), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("arch", PATHLESS)
def test_without_a_path_the_output_does_not_depend_on_the_input(arch: Arch) -> None:
    space = KINDS["published"]
    output = _supernet(space)(_x(space), arch)
    assert torch.equal(output, output[:1].expand_as(output))


@settings(max_examples=12, deadline=None)
@given(arch=archs)
def test_dead_edges_change_nothing_and_get_no_gradient(arch: Arch) -> None:
    space = KINDS["affine"]
    network = _supernet(space)
    output = network(_x(space), arch)
    assert torch.equal(output, network(_x(space), space.canonical(arch)))
    output.square().sum().backward()
    live = space.canonical(arch)
    for name, parameter in network.named_parameters():
        if name.startswith("cells."):
            edge, choice = map(int, name.split(".")[3:5])
            assert (parameter.grad is not None) == (live[edge] == choice), name


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, deadline=None)
@given(arch=archs)
def test_standalone_network_is_the_supernets_path(kind: str, arch: Arch) -> None:
    space = KINDS[kind]
    network = _supernet(space).eval()
    alone = space.standalone(arch).double().eval()
    state = network.state_dict()
    wanted = alone.state_dict()
    # Inside cells the stand-alone batch-norms have scale and shift; fresh ones are 1 and 0.
    alone.load_state_dict({name: state.get(name, value) for name, value in wanted.items()})
    torch.testing.assert_close(alone(_x(space)), network(_x(space), arch))


def test_batch_statistics_are_used_in_evaluation_too_unless_running() -> None:
    arch = (3, 2, 1, 4, 3, 3)
    for kind, same in (("published", True), ("running", False)):
        space = KINDS[kind]
        network = _supernet(space)
        together = network.eval()(_x(space), arch)
        alone = torch.cat([network(image[None], arch) for image in _x(space)])
        assert torch.allclose(together, alone) != same, kind


def test_running_statistics_are_kept_by_training_alone() -> None:
    space = KINDS["running"]
    network = _supernet(space)
    before = {name: value.clone() for name, value in network.named_buffers()}
    network.eval()(_x(space), (3,) * 6)
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    network.train()(_x(space), (3,) * 6)
    assert not torch.equal(network.stem.norm.running_mean, before["stem.norm.running_mean"])  # type: ignore[union-attr, arg-type]
    assert not list(_supernet(KINDS["published"]).named_buffers())


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_grouped_by_operation_give_the_same_k_shot_network(kind: str) -> None:
    space = KINDS[kind]
    supernets = [_supernet(space, seed) for seed in range(3)]
    plain = KShot.from_supernets(supernets)
    grouped = KShot.from_supernets(supernets, group=space.parameter_group)
    code = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    for arch in [(3, 2, 1, 4, 3, 3), (2, 0, 3, 3, 1, 2), *PATHLESS]:
        torch.testing.assert_close(grouped(_x(space), arch, code), plain(_x(space), arch, code))
    num_edges, num_operations = 6, 2
    assert len(grouped.bank) == num_edges * num_operations + 1


def test_a_step_leaves_the_operations_of_other_paths_without_gradient() -> None:
    space = KINDS["published"]
    shared = KShot(_supernet(space), 2, group=space.parameter_group)
    arch = (3, 0, 2, 1, 0, 3)
    shared(_x(space), arch, torch.full((2,), 0.5, dtype=torch.float64)).sum().backward()
    live = space.canonical(arch)
    used = {f"edge-{edge}-{choice}" for edge, choice in enumerate(live) if choice in (2, 3)}
    assert {name for name, p in shared.bank.items() if p.grad is not None} == used | {"fixed"}
