"""What all search spaces share: checking and encoding of architectures."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kshot_core.space import check_arch, encode

NUM_CHOICES = (2, 3, 5)
archs = st.tuples(*(st.integers(0, num - 1) for num in NUM_CHOICES))


@given(st.lists(archs, max_size=6))
def test_encoding_has_one_one_a_site(several: list[tuple[int, ...]]) -> None:
    onehot = encode(several, NUM_CHOICES)
    assert onehot.shape == (len(several), sum(NUM_CHOICES))
    assert onehot.dtype == torch.float32
    for row, arch in zip(onehot, several, strict=True):
        for part, choice in zip(row.split(NUM_CHOICES), arch, strict=True):
            assert part.tolist() == [float(index == choice) for index in range(len(part))]


def test_an_architecture_is_returned_as_plain_integers() -> None:
    assert check_arch([1, 0, 4], NUM_CHOICES) == (1, 0, 4)
    drawn = check_arch(torch.tensor([1, 2, 3]).numpy(), NUM_CHOICES)
    assert drawn == (1, 2, 3)
    assert all(type(choice) is int for choice in drawn)


@pytest.mark.parametrize("bad", [(), (1, 0), (0, 0, 0, 0)])
def test_a_wrong_number_of_choices_is_refused(bad: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"has 3 choices, got {len(bad)}"):
        check_arch(bad, NUM_CHOICES)


@pytest.mark.parametrize("bad", [(2, 0, 0), (0, 3, 0), (0, 0, 5), (-1, 0, 0), (0, 0, -1)])
def test_a_choice_out_of_range_is_refused(bad: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="the choice at site"):
        check_arch(bad, NUM_CHOICES)


def test_a_fraction_is_no_choice() -> None:
    with pytest.raises(ValueError, match="site 0"):
        check_arch((0.5, 0, 0), NUM_CHOICES)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [(2, 0, 0), (0, -1, 0), (0, 0, 5)])
def test_encoding_never_spills_into_the_next_site(bad: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="the choice at site"):
        encode([(0, 0, 0), bad], NUM_CHOICES)
