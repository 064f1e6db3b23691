"""Processes that decode images: how many, what they leave behind, and when reading is given up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
from pictures import photo, write_photos

from benchmark.cli.errors import UserError
from benchmark.datasets import decoding
from benchmark.datasets.decoding import Decoders, num_decoders
from benchmark.datasets.jpeg import read_middle


def test_one_percent_may_be_corrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding.warnings, "warn", lambda *_, **__: None)
    for num, most in ((1, 0), (2, 1), (150, 1), (250, 2), (1_281_167, 12_811)):
        unreadable = decoding.Unreadable(num, set())
        for index in range(most):
            unreadable.add(str(index), "", "")
            unreadable.add("0", "", "")
        with pytest.raises(UserError, match=f"{most + 1} of {num} images cannot be read"):
            unreadable.add("last", "", "")


def test_a_process_that_dies_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.JPEG"
    photo(40, 30).save(path)
    before = {process.pid for process in multiprocessing.active_children()}
    decoded = Decoders(partial(read_middle, size=16), 16, workers=1)(
        [(str(path), 0)] for _ in range(1000)
    )
    next(decoded)
    (started,) = {process.pid for process in multiprocessing.active_children()} - before
    os.kill(started, signal.SIGKILL)
    with pytest.raises(UserError, match="a process that decodes images died") as caught:
        list(islice(decoded, 1000))
    assert "\n" not in str(caught.value)


SIGNALLED = """
import os, signal, sys
from functools import partial
from benchmark.datasets.decoding import Decoders
from benchmark.datasets.jpeg import read_middle

if __name__ == "__main__":
    got = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: got.append(number))
    decoders, num = Decoders(partial(read_middle, size=16), 16, workers=1), 0
    for _ in range(2):
        for pixels, unreadable in decoders([(sys.argv[1], 0)] for _ in range(100)):
            if num == 50:
                os.killpg(0, signal.SIGINT)
                os.killpg(0, signal.SIGTERM)
            num += len(pixels)
    assert got == [signal.SIGINT, signal.SIGTERM], got
    assert num == 200, num
"""


def test_a_signal_to_all_processes_of_a_program_leaves_it_its_images(tmp_path: Path) -> None:
    photo(40, 30).save(tmp_path / "a.JPEG")
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, tmp_path / "a.JPEG"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "code"), [("", 0), ("; os.kill(os.getpid(), 9)", -signal.SIGKILL)]
)
def test_nothing_is_left_of_a_program_that_read_images(
    tmp_path: Path, ending: str, code: int
) -> None:
    write_photos(tmp_path)
    program = (
        "import os, torch; from benchmark.datasets import *; from pathlib import Path\n"
        "if __name__ == '__main__':\n"
        f"    data = load_splits('imagenet', DataRequest(Path({str(tmp_path)!r}), workers=1))\n"
        "    images = data.training(torch.device('cpu'))\n"
        "    batches = images.training_batches(20, torch.Generator())\n"
        f"    next(batches){ending}\n"
    )
    # A process left behind would hold the pipes, and so the test, until the time is over.
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stdout) == (code, "")
    # Python itself has a word to say after a kill.
    assert done.stderr == "" or code


def test_processes_are_as_many_as_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "num_cores", lambda: 16)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert num_decoders(3, 10, again=True) == num_decoders(3, 10, again=False) == 3
    assert num_decoders(0, 10**6, again=True) == 0
    # One core is left to the training; nothing else goes on while images are decoded once.
    assert num_decoders(None, 10**6, again=True) == 15
    assert num_decoders(None, 10**6, again=False) == 16
    assert num_decoders(None, 60, again=True) == 3
    assert num_decoders(None, 60, again=False) == 0
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert num_decoders(None, 10**6, again=True) == 1
    assert num_decoders(None, 10**6, again=False) == 2
    monkeypatch.setattr(decoding, "num_cores", lambda: 1)
    assert num_decoders(None, 10**6, again=True) == 1
    assert num_decoders(None, 10**6, again=False) == 0
