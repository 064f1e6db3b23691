"""Banks scored with codes that are not the architectures' own."""

from __future__ import annotations

import pytest
import torch

from kshot_core.evaluation.other_codes import SCORE_CODES, codes_to_score_with
from kshot_core.sharing.one_shot import OneShot
from kshot_core.sharing.random import RandomCodes

ARCHS = [(a, b) for a in range(3) for b in range(3)]


def test_the_mean_code_is_the_mean_of_the_codes() -> None:
    own = RandomCodes((3, 3), 4, seed=1)
    mean = codes_to_score_with("mean", own, ARCHS)
    assert torch.allclose(mean(ARCHS[:2]), own(ARCHS).mean(0).expand(2, 4))
    assert len({mean.reads(arch) for arch in ARCHS}) == 1


def test_shuffled_codes_are_the_same_codes_of_other_architectures() -> None:
    own = RandomCodes((3, 3), 4, seed=1)
    shuffled = codes_to_score_with("shuffled", own, ARCHS)
    rows, own_rows = shuffled(ARCHS).tolist(), own(ARCHS).tolist()
    assert sorted(rows) == sorted(own_rows)
    assert rows != own_rows
    for arch, row in zip(ARCHS, rows, strict=True):
        assert shuffled([arch])[0].tolist() == row
    assert shuffled.reads(ARCHS[0]) == own.reads(ARCHS[own_rows.index(rows[0])])


def test_own_codes_are_the_strategy_itself() -> None:
    own = OneShot(1)
    assert codes_to_score_with("own", own, ARCHS) is own


def test_codes_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match=f"one of {', '.join(SCORE_CODES)}, got 'best'"):
        codes_to_score_with("best", OneShot(1), ARCHS)
    with pytest.raises(ValueError, match="at least 1 architecture, got none"):
        codes_to_score_with("mean", OneShot(1), [])
