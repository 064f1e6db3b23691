"""Making a truth table: resumable, in the common format, refusing what does not belong."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from benchmark.cli.errors import UserError
from benchmark.config.values import flag
from benchmark.datasets import digits
from benchmark.datasets.splits import DataRequest
from benchmark.standalone import command as standalone
from benchmark.standalone.command import StandaloneConfig, draw_archs, main, make_truth
from benchmark.truth.table import TruthTable, default_column, find_truth
from kshot_core.retraining.standalone import StandaloneRecipe
from kshot_core.settings import settings_of
from kshot_core.space import check_arch
from kshot_core.spaces import MobileNetV2, NASBench201, NASBenchMacro

TINY = StandaloneConfig(
    num_archs=3,
    num_seeds=2,
    space=StandaloneConfig.space.changed(channels=2),
    fleet=2,
    recipe=StandaloneRecipe(batch_size=20),
)


@pytest.fixture(autouse=True)
def _few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    def few(request: DataRequest) -> object:
        return digits.load_digits(request, num_train=100, num_valid=100)

    monkeypatch.setattr(standalone, "load_splits", lambda dataset, request: few(request))
    standalone._examples.cache_clear()


def test_draw_is_uniform_over_valid_archs_and_extends() -> None:
    space = NASBench201()
    archs = draw_archs(300)
    assert draw_archs(20) == archs[:20]
    assert len(set(archs)) == 300
    assert all(space.is_valid(arch) for arch in archs)
    # A share of the sample near that of the space: 4/5 of all choices are no "none".
    share = sum(choice != 0 for arch in archs for choice in arch) / 1800
    assert 0.77 < share < 0.86
    with pytest.raises(UserError, match="--archs must be"):
        draw_archs(15_625)


def test_table_is_like_any_other_and_its_mean_is_the_seeds(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    table = make_truth(TINY, path, jobs=1)
    again = TruthTable.load(path)
    assert [str(column) for column in again.columns()] == [
        "digits/valid/1ep/mean",
        "digits/valid/1ep/seed0",
        "digits/valid/1ep/seed1",
    ]
    assert again.frame.equals(table.frame)
    assert str(default_column("digits", again)) == "digits/valid/1ep/mean"
    mean = again.frame.iloc[:, 1:].mean(axis=1)
    assert again.frame.iloc[:, 0].to_numpy() == pytest.approx(mean.to_numpy(), abs=1e-3)
    account = json.loads((tmp_path / "truth.json").read_text())
    assert account["config"]["num_archs"] == 3
    assert not list(tmp_path.glob("*.partial.jsonl"))


def test_stopped_and_resumed_gives_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_truth(TINY, tmp_path / "whole.csv", jobs=1)
    real, calls = standalone.train_fleet, []

    def stop_at_the_third(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(standalone, "train_fleet", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        make_truth(TINY, tmp_path / "stopped.csv", jobs=1)
    partial = tmp_path / "stopped.csv.partial.jsonl"
    partial.write_text(partial.read_text() + '{"accuracy": 12')
    monkeypatch.setattr(standalone, "train_fleet", real)
    assert make_truth(TINY, tmp_path / "stopped.csv", jobs=1).frame.equals(whole.frame)


def test_results_of_another_config_are_refused(tmp_path: Path) -> None:
    (tmp_path / "truth.csv.partial.jsonl").write_text('{"dataset": "cifar10"}\n')
    with pytest.raises(UserError, match="another config"):
        make_truth(TINY, tmp_path / "truth.csv", jobs=1)


def test_program_refuses_wrong_numbers_and_existing_tables(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--epochs must be at least 1, got 0"):
        main(["--to", str(tmp_path / "truth.csv"), "--epochs", "0"])
    (tmp_path / "truth.csv").write_text("")
    with pytest.raises(UserError, match="exists already"):
        main(["--to", str(tmp_path / "truth.csv")])


def test_every_setting_of_the_recipe_is_an_option(tmp_path: Path) -> None:
    recipe = {"epochs": 1, "batch_size": 25, "learning_rate": 0.05, "warmup": 0.5}
    recipe |= {"momentum": 0.8, "weight_decay": 1e-3, "gradient_clip": 2.0}
    assert recipe.keys() == settings_of(StandaloneRecipe).keys()
    options = ["--to", str(tmp_path / "a.csv"), "--archs", "2", "--seeds", "1", "--channels", "2"]
    main([*options, "--jobs", "1", *(f"{flag(name)}={value}" for name, value in recipe.items())])
    account = json.loads((tmp_path / "a.json").read_text())
    assert account["config"]["recipe"] == recipe
    for option, why in {
        "--momentum=1": "--momentum must be 0 or more and below 1, got 1.0",
        "--learning-rate=nan": "--learning-rate must be above 0, got nan",
        "--warmup=2": "--warmup must be 0 to 1, got 2.0",
        "--fleet=0": "--fleet must be at least 1, got 0",
        "--seeds=0": "--seeds must be at least 1, got 0",
    }.items():
        with pytest.raises(UserError, match=why):
            main(["--to", str(tmp_path / "b.csv"), option])


def test_a_config_is_written_as_tables_in_the_making_have_it() -> None:
    assert json.dumps(StandaloneConfig().to_dict(), sort_keys=True) == (
        '{"dataset": "digits", "fleet": 16, "num_archs": 300, "num_seeds": 2, "recipe": '
        '{"batch_size": 50, "epochs": 1, "gradient_clip": 0.0, "learning_rate": 0.1, '
        '"momentum": 0.9, "warmup": 0.15, "weight_decay": 0.0005}, "score_images": 0, '
        '"space": {"cells": 1, "channels": 8, "space": "nasbench201"}, "train_images": 0}'
    )


def test_embedded_truth_is_worth_ranking_against() -> None:
    """The shipped table: enough architectures, two seeds, and seeds that agree."""
    from kshot_core.metrics.correlation import kendall_tau_b  # noqa: PLC0415

    path = find_truth("digits")
    table = TruthTable.load(path)
    column = default_column("digits", table)
    seeds = table.seeds_of(column)
    assert len(table.frame) >= 300
    assert len(seeds) >= 2
    first, second = table.both(seeds[0], seeds[1])
    assert kendall_tau_b(first.to_numpy(), second.to_numpy()) >= 0.75
    account = json.loads(path.with_suffix(".json").read_text())
    assert account["config"]["num_archs"] == len(table.frame)


def test_embedded_scenes_are_the_ones_the_truth_was_made_of() -> None:
    account = json.loads(find_truth("digits").with_suffix(".json").read_text())
    described = digits.load_digits(DataRequest()).description
    # Not the checksum: another processor may round a few pixels the other way.
    assert described["source"] == account["data"]["source"]
    assert described["split"] == account["data"]["split"]


def test_another_space_is_trained_in_its_own_strings(tmp_path: Path) -> None:
    path = tmp_path / "macro.csv"
    options = ["--archs", "3", "--seeds", "1", "--batch-size", "20", "--fleet", "2", "--jobs", "1"]
    table = main(
        ["--space", "nasbench_macro", "--stem", "4", "--head", "8", "--to", str(path), *options]
    )
    space = NASBenchMacro()
    assert [space.to_string(space.from_string(arch)) for arch in table.frame.index] == list(
        table.frame.index
    )
    again = TruthTable.load(path)
    assert again.space.name == "nasbench_macro"
    assert again.frame.equals(table.frame)
    account = json.loads(path.with_suffix(".json").read_text())
    assert account["config"]["space"]["stem"] == 4


def test_a_table_of_the_first_examples_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = standalone.train_standalone

    def watch(fleet: object, examples: object, *rest: object) -> None:
        seen.append(len(examples))  # type: ignore[arg-type]
        real(fleet, examples, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(standalone, "train_standalone", watch)
    config = dataclasses.replace(TINY, num_archs=2, train_images=60, score_images=20)
    table = make_truth(config, tmp_path / "few.csv", jobs=1)
    assert seen == [60, 60]
    # Accuracies on 20 images are multiples of 5 %.
    values = table.frame.iloc[:, 1:].to_numpy() / 5
    assert values == pytest.approx(values.round())
    account = json.loads((tmp_path / "few.json").read_text())
    assert (account["config"]["train_images"], account["config"]["score_images"]) == (60, 20)
    common = ["--archs", "2", "--to", str(tmp_path / "more.csv")]
    with pytest.raises(UserError, match="--train-images asks for 101 examples, digits has 100"):
        main([*common, "--train-images", "101"])
    with pytest.raises(UserError, match="--score-images asks for 101 examples, digits has 100"):
        main([*common, "--score-images", "101"])
    with pytest.raises(UserError, match="--train-images must be at least 0, got -1"):
        main([*common, "--train-images", "-1"])
    assert not list(tmp_path.glob("more*"))


def test_results_from_before_there_was_a_choice_of_examples_are_gone_on_with(
    tmp_path: Path,
) -> None:
    whole = make_truth(TINY, tmp_path / "whole.csv", jobs=1)
    head = TINY.to_dict()
    del head["train_images"], head["score_images"]
    (tmp_path / "old.csv.partial.jsonl").write_text(json.dumps(head, sort_keys=True) + "\n")
    assert make_truth(TINY, tmp_path / "old.csv", jobs=1).frame.equals(whole.frame)


def test_architectures_of_a_space_too_large_to_list_are_drawn_once_each() -> None:
    space = MobileNetV2()
    archs = draw_archs(50, space)
    assert len(set(archs)) == 50
    assert draw_archs(20, space) == archs[:20]
    assert all(check_arch(arch, space.num_choices) == arch for arch in archs)
    with pytest.raises(UserError, match="--archs must be 2"):
        draw_archs(1, space)
