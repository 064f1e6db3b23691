"""One word about the files of an image folder that are no images here: how many, by ending."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections import Counter
from typing import TYPE_CHECKING

from benchmark.datasets.listing import count_endings

if TYPE_CHECKING:
    from benchmark.datasets.listing import Listing


class PassedOverWarning(UserWarning):
    """Files of an image folder are no images that can be read; the message counts them."""


def describe_passed_over(*listings: Listing) -> str:
    """``19 .heic, 1 .txt``, and where most of them are; nothing where there are none."""
    counts: Counter[str] = Counter()
    places: Counter[str] = Counter()
    kept: dict[str, int] = {}
    for listing in listings:
        of_class = Counter(listing.labels.tolist())
        for label, name in enumerate(listing.classes):
            kept[f"{listing.folder.name}/{name}"] = of_class[label]
        for (name, end), num in listing.passed_over.items():
            counts[end] += num
            places[f"{listing.folder.name}/{name}"] += num
    if not counts:
        return ""
    place, most = places.most_common(1)[0]
    beside = f" and {kept[place]} images" if place in kept else ""
    return f"{count_endings(counts.elements())}; most of them in {place} ({most}{beside})"


def warn_of_passed_over(*listings: Listing) -> None:
    """Warn once of what was passed over: not again in the processes that this one starts."""
    text = describe_passed_over(*listings)
    first = multiprocessing.parent_process() is None and os.environ.get("LOCAL_RANK", "0") == "0"
    if text and first:
        warnings.warn(
            f"passed over in {listings[0].folder.parent}, being no images that can be read: {text}",
            PassedOverWarning,
            stacklevel=2,
        )
