"""Exported networks give the logits of the trained one."""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmark.cli.errors import UserError
from benchmark.retrain.export import ABOUT, OPSET, export_onnx, export_weights
from kshot_core.retraining.standalone import build_standalone
from kshot_core.space import Arch, Space
from kshot_core.spaces import MobileNetV2, NASBench201

MOBILE = MobileNetV2(
    ((4, 2, 2), (6, 3, 1)), 4, 4, 8, num_classes=10, image_size=9, batch_norm="running"
)
# Kernels of all sizes, excitation, identity; shortcuts between equal and unequal widths.
MOBILE_ARCHS = [
    MOBILE.from_string("k7e6s,k5e3,k3e3s,id,k3e6|0.8,1.0,1.0,0.6,1.0,0.4,0.2,0.8"),
    MOBILE.extremes()[1],
]
CELLS = NASBench201(4, 2, image_size=9, batch_norm="running", affine=True)
# Every operation, with pooling at an odd size; and a cell with dead edges.
CELL_ARCHS: list[Arch] = [(3, 1, 2, 4, 4, 3), (3, 0, 0, 1, 0, 2)]
CASES = [(MOBILE, arch) for arch in MOBILE_ARCHS] + [(CELLS, arch) for arch in CELL_ARCHS]
IDS = [f"{space.name}-{number}" for number, (space, _) in enumerate(CASES)]


def trained(space: Space, arch: Arch) -> nn.Module:
    """A network whose statistics and weights are not those it began with."""
    network = build_standalone(space, arch, 0).train()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
        for _ in range(3):
            network(images(16))
    return network


def images(num: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((num, 3, 9, 9), generator=generator) * 2


def logits(network: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        result: Tensor = network.eval()(x)
    return result


@pytest.mark.parametrize(("space", "arch"), CASES, ids=IDS)
def test_weights_make_a_fresh_network_the_trained_one(
    space: Space, arch: Arch, tmp_path: Path
) -> None:
    network = trained(space, arch)
    export_weights(network, tmp_path / "weights.safetensors", {})
    fresh = build_standalone(space, arch, 7)
    assert not torch.equal(logits(fresh, images(5)), logits(network, images(5)))
    fresh.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(logits(fresh, images(5)), logits(network, images(5)))


def test_weights_say_what_they_are_of_and_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    network = trained(*CASES[0])
    about = {"arch": "k3e3", "pixels": {"scale": [0.5, 0.25]}, "top1": 12.5, "nothing": None}
    for name in ("a", "b"):
        export_weights(network, tmp_path / name, about)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with safe_open(tmp_path / "a", framework="pt") as file:
        assert json.loads(file.metadata()[ABOUT]) == about


@pytest.mark.parametrize(("space", "arch"), CASES, ids=IDS)
def test_onnx_runtime_gives_the_same_logits(space: Space, arch: Arch, tmp_path: Path) -> None:
    network, path = trained(space, arch), tmp_path / "model.onnx"
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        export_onnx(network, torch.zeros(2, 3, 9, 9), path)
    assert caught == []
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for num in (1, 2, 7):
        x = images(num, seed=num)
        (found,) = session.run(["logits"], {"images": x.numpy()})
        expected = logits(network, x).numpy()
        assert np.ptp(expected) > 0.1
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_onnx_file_is_valid_states_its_opset_and_has_no_batch_norms_left(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(trained(*CASES[0]), torch.zeros(2, 3, 9, 9), path)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)]
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    (shape,) = [one.type.tensor_type.shape for one in model.graph.input]
    assert [one.dim_param or one.dim_value for one in shape.dim] == ["batch", 3, 9, 9]


@pytest.fixture
def _no_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> Any:
        return None if name == "onnx" else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)


@pytest.mark.usefixtures("_no_onnx")
def test_missing_package_is_one_line_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="pip install onnx"):
        export_onnx(trained(*CASES[0]), torch.zeros(2, 3, 9, 9), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_an_export_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(RuntimeError, match="no such operator"):
        export_onnx(trained(*CASES[0]), torch.zeros(2, 3, 9, 9), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        export_weights(trained(*CASES[0]), tmp_path / "file" / "weights.safetensors", {})
