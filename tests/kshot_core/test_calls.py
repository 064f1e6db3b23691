"""Several calls of one KShot at a time: threads, tasks, calls within calls, backward passes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from users_modules import Net, Of

from kshot_core.weights.bank import KShot

K = 3
ARCH = (1, 2)


def _lstm() -> nn.Module:
    return Of(layer=nn.LSTM(4, 3, 2))


def _shared(make: Callable[[], nn.Module] = Net, K: int = K) -> KShot:
    networks = []
    for seed in range(K):
        torch.manual_seed(seed)
        networks.append(make())
    return KShot.from_supernets(networks)


def _x() -> Tensor:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(9))


def _code(seed: int = 0) -> Tensor:
    return torch.randn(K, generator=torch.Generator().manual_seed(seed)).softmax(0)


@pytest.mark.parametrize("make", [Net, _lstm], ids=["linear", "LSTM"])
def test_each_thread_gets_its_own_weights(make: Callable[[], nn.Module]) -> None:
    shared, codes = _shared(make), torch.eye(K)
    with torch.no_grad():
        alone = [shared(_x(), ARCH, code) for code in codes]
    barrier = threading.Barrier(K)

    def work(which: int) -> int:
        barrier.wait()
        with torch.no_grad():
            outputs = [shared(_x(), ARCH, codes[which]) for _ in range(100)]
        return sum(torch.equal(output, alone[which]) for output in outputs)

    with ThreadPoolExecutor(K) as pool:
        assert list(pool.map(work, range(K))) == [100] * K


def test_each_task_gets_its_own_weights() -> None:
    shared, codes = _shared(), torch.eye(K)
    alone = [shared(_x(), ARCH, code) for code in codes]

    async def work(code: Tensor) -> list[Tensor]:
        outputs = []
        with shared.merged(code) as network:
            for _ in range(4):
                await asyncio.sleep(0)
                outputs.append(network(_x(), ARCH))
                outputs.append(shared.network(_x(), ARCH))
        return outputs

    async def everything() -> list[list[Tensor]]:
        return await asyncio.gather(*map(work, codes))

    for outputs, expected in zip(asyncio.run(everything()), alone, strict=True):
        assert all(torch.equal(output, expected) for output in outputs)


def test_a_call_within_a_call_and_two_banks_at_once() -> None:
    other, codes = _shared(), [_code(0), _code(1)]

    class Distilled(Net):
        """Calls the wrapper it is in, and another one, in the middle of its forward pass."""

        def forward(self, x: Tensor, arch: tuple[int, ...]) -> Tensor:
            x = self.first(x)
            if arch == ARCH:
                x = x + shared(x, (), codes[1]) + other(x, (), codes[1])
            return self.second(x)

    shared = _shared(Distilled)

    def by_hand(arch: tuple[int, ...], x: Tensor, code: Tensor) -> Tensor:
        w = shared.weights(code)
        x = nn.functional.linear(x, w["first.weight"], w["first.bias"])
        if arch == ARCH:
            x = x + by_hand((), x, codes[1]) + other(x, (), codes[1])
        return x @ w["second.weight"].mT

    expected = by_hand(ARCH, _x(), codes[0])
    torch.testing.assert_close(shared(_x(), ARCH, codes[0]), expected)


def test_networks_of_two_merges_keep_their_weights_apart() -> None:
    shared = _shared()
    first, second = (shared(_x(), ARCH, code) for code in (_code(0), _code(1)))
    with shared.merged(_code(0)) as outer, shared.merged(_code(1)) as inner:
        assert torch.equal(outer(_x(), ARCH), first)
        assert torch.equal(inner(_x(), ARCH), second)
        assert torch.equal(shared(_x(), ARCH, _code(0)), first)
        assert len(list(inner.parameters())) == 3
        with pytest.raises(RuntimeError, match=r"its own shared\.merged"):
            outer.parameters()
    for network in (outer, inner):
        with pytest.raises(RuntimeError, match="exists only while its code merges it"):
            network(_x(), ARCH)
        with pytest.raises(RuntimeError, match="exists only while its code merges it"):
            network.state_dict()


def test_generators_that_take_turns_keep_their_weights_apart() -> None:
    shared = _shared()

    def outputs(code: Tensor) -> Iterator[Tensor]:
        with shared.merged(code) as network:
            while True:
                yield network(_x(), ARCH)

    expected = [shared(_x(), ARCH, _code(seed)) for seed in range(2)]
    turns = [outputs(_code(seed)) for seed in range(2)]
    for _ in range(3):
        for turn, output in zip(turns, expected, strict=True):
            assert torch.equal(next(turn), output)
    for turn in reversed(turns):
        turn.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("reentrant", [True, False])
def test_backward_passes_recompute_in_the_calls_they_belong_to(reentrant: bool) -> None:
    """Two calls are outstanding, their backward passes run in other threads, the code is shared."""

    class Checkpointed(Net):
        def forward(self, x: Tensor, arch: tuple[int, ...]) -> Tensor:
            for _ in range(2):
                x = checkpoint(self.layers, x, use_reentrant=reentrant)
            return x

    class Plain(Net):
        def forward(self, x: Tensor, arch: tuple[int, ...]) -> Tensor:
            return self.layers(self.layers(x))

    results = []
    for make in (Checkpointed, Plain):
        shared, strategy = _shared(make), nn.Linear(2, K)
        nn.init.eye_(strategy.weight)
        x = _x().requires_grad_()
        codes = strategy(torch.eye(2)).softmax(1)
        losses = [shared(x, ARCH, code).square().sum() for code in codes]
        # One backward pass through what made the codes, and it in another thread.
        thread = threading.Thread(target=sum(losses).backward)
        thread.start()
        thread.join()
        every = [x, *shared.parameters(), *strategy.parameters()]
        assert all(tensor.grad is not None for tensor in every)
        results.append([tensor.grad for tensor in every])
    torch.testing.assert_close(*results)


def test_checkpoints_outside_calls_are_as_ever() -> None:
    _shared()
    layer, x = nn.Linear(4, 4), _x().requires_grad_()
    for reentrant in (True, False):
        x.grad = None
        checkpoint(layer, x, use_reentrant=reentrant).sum().backward()
        torch.testing.assert_close(x.grad, layer.weight.sum(0).expand(5, 4))
