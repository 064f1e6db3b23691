"""Every plug-in file is in its registry: a file that nobody can ask for by name fails here."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmark.config import presets
from kshot_core.metrics import correlation as metrics

ROOT = Path(__file__).resolve().parent.parent

# Folder and registry, and the files there that plug-ins share. Names with _ in front need no entry.
REGISTRIES: dict[tuple[str, str], set[str]] = {
    ("kshot_core.spaces", "SPACES"): set(),
    ("kshot_core.sharing", "SHARING"): set(),
    ("kshot_core.sampling", "SAMPLERS"): set(),
    ("kshot_core.tasks", "TASKS"): {"batches", "task"},
    ("benchmark.datasets", "DATASETS"): {
        "batches",
        "cifar",
        "cifar_folders",
        "decoding",
        "files",
        "fingerprint",
        "imagefiles",
        "jpeg",
        "listing",
        "passed_over",
        "pickles",
        "shrinking",
        "splits",
    },
    ("benchmark.study.studies", "STUDIES"): set(),
}
# Public functions of metrics.py that rank with several metrics at once.
SEVERAL_METRICS = {"high_low_curve", "summary"}


def registered(source: str, package: str, registry: str) -> set[str]:
    """Names of the package's files and folders that the values of a registry lead to.

    Follows the names in the dictionary through imports, and through functions of the same file
    that build a plug-in.
    """
    tree = ast.parse(source)
    origin: dict[str, str] = {}
    functions: dict[str, ast.FunctionDef] = {}
    values: ast.AST | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == package:
            origin |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
            file = (node.module or "").removeprefix(f"{package}.").partition(".")[0]
            origin |= {alias.asname or alias.name: file for alias in node.names}
        elif isinstance(node, ast.FunctionDef):
            functions[node.name] = node
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if [target.id for target in targets if isinstance(target, ast.Name)] == [registry]:
                values = node.value
    assert isinstance(values, ast.Dict), f"{package} should define {registry} as one dictionary"
    todo: list[ast.AST] = list(values.values)
    found, seen = set(), set()
    while todo:
        for node in ast.walk(todo.pop()):
            if isinstance(node, ast.Name) and node.id not in seen:
                seen.add(node.id)
                todo += [functions[node.id]] if node.id in functions else []
                found |= {origin[node.id]} if node.id in origin else set()
    return found


def plug_ins(files: Iterable[Path], shared: set[str]) -> set[str]:
    """Names of the files and folders that should be registered."""
    return {path.stem for path in files if not path.stem.startswith("_")} - shared


def _modules(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*.py")
    yield from (init.parent for init in folder.glob("*/__init__.py"))


@pytest.mark.parametrize(("package", "registry"), REGISTRIES, ids=lambda value: value)
def test_every_file_is_registered(package: str, registry: str) -> None:
    folder = ROOT.joinpath(*package.split("."))
    shared = REGISTRIES[package, registry]
    source = (folder / "__init__.py").read_text(encoding="utf-8")
    missing = plug_ins(_modules(folder), shared) - registered(source, package, registry)
    assert missing == set(), f"add a line for each to {registry} in {package}/__init__.py"
    assert {name for name in shared if not (folder / f"{name}.py").is_file()} == set()


@pytest.mark.parametrize(("package", "registry"), REGISTRIES, ids=lambda value: value)
def test_registered_names_can_be_typed(package: str, registry: str) -> None:
    entries: Mapping[str, Any] = getattr(importlib.import_module(package), registry)
    assert entries
    for name in entries:
        assert name == name.lower()
        assert not set(name) & set(" /\\'\""), name
    values = list(entries.values())
    assert len({id(value) for value in values}) == len(values), "one plug-in, one name"


def test_every_metric_is_registered() -> None:
    public = {
        name: function
        for name, function in inspect.getmembers(metrics, inspect.isfunction)
        if function.__module__ == metrics.__name__ and not name.startswith("_")
    }
    ranking = {
        name
        for name, function in public.items()
        if list(inspect.signature(function).parameters)[:2] == ["predicted", "true"]
    }
    assert ranking - SEVERAL_METRICS == set(metrics.METRICS)
    assert all(metrics.METRICS[name] is public[name] for name in metrics.METRICS)


def test_every_preset_is_registered() -> None:
    public = {
        name
        for name, function in inspect.getmembers(presets, inspect.isfunction)
        if function.__module__ == presets.__name__ and not name.startswith("_")
    }
    assert public - {"preset"} == set(presets.PRESETS)


SOURCE = """
from made.up import whole
from made.up.direct import Direct
from made.up.wrapped import Wrapped
from made.up.unused import Unused

def _build():
    return Wrapped()

def _late():
    from made.up.late import Late
    return Late()

THINGS: dict[str, object] = {"a": Direct, "b": _build, "c": _late, "d": whole.THING}
"""


def test_check_follows_imports_and_builders_and_misses_what_is_only_imported() -> None:
    assert registered(SOURCE, "made.up", "THINGS") == {"direct", "wrapped", "late", "whole"}


def test_check_ignores_shared_files() -> None:
    files = [Path("a.py"), Path("_style.py"), Path("__init__.py"), Path("pickles.py")]
    assert plug_ins(files, {"pickles"}) == {"a"}
