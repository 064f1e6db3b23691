"""What ``import kshot_core as ks`` gives, and that the pages' example does what it says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import kshot_core as ks

ROOT = Path(__file__).resolve().parent.parent
NAMES = {name: module for module, names in ks._NAMES.items() for name in names}


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_that_of_its_module(name: str) -> None:
    found = getattr(ks, name)
    assert found is getattr(import_module(f"kshot_core.{NAMES[name]}"), name)
    assert name in dir(ks)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "kshot_core" / "__init__.py").read_text(encoding="utf-8"))
    seen = {
        alias.asname: (node.module or "").removeprefix("kshot_core.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kshot_core.")
        for alias in node.names
    }
    assert seen == NAMES


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Kshot'"):
        ks.Kshot  # noqa: B018


def test_importing_the_package_imports_no_room() -> None:
    code = "import sys, kshot_core; print([name for name in sys.modules if 'torch' in name])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_example_trains_scores_and_ranks_a_supernet(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "own-supernet.md").read_text(encoding="utf-8")
    block, _ = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    space: dict[str, Any] = {"__name__": "example"}
    exec(compile(block, "own-supernet.md", "exec"), space)  # noqa: S102
    assert issubclass(space["Supernet"], nn.Module)
    assert space["logits"].shape == (4, 10)
    assert space["trainer"].num_simplex_steps > 100
    scores, archs = space["scores"], space["archs"]
    assert scores.score.max() > 40
    *losses, _ = (line.split() for line in capsys.readouterr().out.splitlines()[:3])
    assert float(losses[1][1]) < float(losses[0][1])
    # What sees no more than a pixel at each layer is not among the best.
    best = [archs[position] for position in scores.ranking[:5]]
    assert (0, 0, 0) not in best
    assert scores.score[scores.ranking[0]] == scores.score.max()
