"""Where records come from: whether those that are compared agree in machine, versions and data."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

_WHAT = {
    "environment.processor": "processor",
    "environment.device": "device",
    "environment.system": "system",
    "environment.python": "Python",
    "environment.torch": "torch",
    "environment.numpy": "numpy",
    "environment.commit": "commit",
}
# Settings that decide which images a record is of, where it has them.
_OF_IMAGES = ("dataset", "image_size", "held_out", "split_seed", "train_images", "jitter")
_OF_TRUTH = ("dataset", "space", "truth_column")


def disagreements(frames: Sequence[pd.DataFrame]) -> list[str]:
    """What records of one comparison do not have in common, a few words each; [] if all is alike.

    Machine, versions and commit, and the images and the truth where their settings are the same but
    the files were not. Records that do not say are passed over.

    Args:
        frames: records as ``benchmark.records.load`` reads them, those of a frame of one kind.
    """
    found = [line for column, what in _WHAT.items() if (line := _values(frames, column, what))]
    for frame in frames:
        found += _files(frame, "data.images_sha256", "the images", _OF_IMAGES)
        found += _files(frame, "truth.sha256", "the truth", _OF_TRUTH)
    return list(dict.fromkeys(found))


def _values(frames: Sequence[pd.DataFrame], column: str, what: str) -> str:
    values = pd.concat([_column(frame, column) for frame in frames] or [pd.Series(dtype=object)])
    counts = values.value_counts()
    if len(counts) < 2:
        return ""
    return f"{what} " + ", ".join(f"{one} ({num})" for one, num in sorted(counts.items()))


def _files(frame: pd.DataFrame, column: str, what: str, settings: Sequence[str]) -> list[str]:
    sums = _column(frame, column)
    if sums.nunique() < 2:
        return []
    given = [f"config.{name}" for name in settings if f"config.{name}" in frame.columns]
    known = frame.loc[sums.index]
    num = sums.groupby([known[name].astype(str) for name in given]).nunique()
    return [
        f"{what} of {key[0] if isinstance(key, tuple) else key} ({count} different files)"
        for key, count in num.items()
        if count > 1
    ]


def _column(frame: pd.DataFrame, column: str) -> pd.Series:
    """A record's value once, whatever number of rows it stands in."""
    if column not in frame.columns:
        return pd.Series(dtype=object)
    once = frame.drop_duplicates("path") if "path" in frame.columns else frame
    return once[column].dropna()
