"""The examples of CONTRIBUTING.md: each is run, registered by its last line, and used."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from synthetic import write_run
from torch import nn

from benchmark.cli.errors import UserError
from benchmark.config.run import RunConfig
from benchmark.config.values import flat
from benchmark.datasets import DATASETS, DataRequest, digits, load_splits
from benchmark.datasets.splits import Splits
from benchmark.report.command import build_report
from benchmark.retrain import command as retrain_command
from benchmark.run import command as run_command
from benchmark.search import command as search_command
from benchmark.standalone import command as standalone_command
from benchmark.study.definition import Size
from benchmark.study.file import write_study
from benchmark.study.jobs import jobs_of
from benchmark.study.studies import STUDIES
from benchmark.study.write import write_all
from kshot_core.evaluation.scores import predict
from kshot_core.metrics.correlation import METRICS
from kshot_core.sampling import SAMPLERS, Uniform, sample
from kshot_core.sharing import SHARING
from kshot_core.sharing.simplex import SimplexNet
from kshot_core.space import Arch, uniform_arch
from kshot_core.spaces.nasbench201.space import NASBench201
from kshot_core.tasks import TASKS
from kshot_core.tasks.images import ImageSet
from kshot_core.training.recipe import Recipe
from kshot_core.training.trainer import Trainer, fit
from kshot_core.weights.bank import KShot

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = [
    match[1] for match in re.finditer(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
]
LAST_LINE = re.compile(r'^# in ([\w.]+)\.([A-Z]+): "([\w-]+)": (.+)$', re.MULTILINE)
SPACE = NASBench201(channels=4, cells=1, image_size=8, image_channels=1)


def images(num: int = 64) -> ImageSet:
    """Noise with labels."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (num, 1, 8, 8), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (num,), generator=generator)
    return ImageSet(pixels, labels, (0.5,), (0.3,))


def train(space: Any, K: int, sharing: str, sampler: str) -> None:
    """Train and score a bank for an epoch, with a strategy and a sampler by their names."""
    codes = SHARING[sharing](space, K)
    recipe = Recipe(epochs=1, batch_size=32, warmup_epochs=0, num_groups=2)
    shared = KShot(space.supernet(), K)
    trainer = Trainer(shared, codes, SAMPLERS[sampler](space), images(), recipe, seed=0)
    assert np.isfinite(trainer.run_epoch()["weight_loss"])
    archs = sample(Uniform(space), 4, torch.Generator().manual_seed(0))
    scores = predict(shared, codes, archs, images(), space.canonical, batch_size=32)
    assert np.isfinite(scores.loss).all()


def use_sampler(name: str, tmp_path: Path) -> None:
    """Draw, and be asked for in a config."""
    archs = sample(SAMPLERS[name](SPACE), 9, torch.Generator().manual_seed(0))
    assert archs == sample(SAMPLERS[name](SPACE), 9, torch.Generator().manual_seed(0))
    assert all(SPACE.from_string(SPACE.to_string(arch)) == arch for arch in archs)
    assert RunConfig.of(sampler=name).sampler.name == name
    train(SPACE, 2, "simplex", name)


def use_sharing(name: str, tmp_path: Path) -> None:
    """Codes lie on the simplex, and are equal where what they read is."""
    strategy: Any = SHARING[name](SPACE, 3)
    archs = sample(Uniform(SPACE), 50, torch.Generator().manual_seed(0))
    codes = strategy(archs)
    assert codes.shape == (50, 3)
    assert bool((codes >= 0).all())
    torch.testing.assert_close(codes.sum(1), torch.ones(50))
    by_key: dict[Any, torch.Tensor] = {}
    for arch, code in zip(archs, codes, strict=True):
        assert torch.equal(by_key.setdefault(strategy.reads(arch), code), code)
    # Its setting is an option, a key of the record, and the part's; others have it not.
    options = ["--sharing", name, "--K", "3", "--fewest"]
    configs = [run_command.parse([*options, fewest]).configs[0] for fewest in "01"]
    assert [config.to_dict()["sharing"] for config in configs] == [
        {"name": name, "fewest": 0},
        {"name": name, "fewest": 1},
    ]
    first, second = (config.sharing.made()(SPACE, 3) for config in configs)
    assert torch.equal(first(archs), codes)
    assert not torch.equal(second(archs), codes)
    with pytest.raises(UserError, match=f"--fewest is a setting of --sharing {name}; this run's"):
        run_command.parse(["--fewest", "1"])
    train(SPACE, 3, name, "uniform")


def use_space(name: str, tmp_path: Path) -> None:
    """Every strategy and sampler takes it; what it says of its networks is so."""
    space = importlib.import_module("kshot_core.spaces").SPACES[name]()
    for arch in sample(Uniform(space), 5, torch.Generator().manual_seed(0)):
        assert space.from_string(space.to_string(arch)) == arch
        alone = space.standalone(arch)
        assert space.params(arch) == sum(weight.numel() for weight in alone.parameters())
        assert alone(torch.zeros(2, 1, 12, 12)).shape == (2, 10)
    with pytest.raises(ValueError, match="3-1-3"):
        space.from_string("five")
    for sharing in SHARING:
        train(space, 1 if sharing == "one-shot" else 2, sharing, "uniform")
    for sampler in SAMPLERS:
        train(space, 2, "simplex", sampler)
    go_through_every_command(name, tmp_path)


def go_through_every_command(space: str, tmp_path: Path) -> None:
    """Truth, ranking, search, retraining, report; each again gives the same."""

    def few(request: DataRequest) -> Splits:
        return digits.load_digits(request, num_train=200, num_valid=100, num_test=100)

    truth, results = tmp_path / "truth.csv", tmp_path / "results"
    places = ["--results", str(results), "--device", "cpu"]
    supernet = ["--space", space, "--preset", "quick", "--epochs", "1", "--batch-size", "50"]
    supernet += ["--filters", "6", "--train-images", "200", "--score-images", "100"]
    supernet += ["--truth", str(truth), *places]
    with patch.dict(DATASETS, {"digits": few}):
        table = standalone_command.main(
            ["--space", space, "--to", str(truth), "--archs", "8", "--seeds", "2", "--jobs", "1"]
        )
        assert table.space.name == space
        for _ in range(2):
            ranked = run_command.main([*supernet, "--K", "1", "2", "--jobs", "1"])
            assert [record["num_archs"] for record in ranked] == [8, 8]
            assert all(record["ceiling"]["num_archs"] == 8 for record in ranked)
        search = [*supernet, "--K", "2", "--population", "4", "--parents", "2"]
        found = [search_command.main([*search, "--generations", "2"]) for _ in range(2)]
        assert found[0]["best"] == found[1]["best"]
        assert found[0]["best"]["true"] is not None
        (arch,) = results.rglob("arch.json")
        assert not (arch.parent / "arch.png").exists()
        retrain = ["--arch", str(arch), "--epochs", "1", "--batch-size", "50", *places]
        retrain += ["--train-images", "200", "--test-images", "100"]
        alone = [retrain_command.main(retrain) for _ in range(2)]
        assert alone[0] == alone[1]
    settings = flat(ranked[0]["config"])
    assert settings["filters"] == 6
    for own in ("dataset", "preset", "K", "seed", "sharing"):
        del settings[own]
    size = Size("quick", "digits", settings, rows=("K1", "K2"))
    with patch.dict(STUDIES, {"own": replace(STUDIES["table9"], name="own", sizes={"tiny": size})}):
        path = write_study(results, STUDIES["own"], "tiny")
        assert build_report(results) == build_report(results) == [path.parent]
        text = (path.parent / "table9.md").read_text(encoding="utf-8")
    # Accuracies of so short a training may all be equal, losses are not.
    assert re.search(r"K = 2 +\| \S+ +\| -?[0-9]", text)


def use_dataset(name: str, tmp_path: Path) -> None:
    """The loader's checks pass, and a seed gives the same images again."""
    splits = load_splits(name, DataRequest(seed=3))
    assert splits.name == name
    assert torch.equal(splits.train_images, load_splits(name, DataRequest(seed=3)).train_images)
    assert RunConfig.of(dataset=name).dataset.name == name


def use_metric(name: str, tmp_path: Path) -> None:
    """A float, whatever the order of the architectures; the perfect ranking is the best."""
    true = np.array([50.0, 60.0, 70.0, 80.0])
    metric = METRICS[name]
    assert metric(true, true) == metric(true[::-1], true[::-1]) == 0.75
    assert metric(np.ones(4), true) == pytest.approx(0.375)
    with pytest.raises(ValueError, match=r"NaN|finite"):
        metric(np.array([1.0, np.nan, 2.0, 3.0]), true)


def use_study(name: str, tmp_path: Path) -> None:
    """Listed, planned, and written from the runs there are: table, figure and page."""
    study = STUDIES[name]
    assert [job.run.K for job in jobs_of(study, "tiny")] == [1, 1, 8, 8]
    absent = write_all(write_study(tmp_path, study, "tiny"))
    assert study.answer(absent) == "No run yet."
    for job in jobs_of(study, "tiny"):
        if job.row == "K8":
            write_run(tmp_path, job.run.flat())
    path = write_study(tmp_path, study, "tiny")
    data = write_all(path)
    assert study.answer(data) == "Training takes K = 8 30.0 s."
    text = (path.parent / "README.md").read_text(encoding="utf-8")
    assert study.question in text
    assert "| K = 1 | –          | no run |" in text
    assert "| K = 8 | 30.0 ± 0.0 | 2      |" in text
    assert {"cost.csv", "cost.tex", "cost_against_k.pdf", "cost_against_k.png"} <= {
        file.name for file in path.parent.iterdir()
    }


class Scaled(nn.Module):
    """Sees what one site chooses to show of a number: nothing, its sign, or the number itself."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(1, 1)

    def forward(self, x: torch.Tensor, arch: Arch) -> torch.Tensor:
        shown = (torch.zeros_like(x), x.sign(), x)[arch[0]]
        outputs: torch.Tensor = self.map(shown)
        return outputs


def use_task(name: str, tmp_path: Path) -> None:
    """Trained K-shot with simplex steps, scored, and ranked in its direction."""
    task, example = TASKS[name](), sys.modules["example_tasks"]
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(256, 1, generator=generator)
    pairs = example.Pairs(inputs, 3 * inputs.squeeze(1) + 1)
    shared, codes = KShot(Scaled(), 2), SimplexNet((3,), 2)
    recipe = Recipe(epochs=12, batch_size=32, warmup_epochs=1, num_groups=2, learning_rate=0.05)

    def sampler(generator: torch.Generator) -> tuple[Arch, ...]:
        return (uniform_arch((3,), generator),)

    trainer = Trainer(shared, codes, sampler, pairs, recipe, seed=0, task=task)
    *_, last = fit(trainer)
    assert last["num_simplex_steps"] > 0
    archs = [(0,), (2,), (1,)]
    scores = predict(shared, codes, archs, pairs, lambda arch: arch, batch_size=64, task=task)
    np.testing.assert_allclose(scores.score, np.sqrt(scores.loss), rtol=1e-5)
    assert [archs[position] for position in scores.ranking] == [(2,), (1,), (0,)]


USES: dict[str, Callable[[str, Path], None]] = {
    "SAMPLERS": use_sampler,
    "SHARING": use_sharing,
    "SPACES": use_space,
    "TASKS": use_task,
    "DATASETS": use_dataset,
    "METRICS": use_metric,
    "STUDIES": use_study,
}


def test_there_is_an_example_of_everything() -> None:
    assert sorted(LAST_LINE.findall(block)[0][1] for block in BLOCKS) == sorted(USES)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.partition("\n")[0].lstrip("# "))
def test_example_works(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ((module, registry, name, value),) = LAST_LINE.findall(block)
    # Classes look up their module, dataclasses among them.
    path = tmp_path / f"example_{registry.lower()}.py"
    path.write_text(block, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    example = importlib.import_module(path.stem)
    entries = getattr(importlib.import_module(module), registry)
    assert name not in entries
    monkeypatch.setitem(entries, name, eval(value, vars(example)))
    USES[registry](name, tmp_path)
    monkeypatch.delitem(sys.modules, path.stem)
