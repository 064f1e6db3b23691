"""What images are, in one checksum: whoever has the same images has the same one."""

from __future__ import annotations

import hashlib
import json

from benchmark.datasets.splits import Data, Splits


def fingerprint(data: Data) -> str:
    """SHA-256 of all images and labels of a data set, whatever files they came from.

    Of images that are read as they are needed it is that of their list: names, order and split.
    """
    if not isinstance(data, Splits):
        text = json.dumps([data.name, dict(data.description)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
    digest = hashlib.sha256()
    for part in ("train", "valid", "test"):
        for what in ("images", "labels"):
            values = getattr(data, f"{part}_{what}")
            if values is not None:
                digest.update(f"{part} {what} {tuple(values.shape)}".encode())
                digest.update(values.contiguous().numpy())
    return digest.hexdigest()
