"""Which searches are averaged, what they are compared with, and who found an architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from synthetic_searches import change, write_retrained, write_search, write_supernet

from benchmark.records.load_searches import load_retrained, load_searches, load_supernets
from benchmark.views.clusters import (
    MACHINE,
    baseline,
    clusters,
    common_text,
    differing,
    limits_text,
    main_comparison,
    mere_switches,
    range_text,
    same_settings,
)
from benchmark.views.found import Finders, arch_id, outcome_clusters, outcomes

ARCH = "k3e3,id,k3e3,id,id|1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0"


def found(results: Path) -> list[Any]:
    return clusters(load_searches(results))


def test_seeds_are_averaged_and_nothing_else(tmp_path: Path) -> None:
    for changes in ({}, {"seed": 1}, {"search_seed": 4}, {"epochs": 5}, {"max_flops": 3e7}):
        write_search(tmp_path, **changes)
    sizes = {(one.protocol["epochs"], one.limits): one.num_seeds for one in found(tmp_path)}
    assert sizes == {("20", "none"): 3, ("5", "none"): 1, ("20", "≤ 30 MFLOPs"): 1}


def test_ways_of_sharing_come_in_their_order(tmp_path: Path) -> None:
    write_search(tmp_path, K=8)
    write_search(tmp_path, K=2, ensemble="average")
    write_search(tmp_path, K=12)
    write_search(tmp_path, K=1)
    write_search(tmp_path, K=8, sharing="fixed")
    assert [(one.sharing, one.K) for one in found(tmp_path)] == [
        ("one-shot", 1), ("ensemble-average", 2), ("fixed", 8), ("simplex", 8), ("simplex", 12),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        # Without effect: one-shot and fixed codes have no simplex-net, nor do ensembles.
        ({"K": 1}, {"K": 1, "hidden": 5, "schedule": "joint", "warmup_epochs": 2}, True),
        ({"sharing": "fixed"}, {"sharing": "fixed", "num_groups": 2}, True),
        ({"ensemble": "max"}, {"ensemble": "max", "sharing": "fixed", "hidden": 3}, True),
        ({"sharing": "random"}, {"sharing": "random", "hidden": 3}, True),
        ({"sharing": "random"}, {"sharing": "random", "warmup_epochs": 3}, False),
        ({}, {"hidden": 3}, False),
        ({}, {"few_shot_edge": 1}, True),
        # Nor has r_c without widths, or its temperature without r_c.
        ({"factors": "1.0"}, {"factors": "1.0", "regularisation": 0.0}, True),
        ({}, {"regularisation": 0.0}, False),
        ({"regularisation": 0.0}, {"regularisation": 0.0, "width_temperature": 1.0}, True),
        # Another space's settings mean nothing, nor what starts a config or ranks.
        ({}, {"channels": 4, "cells": 1, "preset": "paper", "track_every": 3}, True),
        ({"space": "nasbench201"}, {"space": "nasbench201", "stem": 99}, True),
        ({"space": "nasbench201"}, {"space": "nasbench201", "cells": 1}, False),
        ({"method": "random"}, {"method": "random", "mutation": 0.5}, True),
        ({}, {"mutation": 0.5}, False),
        ({"K": 1}, {"K": 8}, True),
        ({"K": 1}, {"K": 8, "epochs": 4}, False),
        ({}, {"dataset": "cifar10"}, False),
    ],
)
def test_settings_compare_where_they_have_an_effect(
    first: dict[str, Any], second: dict[str, Any], same: bool, tmp_path: Path
) -> None:
    write_search(tmp_path, **first)
    write_search(tmp_path, **{"seed": 1, **second})
    members = found(tmp_path)
    one, other = members[0], members[-1]
    assert same_settings(one, other) is same_settings(other, one) is same
    # Raw settings set records apart all the same: nobody averages what was asked for twice.
    assert len(members) == 2


def test_baseline_is_one_shot_of_otherwise_equal_settings(tmp_path: Path) -> None:
    write_supernet(tmp_path, K=1)
    write_supernet(tmp_path, K=1, epochs=5)
    write_supernet(tmp_path, K=8)
    write_supernet(tmp_path, K=8, epochs=7)
    members = clusters(load_supernets(tmp_path), extra=MACHINE)
    by_key = {(one.K, one.protocol["epochs"]): one for one in members}
    assert baseline(by_key[8, "20"], members) is by_key[1, "20"]
    assert baseline(by_key[8, "7"], members) is None
    # Two that fit would be a choice.
    write_supernet(tmp_path, K=1, hidden=3)
    members = clusters(load_supernets(tmp_path), extra=MACHINE)
    assert baseline(members[-1], members) is None


def test_machines_do_not_compare(tmp_path: Path) -> None:
    write_supernet(tmp_path, K=1)
    other = write_supernet(tmp_path, K=8)
    change(other, environment__processor="another")
    members = clusters(load_supernets(tmp_path), extra=MACHINE)
    assert baseline(members[1], members) is None
    assert differing(members) == ["environment.processor"]
    without = clusters(load_supernets(tmp_path))
    assert baseline(without[1], without) is without[0]


def test_side_studies_are_left_out_of_a_comparison(tmp_path: Path) -> None:
    for copies in (1, 2, 8):
        write_search(tmp_path, K=copies)
    for groups in (1, 2):
        write_search(tmp_path, K=8, num_groups=groups)
    for copies in (1, 8):
        write_search(tmp_path, K=copies, epochs=5)
    write_search(tmp_path, K=4, epochs=7)
    kept = main_comparison(found(tmp_path), (), lambda one: (one.sharing, one.K))
    assert [(one.K, one.protocol["epochs"], one.protocol["num_groups"]) for one in kept] == [
        (1, "20", ""), (2, "20", "16"), (4, "7", "16"), (8, "20", "16"),
    ]  # fmt: skip
    # What differs in more is another protocol, and stays.
    write_search(tmp_path, K=8, epochs=6, hidden=3, sampler="balanced")
    kept = main_comparison(found(tmp_path), (), lambda one: (one.sharing, one.K))
    assert sorted(one.protocol["epochs"] for one in kept if one.K == 8) == ["20", "6"]
    # Where none has more rows than the others, all are kept.
    alike = [one for one in found(tmp_path) if one.K == 8 and one.protocol["epochs"] != "6"]
    assert main_comparison(alike, (), lambda one: one.K) == alike


@pytest.mark.parametrize("machine", [(), MACHINE])
def test_what_stays_in_a_comparison_keeps_its_baseline(
    machine: tuple[str, ...], tmp_path: Path
) -> None:
    other = {"epochs": 5, "hidden": 3, "num_groups": 2}
    for write in (write_supernet, write_search):
        for copies in (1, 2, 8):
            write(tmp_path, K=copies)
        # A protocol of its own, but for K = 1, which has nothing of the simplex-net.
        write(tmp_path, K=2, **other)
        write(tmp_path, K=1, epochs=5)
        # No row needs it.
        write(tmp_path, K=1, epochs=7)
    trained = clusters(load_supernets(tmp_path), extra=machine)
    searched = clusters(load_searches(tmp_path), extra=machine)
    for members in (trained, searched, trained + searched):
        kept = main_comparison(
            members, (), lambda one: ("method" in one.protocol, one.sharing, one.K)
        )
        each = [(one.K, one.protocol["epochs"]) for one in kept]
        wanted = {(1, "20"), (1, "5"), (2, "20"), (2, "5"), (8, "20")}
        assert set(each) == wanted
        assert len(each) == len(wanted) * len(members) // 6
        for one in kept:
            single = baseline(one, members)
            assert single is not None
            assert any(single is candidate for candidate in kept)
            assert ("method" in single.protocol) == ("method" in one.protocol)
        assert [one for one in members if any(one is other for other in kept)] == kept


def test_numbers_of_processes_do_not_compare(tmp_path: Path) -> None:
    write_search(tmp_path, K=1)
    write_search(tmp_path, {"num_processes": 4}, K=8)
    write_retrained(tmp_path, write_search(tmp_path, K=2), 70.0)
    frame = outcomes(load_retrained(tmp_path), load_searches(tmp_path))
    members = outcome_clusters(frame, machine=True)
    assert [one.protocol["num_processes"] for one in members] == ["1", "1", "4"]
    assert differing(members) == ["num_processes"]
    assert [baseline(one, members) is members[0] for one in members] == [True, True, False]
    # Accuracies do not depend on it.
    assert differing(outcome_clusters(frame)) == []


def test_what_differs_and_what_is_common(tmp_path: Path) -> None:
    write_search(tmp_path, K=1, factors="1.0")
    write_search(tmp_path, K=8, sampler="balanced")
    members = found(tmp_path)
    assert differing(members) == ["sampler", "factors"]
    assert differing(members, ["sampler"]) == ["factors"]
    assert mere_switches(members, ["factors", "regularisation"]) == ["factors", "regularisation"]
    write_search(tmp_path, K=8, factors="0.5,1.0")
    assert mere_switches(found(tmp_path), ["factors"]) == []
    told = common_text(members)
    assert "epochs 20; " in told
    assert "sampler" not in told
    assert "epochs" not in common_text(members, ["epochs"]).replace("warmup", "")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, "none"),
        ({"max_flops": 0.0, "min_flops": 0, "max_params": "0"}, "none"),
        ({"max_flops": 420e6}, "≤ 420 MFLOPs"),
        ({"max_flops": "250000", "min_flops": 2e5}, "≤ 0.25 MFLOPs, ≥ 0.2 MFLOPs"),
        ({"max_params": 3_400_000}, "≤ 3.4 M parameters"),
        ({"max_flops": float("nan")}, "none"),
    ],
)
def test_limits_read_well(limits: dict[str, Any], expected: str) -> None:
    assert limits_text(limits) == expected


def test_ranges() -> None:
    assert range_text(None) == ""
    assert range_text(pd.Series([3.0, None, 3.0])) == "3"
    assert range_text(pd.Series([3, 9, 4])) == "3 to 9"


def test_one_retraining_serves_all_that_found_the_architecture(tmp_path: Path) -> None:
    best = {"arch": ARCH}
    first = write_search(tmp_path, K=1, best=best)
    second = write_search(tmp_path, K=8, best=best)
    write_search(tmp_path, K=4, best=best, stem=4)
    write_search(tmp_path, K=2)
    write_retrained(tmp_path, first, 70.0)
    write_retrained(tmp_path, first, 71.0, seed=1)
    retrained, searches = load_retrained(tmp_path), load_searches(tmp_path)
    finders = Finders(searches).of(retrained.iloc[0])
    # The stem's channels make it another network.
    assert [tmp_path / one["folder"] for one in finders] == [first, second]
    frame = outcomes(retrained, searches)
    assert len(frame) == 4
    by_k = frame.set_index("config.K")
    assert by_k.loc[[1, 8], "top1"].tolist() == [70.5, 70.5]
    assert by_k["top1"].isna().tolist() == [copies in (2, 4) for copies in by_k.index]
    assert [len(folders) for folders in by_k.loc[[1, 2, 8], "retrainings"]] == [2, 0, 2]


def test_ways_of_retraining_are_kept_apart(tmp_path: Path) -> None:
    search = write_search(tmp_path)
    write_retrained(tmp_path, search, 70.0)
    write_retrained(tmp_path, search, 80.0, epochs=9)
    write_retrained(tmp_path, search, 90.0, {"num_test_images": 10}, seed=1)
    # The preset's name decides nothing.
    write_retrained(tmp_path, search, 72.0, seed=2, preset="paper")
    members = outcome_clusters(outcomes(load_retrained(tmp_path), load_searches(tmp_path)))
    assert sorted(one.estimate("top1").mean for one in members) == [71.0, 80.0, 90.0]
    assert differing(members) == ["recipe.epochs", "recipe.num_test_images"]


def test_a_search_that_is_not_at_hand_is_known_by_its_config(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    search = write_search(elsewhere, K=4, sharing="fixed")
    write_retrained(elsewhere, search, 70.0)
    here.mkdir()
    (elsewhere / "retrained").rename(here / "retrained")
    frame = outcomes(load_retrained(here), load_searches(here))
    [one] = outcome_clusters(frame)
    assert (one.sharing, one.K, one.space) == ("fixed", 4, "mobilenetv2")
    assert frame["seconds.supernets"].isna().all()


def test_retraining_on_other_data_is_said(tmp_path: Path) -> None:
    search = write_search(tmp_path)
    write_retrained(tmp_path, search, 70.0, dataset="cifar10")
    [one] = outcome_clusters(outcomes(load_retrained(tmp_path), load_searches(tmp_path)))
    assert one.dataset == "digits"
    assert "retraining dataset cifar10" in common_text([one])


def test_nothing_at_all(tmp_path: Path) -> None:
    frame = outcomes(load_retrained(tmp_path), load_searches(tmp_path))
    assert frame.empty
    assert outcome_clusters(frame) == []


def test_arch_ids_depend_on_the_space() -> None:
    row = {"config.space": "mobilenetv2", "config.stem": 8, "config.channels": 4}
    name = arch_id(row, ARCH)
    assert len(name) == 6
    assert arch_id({**row, "config.channels": 16}, ARCH) == name
    assert arch_id({**row, "config.stem": 8.0}, ARCH) == name
    assert arch_id({**row, "config.stem": 16}, ARCH) != name
    assert arch_id(row, ARCH.replace("k3e3", "k5e3")) != name
