"""Training apart from ranking: who ranks reads a supernet, and trains only what is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runs import TINY, run_tiny, tiny, write_truth

from benchmark.cli.errors import UserError
from benchmark.train.command import main
from benchmark.train.kept import kept_supernets
from kshot_core.training.trainer import Trainer


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write_truth(tmp_path / "truth.csv", 20)


@pytest.fixture
def epochs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by the number of every epoch that is trained."""
    seen: list[int] = []
    plain = Trainer.run_epoch

    def counted(self: Trainer) -> dict[str, float]:
        figures = plain(self)
        seen.append(self.epoch)
        return figures

    monkeypatch.setattr(Trainer, "run_epoch", counted)
    return seen


@pytest.mark.parametrize(
    "changes",
    [
        {"score_images": 200},
        {"archs": 20},
        {"score_batch_size": 100},
        {"track_every": 0},
        {"score_codes": "mean"},
        {"score_codes": "shuffled"},
    ],
    ids=str,
)
def test_another_ranking_of_the_same_supernet_trains_nothing(
    changes: dict[str, int], truth: Path, tmp_path: Path, epochs: list[int]
) -> None:
    first = run_tiny(TINY, tmp_path, truth)
    assert epochs == [1, 2, 3]
    second = run_tiny(tiny(**changes), tmp_path, truth)
    assert epochs == [1, 2, 3], "nothing was trained"
    assert first["supernet"] == second["supernet"]
    assert len(list(tmp_path.glob("records/*/*/*/*/record.json"))) == 2
    # Another training is one.
    run_tiny(tiny(epochs=1), tmp_path, truth)
    assert epochs == [1, 2, 3, 1]


def test_ranking_with_a_stored_supernet_gives_what_training_and_ranking_gave(
    truth: Path, tmp_path: Path, epochs: list[int]
) -> None:
    whole = run_tiny(TINY, tmp_path, truth)
    (path,) = tmp_path.glob("records/*/*/*/*/record.json")
    log = (path.parent / "log.jsonl").read_text()
    assert ["kendall_tau_b" in json.loads(line) for line in log.splitlines()] == [0, 1, 0]
    predictions = (path.parent / "predictions.npy").read_bytes()
    path.unlink()
    again = run_tiny(TINY, tmp_path, truth)
    assert epochs == [1, 2, 3]
    assert again["metrics"] == whole["metrics"]
    assert (path.parent / "predictions.npy").read_bytes() == predictions
    assert (path.parent / "log.jsonl").read_text() == log, "tau over epochs as well"


def test_supernets_are_trained_listed_and_cleared(
    truth: Path, tmp_path: Path, epochs: list[int]
) -> None:
    results = ["--results", str(tmp_path)]
    options = ["--channels", "4", "--cells", "1", "--epochs", "2", "--train-images", "200"]
    options += ["--batch-size", "50", "--jobs", "1", *results]
    paths = main([*options, "--K", "1", "3"])
    assert epochs == [1, 2, 1, 2]
    assert main([*options, "--K", "3"]) == paths[1:]
    assert epochs == [1, 2, 1, 2], "it was there"
    listed = kept_supernets(tmp_path)
    assert main([*results, "--list"]) == sorted(paths) == [one.path for one in listed]
    assert {one.state for one in listed} == {"trained"}
    assert all(one.num_bytes > 10_000 and one.seconds for one in listed)
    assert main([*results, "--clear", paths[0].name]) == paths[:1]
    assert {one.path: one.state for one in kept_supernets(tmp_path)} == {
        paths[0]: "cleared",
        paths[1]: "trained",
    }
    assert not list(paths[0].glob("*.safetensors"))
    assert (paths[0] / "record.json").exists(), "tables still read it"
    with pytest.raises(UserError, match="names 0 supernets"):
        main([*results, "--clear", "seed9"])
    assert main([*results, "--clear", "all"]) == paths[1:]
    # Whoever needs one trains it again.
    main([*options, "--K", "1"])
    assert epochs == [1, 2] * 3


def test_supernet_at_work_is_not_cleared(truth: Path, tmp_path: Path) -> None:
    def clear(stage: str, done: int, total: int) -> None:
        if done == 2:
            main(["--results", str(tmp_path), "--clear", "all"])

    with pytest.raises(UserError, match=r"process \d+ on .* is working on"):
        run_tiny(TINY, tmp_path, truth, clear)
