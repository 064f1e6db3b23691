"""The embedded language: sentences in which words agree over any distance; nothing is downloaded.

Every noun has one of two genders and one of two numbers. Its article and adjectives agree with it,
and so does its verb, which may stand behind a phrase or a relative clause with nouns and verbs of
its own, nested up to three deep; and a second verb after "and", further off still. So the next
word can be told the better, the longer a network remembers, and the better it keeps several things
apart::

    la alta torre che il cane vede cade e dorme .

The words are made up in the manner of Italian. Sentences are drawn one after another from a fixed
seed, those of the training, the validation and the test text from seeds of their own, so every
machine makes the same texts.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from benchmark.datasets.text.splits import TextSplits

if TYPE_CHECKING:
    from benchmark.datasets.splits import DataRequest

_SEED = 0
_ENDINGS = ("o", "i", "a", "e")
"""By form: masculine singular and plural, feminine singular and plural."""
_ARTICLES = ("il", "li", "la", "le")
_NOUNS = ("gatt", "lup", "cavall", "maestr", "ragazz", "amic")
_ADJECTIVES = ("alt", "bell", "nuov")
_PREPOSITIONS = ("con", "dopo")
_INTRANSITIVE = ("dorm", "cant", "sogn")
_TRANSITIVE = ("ved", "cerc", "tem")
_VERB_ENDINGS = ("ut", "er", "av", "on")
"""By form of the subject: verbs agree in gender too."""


@dataclass(frozen=True)
class GrammarSettings:
    """How long and how deep. The defaults are the benchmark's; others are another data set.

    Args:
        adjective: chance of each further adjective.
        phrase: chance that a noun has a phrase after it, as ``con la gatta``.
        clause: chance that it has a relative clause instead.
        depth: how deep phrases and clauses nest.
        second_verb: chance of a second verb after ``e``.
        num_train: tokens of the training text.
        num_valid: tokens of the validation text, and of the test text.
        window: tokens through which gradients go back.
    """

    adjective: float = 0.25
    phrase: float = 0.25
    clause: float = 0.3
    depth: int = 3
    second_verb: float = 0.3
    num_train: int = 80_000
    num_valid: int = 20_000
    window: int = 20


class _Speaker:
    """Draws sentences, by random() alone: it gives the same numbers in every version."""

    def __init__(self, settings: GrammarSettings, seed: str) -> None:
        self.settings = settings
        self._draw = random.Random(f"{_SEED}/{seed}").random

    def words(self, num: int) -> list[str]:
        """The first ``num`` words of what it says; a full stop is one."""
        said: list[str] = []
        while len(said) < num:
            said += [*self._sentence(), "."]
        return said[:num]

    def _sentence(self) -> list[str]:
        form, subject = self._noun(0)
        return [*subject, *self._verbs(form)]

    def _verbs(self, form: int) -> list[str]:
        said = self._verb(form, 1)
        if self._happens(self.settings.second_verb):
            said += ["e", *self._verb(form, 1)]
        return said

    def _verb(self, form: int, depth: int) -> list[str]:
        if self._happens(0.5):
            return [self._one_of(_INTRANSITIVE) + _VERB_ENDINGS[form]]
        _, thing = self._noun(depth)
        return [self._one_of(_TRANSITIVE) + _VERB_ENDINGS[form], *thing]

    def _noun(self, depth: int) -> tuple[int, list[str]]:
        """The form of a noun, and it with all that belongs to it."""
        settings = self.settings
        form = int(self._draw() * len(_ENDINGS))
        said = [_ARTICLES[form]]
        while self._happens(settings.adjective):
            said.append(self._one_of(_ADJECTIVES) + _ENDINGS[form])
        said.append(self._one_of(_NOUNS) + _ENDINGS[form])
        if depth < settings.depth:
            kind = self._draw()
            if kind < settings.phrase:
                said += [self._one_of(_PREPOSITIONS), *self._noun(depth + 1)[1]]
            elif kind < settings.phrase + settings.clause:
                said.append("che")
                if self._happens(0.5):
                    said += self._verb(form, depth + 1)
                else:
                    other, subject = self._noun(depth + 1)
                    said += [*subject, self._one_of(_TRANSITIVE) + _VERB_ENDINGS[other]]
        return form, said

    def _happens(self, chance: float) -> bool:
        return self._draw() < chance

    def _one_of(self, words: tuple[str, ...]) -> str:
        # Skewed, as words are: the first are more frequent than the last.
        return words[int(self._draw() ** 1.5 * len(words))]


def load_grammar(request: DataRequest, settings: GrammarSettings = GrammarSettings()) -> TextSplits:
    """Make the texts. ``request`` is not used: they come from a fixed seed."""
    return _make(settings)


@lru_cache(maxsize=2)
def _make(settings: GrammarSettings) -> TextSplits:
    nums = {"train": settings.num_train, "valid": settings.num_valid, "test": settings.num_valid}
    texts = {part: _Speaker(settings, part).words(num) for part, num in nums.items()}
    vocabulary = tuple(sorted(set().union(*texts.values())))
    index = {word: place for place, word in enumerate(vocabulary)}
    content = " ".join(word for words in texts.values() for word in words)
    tokens = {part: torch.tensor([index[word] for word in words]) for part, words in texts.items()}
    return TextSplits(
        name="grammar",
        vocabulary=vocabulary,
        train_tokens=tokens["train"],
        valid_tokens=tokens["valid"],
        test_tokens=tokens["test"],
        window=settings.window,
        trained_on="grammar",
        description={
            "source": f"sentences of the embedded grammar, seed {_SEED}, {settings}",
            "split": " ".join(f"{num} tokens to {part};" for part, num in nums.items()).rstrip(";"),
            "sha256": hashlib.sha256(content.encode()).hexdigest(),
        },
    )
