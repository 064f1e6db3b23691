"""Wheel and source distribution: what they hold, that both are the same, and that they work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools", minversion="77")
ROOT = Path(__file__).resolve().parent.parent
BUILT = ("benchmark", "kshot_core", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")
TOLD = ("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LOG.md", "constraints.txt")
BUILD = "import setuptools.build_meta as b, sys; print(b.build_{kind}(sys.argv[1]))"


def build(kind: str, source: Path, to: Path) -> Path:
    """Build a wheel or an sdist, with the backend that is installed."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD.format(kind=kind), to],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return to / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist, of a copy: a build leaves things beside the sources."""
    folder = tmp_path_factory.mktemp("built")
    source, to = folder / "source", folder / "dist"
    source.mkdir()
    to.mkdir()
    for name in (*BUILT, *TOLD):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    return build("wheel", source, to), build("sdist", source, to)


def names_of(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_wheel_has_the_packages_and_their_data_and_nothing_else(built: tuple[Path, Path]) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in ("kshot_core", "benchmark")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names_of(built[0]) == wanted
    for name in ("benchmark/py.typed", "benchmark/truth/data/digits_truth.csv",
                 "benchmark/study/site/assets/site.js",
                 "benchmark/study/site/templates/run.html"):  # fmt: skip
        assert name in wanted


def test_wheel_asks_for_nothing_that_only_tests_need(built: tuple[Path, Path]) -> None:
    archive = zipfile.ZipFile(built[0])
    (path,) = (name for name in archive.namelist() if name.endswith("METADATA"))
    text = archive.read(path).decode()
    needed = re.findall(r"^Requires-Dist: ([\w.-]+)(?!.*extra ==)", text, re.MULTILINE)
    assert {"torch", "numpy", "bokeh"} <= set(needed)
    tests = {
        "pytest",
        "pytest-benchmark",
        "pytest-xdist",
        "hypothesis",
        "nbclient",
        "onnxruntime",
        "playwright",
        "ruff",
        "mypy",
    }
    assert not tests & set(needed)
    assert "License-Expression: MIT" in text
    assert "# K-shot NAS" in text


def test_sdist_builds_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert all((source / name).is_file() for name in TOLD)
    assert not (source / "tests").exists()
    again = build("wheel", source, tmp_path)
    assert names_of(again) == names_of(built[0])


def test_installed_elsewhere_it_works(built: tuple[Path, Path], tmp_path: Path) -> None:
    target, work = tmp_path / "elsewhere", tmp_path / "work"
    work.mkdir()
    # Unpacking is what installing a wheel of plain Python is.
    zipfile.ZipFile(built[0]).extractall(target)  # noqa: S202
    code = (
        "from benchmark.study.command import main; main([]);"
        "from benchmark.truth.table import find_truth; print(find_truth('digits'));"
        "from benchmark.study.site.pages import _environment;"
        "print(_environment().get_template('run.html').filename)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(target), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "table9" in done.stdout
    truth, template = done.stdout.splitlines()[-2:]
    assert Path(truth).is_relative_to(target)
    assert Path(template).is_relative_to(target)
