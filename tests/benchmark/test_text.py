"""Texts: the embedded grammar, Penn Treebank's files and any other, and what is no text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmark.cli.errors import UserError
from benchmark.datasets.splits import DataRequest
from benchmark.datasets.text.files import load_ptb, load_text
from benchmark.datasets.text.grammar import GrammarSettings, load_grammar
from benchmark.datasets.text.splits import TextSplits

SMALL = GrammarSettings(num_train=6000, num_valid=2000)
FORMS = ("o", "i", "a", "e")
VERBS = ("ut", "er", "av", "on")
ARTICLES = ("il", "li", "la", "le")


def words(splits: TextSplits, tokens: torch.Tensor) -> list[str]:
    return [splits.vocabulary[token] for token in tokens]


def sentences(said: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for word in said:
        found[-1].append(word)
        if word == ".":
            found.append([])
    return found[:-1]


# The grammar.


def verb_form(word: str) -> int | None:
    stems = ("dorm", "cant", "sogn", "ved", "cerc", "tem")
    return next((VERBS.index(word[len(s) :]) for s in stems if word[len(s) :] in VERBS), None)


class Parser:
    """Recursive descent through a sentence; fails where words do not agree."""

    def __init__(self, sentence: list[str]) -> None:
        self.rest, self.distances = list(sentence), [0]
        self.at = 0

    def take(self) -> str:
        self.at += 1
        return self.rest.pop(0)

    def noun(self) -> tuple[int, int]:
        form = ARTICLES.index(self.take())
        while True:
            word = self.take()
            assert word.endswith(FORMS[form])
            if word[:-1] not in ("alt", "bell", "nuov"):
                break
        place = self.at
        if self.rest and self.rest[0] in ("con", "dopo"):
            self.take()
            self.noun()
        elif self.rest and self.rest[0] == "che":
            self.take()
            if self.rest[0] in ARTICLES:
                other, begun = self.noun()
                self.verb(other, begun, thing=False)
            else:
                self.verb(form, place)
        return form, place

    def verb(self, form: int, place: int, thing: bool = True) -> None:
        word = self.take()
        assert verb_form(word) == form
        self.distances.append(self.at - place)
        if thing and word[:-2] in ("ved", "cerc", "tem"):
            self.noun()

    def sentence(self) -> None:
        form, place = self.noun()
        self.verb(form, place)
        if self.rest[0] == "e":
            self.take()
            self.verb(form, place)
        assert self.rest == ["."]


def test_every_word_agrees_however_far_off() -> None:
    splits = load_grammar(DataRequest(), SMALL)
    distances: list[int] = []
    for sentence in sentences(words(splits, splits.train_tokens)):
        parser = Parser(sentence)
        parser.sentence()
        distances += parser.distances
    # Verbs stand next to their subjects, and ten words and more off.
    assert {1, 2, 3, 5, 8} <= set(distances)
    assert sum(distance >= 10 for distance in distances) > 20


def test_the_grammar_is_the_same_text_every_time_and_three_texts() -> None:
    splits = load_grammar(DataRequest(), SMALL)
    again = load_grammar(DataRequest(seed=3), GrammarSettings(num_train=6000, num_valid=2000))
    assert torch.equal(splits.train_tokens, again.train_tokens)
    assert not torch.equal(splits.valid_tokens, splits.test_tokens)
    assert not torch.equal(splits.train_tokens[:2000], splits.valid_tokens)
    longer = load_grammar(DataRequest(), GrammarSettings(num_train=7000, num_valid=2000))
    first = words(longer, longer.train_tokens)[:6000]
    assert first == words(splits, splits.train_tokens)
    # Every form of every word comes up.
    assert splits.num_classes == 4 + 6 * 4 + 3 * 4 + 2 + 3 * 4 + 3 * 4 + len(["che", "e", "."])


def test_windows_are_what_is_counted() -> None:
    splits = load_grammar(DataRequest(), SMALL)
    assert (splits.num_train, splits.num_valid, splits.num_test) == (299, 99, 99)
    assert splits.first(40).num_train == 40
    device = torch.device("cpu")
    assert len(splits.training(device)) == 299
    x, y = splits.validation(device).scoring_batches(4, 8)[0]
    assert torch.equal(x[0], splits.valid_tokens[:20])
    assert torch.equal(y[0], splits.valid_tokens[1:21])
    assert torch.equal(splits.test(device).scoring_batches(1)[0][0][0], splits.test_tokens[:20])


# Files.


def write_ptb(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = {
        "train": " the cat <unk> N times \n it sat \n" * 30,
        "valid": " the dog sat \n" * 30,
        "test": " it <unk> \n" * 40,
    }
    for part, text in lines.items():
        (folder / f"ptb.{part}.txt").write_text(text)
    return folder


@pytest.mark.parametrize("below", ["", "data", "simple-examples/data"])
def test_penn_treebank_is_read_by_words_and_ends_of_lines(tmp_path: Path, below: str) -> None:
    write_ptb(tmp_path / below)
    splits = load_ptb(DataRequest(folder=tmp_path))
    assert splits.vocabulary == ("<eos>", "<unk>", "N", "cat", "it", "sat", "the", "times")
    assert words(splits, splits.train_tokens[:9]) == [
        "the",
        "cat",
        "<unk>",
        "N",
        "times",
        "<eos>",
        "it",
        "sat",
        "<eos>",
    ]
    # A word that the training text has not is the unknown one.
    assert words(splits, splits.valid_tokens[:4]) == ["the", "<unk>", "sat", "<eos>"]
    assert splits.trained_on == "penn-treebank"
    assert "30 unknown" in splits.description["split"]


def test_a_file_is_read_by_characters_and_cut_in_three(tmp_path: Path) -> None:
    text = "abcd " * 399 + "zwölf"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path = tmp_path / f"{encoding}.txt"
        path.write_text(text, encoding=encoding)
        splits = load_text(DataRequest(folder=path))
        assert [len(t) for t in (splits.train_tokens, splits.valid_tokens)] == [1800, 100]
        assert splits.vocabulary == (" ", "a", "b", "c", "d", "<unk>")
        assert words(splits, splits.test_tokens[-6:]) == [" ", *["<unk>"] * 5]


def test_a_folder_has_its_own_three_texts(tmp_path: Path) -> None:
    for part, num in (("train", 100), ("valid", 50), ("test", 40)):
        (tmp_path / f"{part}.txt").write_bytes(b"ab\r\n" * num)
    splits = load_text(DataRequest(folder=tmp_path))
    assert splits.vocabulary == ("\n", "a", "b")
    assert [len(t) for t in (splits.train_tokens, splits.valid_tokens, splits.test_tokens)] == [
        300,
        150,
        120,
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Überall".encode("latin-1") * 200, "unknown encoding.*byte 0 is neither.*iconv"),
        (bytes(range(1, 256)) * 20, "unknown encoding"),
        (b"abc\0" * 200, "zero bytes"),
        (b"abc", "2 tokens; two windows of 35"),
        (b"", "0 tokens"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        load_text(DataRequest(folder=path))
    assert "\n" not in str(caught.value)


def test_missing_texts_are_named(tmp_path: Path) -> None:
    for load, said in ((load_ptb, "ptb needs a folder"), (load_text, "text needs a file")):
        with pytest.raises(UserError, match=f"{said}.*--data"):
            load(DataRequest())
    with pytest.raises(UserError, match=r"cannot read the text .*absent: No such file"):
        load_text(DataRequest(folder=tmp_path / "absent"))
    with pytest.raises(UserError, match=r"ptb: --data must be a folder with ptb\.train\.txt"):
        load_ptb(DataRequest(folder=tmp_path))
    write_ptb(tmp_path)
    (tmp_path / "ptb.valid.txt").unlink()
    with pytest.raises(UserError, match=r"ptb\.valid\.txt: No such file"):
        load_ptb(DataRequest(folder=tmp_path))


def test_a_real_text(shared_file: Callable[[str], Path]) -> None:
    path = shared_file("text/tinyshakespeare.txt")
    splits = load_text(DataRequest(folder=path))
    assert splits.num_classes == 65
    assert len(splits.train_tokens) == 1_003_854
    assert splits.description["split"].endswith("65 different ones; 0 unknown")
    assert "".join(words(splits, splits.train_tokens[:14])) == "First Citizen:"
