"""Where data and truth are: one path for everything, or one for each data set and space."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from benchmark.cli.errors import UserError
from benchmark.run.command import parse
from benchmark.study.command import main as study_command
from benchmark.train.setup import places_of


def given(data: list[str] | None = None, truth: list[str] | None = None) -> Namespace:
    paths = [None if one is None else [Path(text) for text in one] for one in (data, truth)]
    return Namespace(results=Path("r"), split=None, tensorboard=None, data=paths[0], truth=paths[1])


def test_a_path_is_for_everything_without_one_of_its_own() -> None:
    places = places_of(given(["d", "cifar10=c"], ["t.csv", "darts=a/b.csv"]))
    assert places.data_for("cifar10") == Path("c")
    assert places.data_for("text") == Path("d")
    assert places.truth_for("darts") == Path("a/b.csv")
    assert places.truth_for("proxyless") == Path("t.csv")
    nothing = places_of(given())
    assert nothing.data_for("cifar10") is None
    assert nothing.truth_for("darts") is None


def test_a_path_with_an_equals_sign_is_still_a_path(tmp_path: Path) -> None:
    path = tmp_path / "darts=1.csv"
    assert places_of(given(truth=[str(path)])).truth_for("nasbench201") == path


def test_the_last_one_stands_as_for_any_option() -> None:
    places = places_of(given(truth=["a.csv", "darts=b", "c.csv", "darts=d"]))
    assert places.truth_for("proxyless") == Path("c.csv")
    assert places.truth_for("darts") == Path("d")


def test_a_mistyped_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"did you mean darts\?") as error:
        parse(["--truth", "drats=a.csv"])
    assert "\n" not in str(error.value)


def test_a_study_of_several_spaces_says_which_truth_it_lacks_before_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KSHOT_TRUTH", raising=False)
    results = tmp_path / "results"
    with pytest.raises(UserError) as error:
        study_command(["five_spaces", "--scale", "cpu", "--results", str(results)])
    message = str(error.value)
    assert "no truth table of nasbench201 for cifar10 at" in message
    assert "python -m benchmark.truth import" in message
    assert "\n" not in message
    assert not list(results.rglob("*.safetensors"))
    with pytest.raises(
        UserError, match=r"has 5 search spaces .* name each with --truth SPACE=FILE"
    ):
        study_command(["five_spaces", "--truth", "a.csv", "--results", str(results)])
