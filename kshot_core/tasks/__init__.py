"""Tasks, by name: what is learnt, how it is scored, in which batches. One file each.

A task is a ``Task``: the loss of a network's outputs, the score, and which way it is better; the
network is the space's. Its batches (``TrainingBatches``, ``ScoringBatches``) stand in its file.

A new one: a file here, and a line in ``TASKS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from kshot_core.tasks.images import CLASSIFICATION, ImageClassification
from kshot_core.tasks.language import LanguageModelling
from kshot_core.tasks.task import Task as Task

TASKS: dict[str, Callable[[], Task]] = {
    "images": ImageClassification,
    "language": LanguageModelling,
}


@runtime_checkable
class Tasked(Protocol):
    """A space or a data set of another task than image classification."""

    @property
    def task(self) -> Task:
        """What its networks learn, or its examples teach."""
        ...


def task_of(one: object) -> Task:
    """The task of a space or of a data set: image classification where it names none."""
    return one.task if isinstance(one, Tasked) else CLASSIFICATION
