"""Tasks, by name: what is learnt, how it is scored, in which batches. One file each.

A task is a ``Task``: the loss of a network's outputs, the score, and which way it is better; the
network is the space's. Its batches (``TrainingBatches``, ``ScoringBatches``) stand in its file.

A new one: a file here, and a line in ``TASKS``.
"""

from __future__ import annotations

from collections.abc import Callable

from kshot_core.tasks.images import ImageClassification
from kshot_core.tasks.language import LanguageModelling
from kshot_core.tasks.task import Task as Task

TASKS: dict[str, Callable[[], Task]] = {
    "images": ImageClassification,
    "language": LanguageModelling,
}
