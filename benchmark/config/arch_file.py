"""The architecture that a search found, as it hands it on: ``arch.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.cli.errors import UserError
from benchmark.cli.text import decode
from benchmark.config.space import SpaceSettings
from benchmark.config.values import flat


@dataclass(frozen=True)
class FoundArch:
    """An architecture with the space and the data it was found for.

    Args:
        settings: of the space.
        arch: the architecture as the space writes it.
        dataset: what it was searched on.
        search: where it comes from, JSON values for the record; None where it does not say.
    """

    settings: SpaceSettings
    arch: str
    dataset: str
    search: dict[str, Any] | None

    @property
    def image_size(self) -> int:
        """The ``--image-size`` of the search; 0 for the data set's own."""
        config = (self.search or {}).get("config")
        size = flat(config).get("image_size", 0) if isinstance(config, dict) else 0
        return size if isinstance(size, int) else 0


def read_arch(path: Path) -> FoundArch:
    """Read the file.

    Raises:
        UserError: it cannot be read, or does not describe an architecture.
    """
    wanted = 'a file like a search\'s arch.json, {"space", "settings", "arch", "dataset", "search"}'
    try:
        values = json.loads(decode(path.read_bytes()), parse_constant=_refuse)
    except OSError as error:
        raise UserError(f"cannot read --arch {path}: {error.strerror}; give {wanted}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"--arch {path} is no JSON ({error}); give {wanted}") from None
    if not isinstance(values, dict):
        raise UserError(f"--arch {path} must be {wanted}, got {type(values).__name__}")
    for name, kind in {"space": str, "settings": dict, "arch": str, "dataset": str}.items():
        if not isinstance(values.get(name), kind):
            raise UserError(
                f"--arch {path} must be {wanted}, but {name} is {str(values.get(name))[:60]!r}"
            )
    search = values.get("search")
    if not isinstance(search, dict | None):
        raise UserError(f"--arch {path}: search must be an object or null, got {search!r}")
    try:
        settings = SpaceSettings.from_dict(values["settings"])
        arch = settings.arch(values["arch"])
    except UserError as error:
        raise UserError(f"--arch {path}: {error}") from None
    if settings.name != values["space"]:
        raise UserError(
            f"--arch {path} names the space {values['space']!r} and has settings of "
            f"{settings.name!r}; use the file as the search wrote it"
        )
    return FoundArch(settings, arch, values["dataset"], search)


def _refuse(constant: str) -> None:
    """Python's JSON takes NaN and infinities, which no record may hold."""
    raise ValueError(f"{constant} is no JSON value")
