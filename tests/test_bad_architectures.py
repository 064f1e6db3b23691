"""What the five spaces and their data refuse: one clear line on stderr, exit code 2."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from benchmark.cli.errors import exit_with

_CYCLE = str(
    {
        "module_adjacency": [[0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]],
        "module_operations": ["input", "conv3x3-bn-relu", "conv1x1-bn-relu", "output"],
    }
)
_TEN_EDGES = "conv3x3~0|conv3x3~0+1|conv3x3~0+1+2|conv3x3~0+1|output~3+4"
_NB201 = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|"
_PTB = "Genotype(recurrent=[('tanh', 0)], concat=range(1, 9))"


def retraining(space: str, arch: str) -> list[str]:
    return ["--space", space, "--arch", arch, "--dataset", "digits"]


# program, its options, what it says
WRONG = {
    "cycle": ("retrain", retraining("nasbench101", _CYCLE), "a cycle through the vertices [1, 2]"),
    "too many edges": ("retrain", retraining("nasbench101", _TEN_EDGES), "at most 9 edges, got 10"),
    "a cell of NAS-Bench-201 for DARTS": ("retrain", retraining("darts", _NB201), "reads Genotype"),
    "a recurrent genotype for DARTS": ("retrain", retraining("darts", _PTB), "no architecture of"),
    "a cell of NAS-Bench-201 for ProxylessNAS": (
        "retrain", retraining("proxyless", _NB201), "no architecture of proxyless",
    ),
    "a cell of NAS-Bench-201 for NAS-Bench-101": (
        "retrain", retraining("nasbench101", _NB201), "a NAS-Bench-101 cell reads",
    ),
    "a cycle in a table": ("truth", ["import", "cycle.csv", "--to", "to.csv"], "no nasbench101"),
    "NDS cut short": ("truth", ["import", "DARTS.json", "--to", "to.csv"], "cut short or altered"),
    "text of unknown encoding": (
        "run",
        [
            "--space", "darts_ptb", "--dataset", "text", "--data", "latin.txt",
            "--truth", "ptb.csv", "--archs", "0",
        ],
        "latin.txt is a text of unknown encoding: UTF-8 is wanted",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("program", "options", "said"), WRONG.values(), ids=WRONG.keys())
def test_it_is_one_clear_line_and_exit_code_2(
    program: str,
    options: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    good = "conv3x3~0|output~1"
    column = "cifar10/test/108ep/mean"
    Path("cycle.csv").write_text(f'arch,{column}\n{good},90\n"{_CYCLE}",91\n')
    Path("DARTS.json").write_text(json.dumps([{"net": {"genotype": {}}}] * 9)[:-40])
    Path("latin.txt").write_bytes("Überall war Müll. ".encode("latin-1") * 200)
    chain = "".join(f"|tanh~{step}" for step in range(8)) + "|"
    other = chain.replace("tanh", "relu")
    Path("ptb.csv").write_text(f"arch,text/valid/1ep/mean\n{chain},90\n{other},91\n")
    before = sorted(tmp_path.rglob("*"))
    main = importlib.import_module(f"benchmark.{program}.command").main
    with pytest.raises(SystemExit) as ended:
        exit_with(lambda: main(options))
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert "Traceback" not in lines[0]
    assert not list(tmp_path.rglob("*.safetensors"))
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(before)
