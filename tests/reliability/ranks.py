"""Runs jobs in two processes each, as torchrun does, of which one gets a signal in the middle.

    python ranks.py FOLDER NAMES

``NAMES`` are those of ``SCENARIOS``, joined by commas. Prints as JSON how the processes ended, what
they said and what they had saved, and whether they went on to the bytes of a run left alone. One
process imports torch; each of those is a fork of it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from retrainings import SPACE_OPTIONS, write_arch

from benchmark.cli.errors import exit_with
from benchmark.datasets import DataRequest, load_splits
from benchmark.records.sealed import load_tensors
from benchmark.retrain.command import main as retrain
from benchmark.search import scoring
from benchmark.search.command import main as search
from kshot_core.retraining.trainer import Retraining
from kshot_core.training.trainer import Trainer

NUM = 2
_SECONDS = 300
Program = Callable[[list[str]], object]
COMPARED = (
    "supernet.safetensors",
    "evaluated.csv",
    "front.csv",
    "arch.json",
    "weights.safetensors",
)
COMMON = ["--device", "cpu", "--train-images", "400"]
SEARCH = [
    *SPACE_OPTIONS, *COMMON, "--K", "2", "--epochs", "2", "--batch-size", "40", "--num-groups", "4",
    "--score-images", "40", "--score-batch-size", "40", "--population", "5", "--parents", "2",
    "--generations", "2", "--checkpoint-seconds", "1000",
]  # fmt: skip
RETRAIN = [*COMMON, "--test-images", "100", "--epochs", "2", "--batch-size", "40"]
WORDS = ["the", "cat", "a", "dog", "sat", "on", "ran", "to", "the", "mat", "a", "tree"]
STREAM = [
    "--device", "cpu", "--space", "darts_ptb", "--units", "4", "--dataset", "text", "--K", "1",
    "--epochs", "2", "--batch-size", "8", "--learning-rate", "2", "--score-images", "0",
    "--score-batch-size", "2", "--population", "2", "--parents", "1", "--generations", "1",
    "--checkpoint-seconds", "1000", "--train-images", "0",
]  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """A signal to one of the processes.

    Args:
        program: what runs.
        options: its options but where to read and write.
        owner: of the function that is called once a step.
        function: its name.
        rank: of the process that gets the signal.
        call: of the function, from 1, in which it comes.
        sent: the signal.
    """

    program: Program
    options: list[str]
    owner: Any
    function: str
    rank: int
    call: int
    sent: signal.Signals


SCENARIOS = {
    # The eleventh step is the first of the second epoch.
    "training": Scenario(search, SEARCH, Trainer, "_weight_step", 1, 11, signal.SIGTERM),
    "simplex step": Scenario(search, SEARCH, Trainer, "_simplex_step", 0, 2, signal.SIGINT),
    # In the second generation, the first of three rounds.
    "scoring": Scenario(search, SEARCH, scoring, "score_one", 1, 3, signal.SIGINT),
    "scoring by the first": Scenario(search, SEARCH, scoring, "score_one", 0, 4, signal.SIGTERM),
    # Which carries the state of its sequences from batch to batch.
    "a text": Scenario(search, STREAM, Trainer, "_weight_step", 1, 3, signal.SIGTERM),
    "retraining": Scenario(retrain, RETRAIN, Retraining, "_step", 1, 3, signal.SIGTERM),
}


def signalled(scenario: Scenario) -> None:
    """Have this process get the signal."""
    original, num_calls = getattr(scenario.owner, scenario.function), 0

    def wrapped(*given: Any) -> Any:
        nonlocal num_calls
        num_calls += 1
        if num_calls == scenario.call:
            os.kill(os.getpid(), scenario.sent)
        return original(*given)

    setattr(scenario.owner, scenario.function, wrapped)


def one(rank: int, port: int, scenario: Scenario, argv: list[str], asked: bool, told: Path) -> None:
    """A process, to its end."""
    code: Any = 1
    # One that waits for another for good.
    signal.alarm(_SECONDS)
    try:
        for number, stream in enumerate(("out", "err"), start=1):
            handle = os.open(told / f"{rank}.{stream}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, number)
        about = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": NUM, "LOCAL_WORLD_SIZE": NUM}
        os.environ |= {name: str(value) for name, value in about.items()}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        if asked and rank == scenario.rank:
            signalled(scenario)
        exit_with(lambda: scenario.program(argv))
        code = 0
    except SystemExit as ended:
        code = ended.code
    finally:
        if code == 1:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)


def run(
    scenario: Scenario, folder: Path, results: Path, asked: bool
) -> tuple[list[int], list[str]]:
    """Both processes: their exit codes, and what they said."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [*scenario.options, "--results", str(results)]
    if scenario.options is STREAM:
        argv += ["--data", str(folder / "a.txt")]
    if scenario.program is retrain:
        argv += ["--arch", str(folder / "arch.json")]
    processes = []
    for rank in range(NUM):
        process = os.fork()
        if process == 0:
            one(rank, port, scenario, argv, asked, folder)
        processes.append(process)
    ended = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    return ended, [(folder / f"{rank}.err").read_text() for rank in range(NUM)]


def saved(results: Path) -> dict[str, int]:
    """Batches of the epoch under way in the checkpoint, architectures that a search has scored."""
    found = {}
    for path in results.rglob("checkpoint.safetensors"):
        found["batches"] = int(load_tensors(path)[0]["pass/batches/num_done"])
    for path in results.rglob("evaluated.partial"):
        # A checksum and a heading come first.
        found["scored"] = len(path.read_text().splitlines()) - 2
    return found


def outcome(results: Path) -> dict[str, bytes]:
    """What a finished job left, but its times."""
    found = {path.name: path.read_bytes() for path in results.rglob("*") if path.name in COMPARED}
    for path in results.rglob("log.jsonl"):
        epochs = [json.loads(line) for line in path.read_text().splitlines()]
        kept = [{name: epoch[name] for name in epoch if name != "seconds"} for epoch in epochs]
        found[path.name] = json.dumps(kept).encode()
    return found


def main() -> None:
    """Print what became of each scenario."""
    root, names = Path(sys.argv[1]), sys.argv[2].split(",")
    torch.set_num_threads(1)
    # Once what every fork would do again: importing a compiler, drawing images.
    torch.optim.SGD([torch.zeros(1)], 0.1)
    load_splits("digits", DataRequest())
    write_arch(root / "arch.json")
    (root / "a.txt").write_text(" ".join(random.Random(0).choices(WORDS, k=5000)))
    wanted: dict[tuple[str, ...], dict[str, bytes]] = {}
    told = {}
    for name in names:
        scenario, results = SCENARIOS[name], root / name
        options = (scenario.program.__module__, *scenario.options)
        if options not in wanted:
            ended = run(scenario, root, root / f"whole {name}", asked=False)
            assert ended[0] == [0] * NUM, ended
            wanted[options] = outcome(root / f"whole {name}")
        codes, errors = run(scenario, root, results, asked=True)
        kept = saved(results)
        again = run(scenario, root, results, asked=False)
        found = outcome(results)
        told[name] = {
            "codes": codes,
            "errors": errors,
            "saved": kept,
            "resumed": again,
            "files": sorted(found),
            "differing": [one for one in found if found[one] != wanted[options].get(one)],
        }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
