"""``kshot``: every program by its name, one version, completion; what is wrong, in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.__main__ import COMMANDS, completion, main
from benchmark.cli.errors import JobsFailedError, UserError, exit_with

ROOT = Path(__file__).resolve().parent.parent


def test_every_program_is_a_command() -> None:
    programs = {path.parent.name for path in (ROOT / "benchmark").glob("*/__main__.py")}
    assert programs == set(COMMANDS)


def test_without_a_command_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) is None
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown and said in shown for name, said in COMMANDS.items())
    assert "130 Ctrl-C" in shown
    assert len(shown.splitlines()) <= 24


def test_a_command_gets_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--results", str(tmp_path)]) == []
    assert "running" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["stauts"], "did you mean status"),
        (["--versoin"], "did you mean --version"),
        (["status", "--results", "x", "--jsno"], "did you mean --json"),
    ],
)
def test_typos_are_answered_with_the_nearest_name(given: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(given)


@pytest.mark.parametrize("given", [["--version"], ["status", "--version"]])
def test_version_names_the_commit(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code in (0, None)
    assert re.fullmatch(r"kshot-nas .*, commit \S+\n", capsys.readouterr().out)


def test_it_runs_as_a_module_and_starts_without_torch() -> None:
    code = "import sys, benchmark.__main__ as m; m.main([]); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_completion_knows_commands_and_their_options() -> None:
    pytest.importorskip("shtab", reason="shtab is not installed: pip install shtab")
    script = completion("bash")
    assert all(name in script for name in COMMANDS)
    assert "--gpus-per-job" in script
    checked = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
    assert checked.returncode == 0


def test_jobs_that_failed_are_exit_code_one(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise JobsFailedError("2 jobs failed")

    with pytest.raises(SystemExit) as ended:
        exit_with(fail)
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: 2 jobs failed\n"
