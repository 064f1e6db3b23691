"""What may depend on what, and what every source file promises; read from the sources' syntax."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = sorted((ROOT / "kshot_core").rglob("*.py"))
BENCHMARK = sorted((ROOT / "benchmark").rglob("*.py"))
DRAWING = [path for path in BENCHMARK if path.parent.name in ("tables", "figures")]

# From the ground up: a room imports only from rooms that stand before it.
FLOORS = {
    "kshot_core": [
        "checks", "names", "settings", "metrics", "space", "drawing", "streams", "weights", "tasks",
        "spaces", "sampling", "sharing", "training", "evaluation", "search", "retraining",
    ],
    "benchmark": [
        "cli", "workers", "datasets", "config", "records", "truth", "train", "views",
        "standalone", "run", "search", "retrain", "pipeline", "study", "report", "status",
    ],
}  # fmt: skip
# The method knows no command line, file, clock or terminal.
NOT_IN_CORE = {
    "argparse", "benchmark", "io", "json", "logging", "matplotlib", "multiprocessing", "os",
    "pandas", "pathlib", "rich", "shutil", "subprocess", "sys", "tempfile", "time", "tqdm",
}  # fmt: skip
# Tables and figures are functions of records; reading them is benchmark.records.load's.
NOT_IN_DRAWING = {
    "argparse", "json", "matplotlib.pyplot", "os", "random", "rich", "sys", "tempfile", "time",
    "torch",
}  # fmt: skip
WRITES = {"savefig", "show", "write_text", "write_bytes", "mkdir", "unlink", "touch", "rename"}
GLOBAL_SEEDS = {"torch.manual_seed", "torch.seed", "torch.cuda.manual_seed",
                "torch.cuda.manual_seed_all", "random.seed", "np.random.seed",
                "numpy.random.seed"}  # fmt: skip
# Of the modules random and numpy.random only what makes a generator.
GENERATORS = {"Random", "RandomState", "default_rng", "Generator", "SeedSequence"}
TORCH_DRAWS = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial"}


def name(path: Path) -> str:
    """Path below the repository's root, as the test's id."""
    return path.relative_to(ROOT).as_posix()


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of imported modules, and of what is imported from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def forbidden_imports(tree: ast.AST, forbidden: set[str]) -> list[str]:
    """Imports of forbidden modules or of anything below them."""
    return [
        module
        for module in imported(tree)
        if any(module == banned or module.startswith(f"{banned}.") for banned in forbidden)
    ]


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of an attribute access, or nothing where it starts at no plain name."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the last part of the called name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            last = called.attr if isinstance(called, ast.Attribute) else dotted(called)
            yield last, node


def global_randomness(tree: ast.AST) -> list[str]:
    """Calls that read or change a process-wide random state, with their lines."""
    forked = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        and any("fork_rng" in ast.dump(item.context_expr) for item in node.items)
        for inner in ast.walk(node)
    }
    modules = set(imported(tree))
    found = []
    for _, call in calls(tree):
        full = dotted(call.func)
        module, _, function = full.rpartition(".")
        keywords = {keyword.arg for keyword in call.keywords}
        bad = full in GLOBAL_SEEDS
        shared = module in {"np.random", "numpy.random"} or (
            # A local variable may well be called random.
            module == "random" and "random" in modules
        )
        bad |= shared and function not in GENERATORS
        bad |= module == "torch" and function in TORCH_DRAWS and "generator" not in keywords
        if bad and id(call) not in forked:
            found.append(f"line {call.lineno}: {full}")
    return found


def public_functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Public functions, and methods of public classes, with their qualified names."""
    todo: list[tuple[str, ast.AST]] = [("", node) for node in tree.body]
    while todo:
        prefix, node = todo.pop()
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            todo += [(f"{node.name}.", inner) for inner in node.body]
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield prefix + node.name, node


def unannotated(function: ast.FunctionDef) -> list[str]:
    """Arguments without annotation, and ``return`` where the result has none."""
    given = function.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    arguments += [extra for extra in (given.vararg, given.kwarg) if extra is not None]
    missing = [
        argument.arg
        for argument in arguments
        if argument.annotation is None and argument.arg not in ("self", "cls")
    ]
    return missing if function.returns is not None else [*missing, "return"]


def room(package: str, module: str) -> str:
    """The room of a module of the package: ``weights`` of ``kshot_core.weights.bank``."""
    return module.removeprefix(f"{package}.").partition(".")[0]


def upward(package: str, own: str, tree: ast.AST) -> list[str]:
    """Imports of rooms that stand above ``own``."""
    floors = FLOORS[package]
    rooms = [
        (module, room(package, module))
        for module in imported(tree)
        if module.startswith(f"{package}.")
    ]
    return [
        module
        for module, other in rooms
        if other in floors and floors.index(other) > floors.index(own)
    ]


@pytest.mark.parametrize("path", [*CORE, *BENCHMARK], ids=name)
def test_imports_run_downwards(path: Path) -> None:
    package, *rest = path.relative_to(ROOT).with_suffix("").parts
    if rest[0] in ("__init__", "__main__"):
        return  # the package's face hands on the names of every room
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert upward(package, rest[0], tree) == []


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_has_its_floor(package: str) -> None:
    entries = {
        path.stem
        for path in (ROOT / package).iterdir()
        if path.is_dir() or path.suffix == ".py"
        if not path.name.startswith("__")
    }
    assert entries == set(FLOORS[package])
    assert len(entries) <= 16


def test_check_sees_an_import_that_runs_up() -> None:
    tree = ast.parse("from kshot_core.training.trainer import Trainer")
    assert upward("kshot_core", "weights", tree) != []
    assert upward("kshot_core", "evaluation", tree) == []


@pytest.mark.parametrize("path", CORE, ids=name)
def test_core_is_the_method_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert forbidden_imports(tree, NOT_IN_CORE) == []
    assert [called for called, _ in calls(tree) if called in {"print", "open", "input"}] == []


@pytest.mark.parametrize("path", DRAWING, ids=name)
def test_tables_and_figures_only_compute(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert forbidden_imports(tree, NOT_IN_DRAWING) == []
    assert [called for called, _ in calls(tree) if called in WRITES | {"print", "open"}] == []


@pytest.mark.parametrize("path", [*CORE, *BENCHMARK], ids=name)
def test_no_global_random_state(path: Path) -> None:
    assert global_randomness(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", [*CORE, *BENCHMARK], ids=name)
def test_public_functions_are_annotated_and_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for qualified, function in public_functions(tree):
        assert unannotated(function) == [], qualified
        assert ast.get_docstring(function), f"{qualified} has no docstring"


@pytest.mark.parametrize("path", [*CORE, *BENCHMARK], ids=name)
def test_errors_are_not_swallowed_and_interfaces_not_guessed(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guesses = [call for called, call in calls(tree) if called == "hasattr"]
    # Which calls the operating system has can only be asked.
    assert [call.lineno for call in guesses if dotted(call.args[0]) != "os"] == []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: bare except"
            caught = dotted(node.type)
            if caught in {"Exception", "BaseException"}:
                # Whatever goes wrong may be told in other words, not passed over.
                assert isinstance(node.body[-1], ast.Raise), f"line {node.lineno}: swallowed"


@pytest.mark.parametrize("path", [*CORE, *BENCHMARK], ids=name)
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize(
    "text",
    [
        "torch.manual_seed(0)",
        "np.random.seed(0)",
        "import random; random.shuffle(archs)",
        "torch.randn(3)",
        "np.random.normal(size=3)",
    ],
)
def test_check_sees_global_random_state(text: str) -> None:
    assert global_randomness(ast.parse(text)) == [
        f"line 1: {text.rpartition('; ')[2].partition('(')[0]}"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "with torch.random.fork_rng(devices=[]):\n    torch.manual_seed(0)",
        "torch.randn(3, generator=generator)",
        "import random; random.Random(0).shuffle(archs)",
        "random = np.random.RandomState(0); random.normal(size=3)",
        "np.random.RandomState(0).normal(size=3)",
    ],
)
def test_check_admits_generators(text: str) -> None:
    assert global_randomness(ast.parse(text)) == []


@pytest.mark.parametrize("path", [*CORE, *BENCHMARK], ids=name)
def test_files_that_a_text_names_are_there(path: Path) -> None:
    named = re.findall(r"(?:kshot_core|benchmark|tests)/[\w/.-]+\.py\b", path.read_text("utf-8"))
    assert [one for one in named if not (ROOT / one).is_file()] == []
