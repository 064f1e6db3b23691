"""The large tests are run by ``tox -e nightly`` alone, which asks for their marker."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "nightly" in config.option.markexpr:
        return
    skip = pytest.mark.skip(reason="large: tox -e nightly runs it")
    for item in items:
        if "nightly" in item.keywords:
            item.add_marker(skip)
