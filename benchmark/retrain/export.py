"""Trained networks as files for others: weights (safetensors) and a graph to run (ONNX)."""

from __future__ import annotations

import copy
import importlib.util
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmark.cli.errors import UserError
from benchmark.records.files import write_atomically

OPSET = 17
"""Of the ONNX files: the newest that the exporter of every supported torch writes."""
ABOUT = "about"
"""Key of the weights' account in the header of their file."""


def check_exporter() -> None:
    """Find the package that ONNX files are made with.

    Raises:
        UserError: it is not installed.
    """
    if importlib.util.find_spec("onnx") is None:
        raise UserError("the package onnx is needed to export networks: pip install onnx")


def export_weights(network: nn.Module, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write the network's parameters and statistics under the names of its ``state_dict``.

    Args:
        network: any; loads them again by ``network.load_state_dict(load_file(path))``.
        path: of the file, which is whole or absent.
        metadata: JSON values that say what the weights are of, kept in the header as JSON text
            under ``ABOUT``. One key: the order of several would change from file to file.
    """
    tensors = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    header = {ABOUT: json.dumps(metadata, sort_keys=True, allow_nan=False)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, header))


def export_onnx(network: nn.Module, example: Tensor, path: Path) -> None:
    """Write the network, in evaluation mode, as a graph from ``images`` to ``logits``.

    Any number of images goes through it at once. Batch-norms are folded into the convolutions
    before them.

    Args:
        network: keeps running statistics; left as it is.
        example: images (B, C, H, W), normalised; the graph takes ones of this size.
        path: of the file, which is whole or absent.

    Raises:
        UserError: the package ``onnx`` is missing, or the folder cannot be written to.
    """
    check_exporter()
    still = copy.deepcopy(network).cpu().eval()
    write_atomically(path, lambda temporary: _export(still, example.cpu(), temporary))


def _export(network: nn.Module, example: Tensor, path: Path) -> None:
    with warnings.catch_warnings():
        # Of the exporter itself, which is the older one, and of tracing: what it fixes (numbers of
        # channels, which edges are live) is fixed in a network of one architecture.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            str(path),
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
            opset_version=OPSET,
            # The newer exporter needs onnxscript besides, in a version that goes with torch's: with
            # onnxscript 0.7 that of torch 2.6 stops at batch-norm.
            dynamo=False,
        )
