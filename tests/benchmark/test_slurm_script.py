"""docs/slurm-ray.sh, with stand-ins for commands of Slurm, Ray and Python that note their calls."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent.parent / "docs" / "slurm-ray.sh"
STAND_INS = {
    "scontrol": "echo n1; echo n2; echo n3",
    "hostname": "echo 10.0.0.1",
    # The last words of srun are the command; --nodelist and such have one word each.
    "srun": """echo "srun $*" >> "$LOG"
while [ "${1#--}" != "$1" ]; do [ "$1" = --overlap ] && shift 1 || shift 2; done
exec "$@" """,
    "ray": """echo "ray $*" >> "$LOG"
[ "$1" = status ] && for n in $(seq "$JOINED"); do echo " 1 node_$n"; done && exit
[ "$1" = start ] && exec /bin/sleep 20 > /dev/null 2>&1""",
    "python": """echo "python $*" >> "$LOG"
exit "$CODE" """,
    "sleep": "exec /bin/sleep 0.01",
}


@pytest.mark.parametrize(("joined", "code"), [("3", "0"), ("3", "130"), ("2", "1")])
def test_a_study_runs_once_all_nodes_have_joined(joined: str, code: str, tmp_path: Path) -> None:
    for name, text in STAND_INS.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    log = tmp_path / "log"
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log), "CODE": code, "JOINED": joined,
        "SLURM_JOB_NODELIST": "n[1-3]", "SLURM_JOB_ID": "12345", "SLURM_CPUS_PER_TASK": "8",
        "SLURM_GPUS_ON_NODE": "2", "KSHOT_SLURM_TRIES": "5",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", SCRIPT, "table9", "--scale", "tiny"],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == int(code), done.stderr
    called = log.read_text()
    address = "10.0.0.1:22345"
    assert "ray start --head --node-ip-address 10.0.0.1 --port 22345" in called
    assert f"ray start --address {address} --num-cpus 8 --num-gpus 2 --block" in called
    assert "--nodes 2 --ntasks 2 --exclude n1" in called
    studies = [line for line in called.splitlines() if line.startswith("python ")]
    if joined == "3":
        command = f"-m benchmark.study table9 --scale tiny --executor ray --address {address}"
        assert studies == [f"python {command}"]
    else:
        assert studies == []
        assert "only 2 of 3 nodes joined" in done.stderr
