"""Mistyped options and names are answered with the nearest one, in one line, by every program."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.cli.errors import UserError
from benchmark.config.run import RunConfig
from benchmark.config.search import search_config
from benchmark.config.values import flag
from kshot_core.names import nearest
from kshot_core.search.limits import Limits

HELP = RunConfig.known()
# program, what was typed, what it is answered with
OPTIONS = [
    ("run", ["--lr", "0.1"], "no option --lr; did you mean --learning-rate?"),
    ("run", ["--learning-rte", "0.1"], "no option --learning-rte; did you mean --learning-rate?"),
    ("run", ["--learning_rate=0.1"], "no option --learning_rate; did you mean --learning-rate?"),
    # Shortened, it would be read as --seeds: how many, where one is meant.
    ("run", ["--seed", "3"], "no option --seed; did you mean --seeds?"),
    ("run", ["--seed=3"], "no option --seed; did you mean --seeds?"),
    ("run", ["-K", "8"], "no option -K; did you mean --K?"),
    ("run", ["--zzzzzz"], "no option --zzzzzz; --help-all lists those it has"),
    ("run", ["cifar10"], "takes no 'cifar10' here"),
    ("search", ["--max-flps", "1e6"], "no option --max-flps; did you mean --max-flops?"),
    ("retrain", ["--wd", "0.1"], "no option --wd; did you mean --weight-decay?"),
    ("pipeline", ["--preest", "small"], "no option --preest; did you mean --preset?"),
    ("report", ["--reslts", "x"], "no option --reslts; did you mean --results?"),
    ("standalone", ["--to", "t.csv", "--epoch-s", "1"], "did you mean --epochs?"),
    ("truth", ["import", "x.csv", "--collumn", "a=b"], "did you mean --column?"),
    ("truth", ["imprt", "x.csv"], "did you mean import?"),
]
VALUES = [
    ("study", ["tabel9"], "did you mean table9?"),
    ("study", ["table9", "--scale", "Tiny"], "did you mean tiny?"),
    ("study", ["table9", "--dryrun"], "did you mean --dry-run?"),
    ("run", ["--dataset", "CIFAR-10"], "did you mean cifar10?"),
    ("run", ["--dataset", "Digits"], "did you mean digits?"),
    ("run", ["--dataset", "imagenet16120"], "did you mean imagenet16-120?"),
    ("run", ["--sampler", "unifrom"], "did you mean uniform?"),
    ("run", ["--sharing", "few_shot"], "did you mean few-shot?"),
    ("run", ["--preset", "papr"], "did you mean paper?"),
    ("run", ["--schedule", "alternating"], "did you mean alternate?"),
    ("run", ["--precision", "bf16"], "did you mean bfloat16?"),
    ("search", ["--method", "nsga-2"], "did you mean nsga2?"),
    ("search", ["--space", "MobileNet-V2"], "did you mean mobilenetv2?"),
    ("study", ["tabel6"], "did you mean table6?"),
    ("pipeline", ["--retrain-preset", "Quick"], "did you mean quick?"),
    ("standalone", ["--to", "t.csv", "--dataset", "digit"], "did you mean digits?"),
]


@pytest.mark.parametrize(("program", "typed", "answer"), OPTIONS + VALUES)
def test_what_is_mistyped_is_answered_with_the_nearest(
    program: str, typed: list[str], answer: str, tmp_path: Path
) -> None:
    if program == "standalone":
        typed = [str(tmp_path / "t.csv") if word == "t.csv" else word for word in typed]
    with pytest.raises(UserError) as error:
        importlib.import_module(f"benchmark.{program}.command").main(typed)
    assert answer in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", sorted(HELP))
def test_a_doubled_a_missing_and_a_capital_letter_are_forgiven(name: str) -> None:
    for typed in (flag(name).upper(), name.title(), name[0] + name):
        assert nearest(typed, HELP) == name
    if len(name) > 5:
        for place in range(len(name)):
            typed = name[:place] + name[place + 1 :]
            assert typed in HELP or nearest(typed, HELP) == name, typed


@given(st.text(max_size=20))
def test_any_text_is_answered(text: str) -> None:
    assert nearest(text, HELP) in {*HELP, None}
    assert nearest(text, []) is None


def test_settings_in_python_are_answered_alike() -> None:
    with pytest.raises(UserError, match=r"--sampler is one of .*'fare'; did you mean fair\?"):
        RunConfig.of(sampler="fare")


def test_limits_that_exclude_each_other_are_named() -> None:
    with pytest.raises(UserError, match=r"--min-flops 5e\+06 is above --max-flops 4e\+06, given"):
        search_config("small", "digits", {"min_flops": 5e6, "max_flops": 4e6})
    # The preset's limit counts too.
    limit = search_config("small", "digits", {}).max_flops
    with pytest.raises(UserError, match="or the preset's"):
        search_config("small", "digits", {"min_flops": 2 * limit})
    same = search_config("small", "digits", {"min_flops": limit})
    assert (same.min_flops, same.max_flops) == (limit, limit)
    assert search_config("small", "digits", {"min_flops": 5, "max_flops": 0}).min_flops == 5
    with pytest.raises(ValueError, match="min_flops 3 is above max_flops 2"):
        Limits(max_flops=2, min_flops=3)
