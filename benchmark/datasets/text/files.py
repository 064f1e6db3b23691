"""Texts that a user has: Penn Treebank by words, any other text by characters.

``ptb`` reads ``ptb.train.txt``, ``ptb.valid.txt`` and ``ptb.test.txt`` (Mikolov's 10,000 words), in
the folder of ``--data`` or in ``simple-examples/data`` or ``data`` below it; a line ends with
``<eos>``, as it does wherever perplexities on it are published. ``text`` reads the one file that
``--data`` names, and takes its first nine tenths to train, the next twentieth to validate and the
last one to test; or ``train.txt``, ``valid.txt`` and ``test.txt`` in the folder it names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmark.cli.errors import UserError
from benchmark.cli.text import decode
from benchmark.datasets.text.splits import TextSplits

if TYPE_CHECKING:
    from benchmark.datasets.splits import DataRequest

WINDOW = 35
"""Tokens through which gradients go back; 35 on Penn Treebank since Zaremba et al. (2014)."""
UNKNOWN = "<unk>"
END = "<eos>"
_PARTS = ("train", "valid", "test")
_SHARES = (0.9, 0.95)
"""Where, in a single file, the validation and the test text begin."""


def load_ptb(request: DataRequest) -> TextSplits:
    """Penn Treebank, by words.

    Raises:
        UserError: no folder is named, or its files are missing or not text.
    """
    names = {part: f"ptb.{part}.txt" for part in _PARTS}
    wanted = f"a folder with {', '.join(names.values())}"
    given = _given(request, f"ptb needs {wanted} (T. Mikolov's simple-examples)")
    folders = (given, given / "simple-examples" / "data", given / "data")
    folder = next((one for one in folders if (one / names["train"]).is_file()), None)
    if folder is None:
        raise UserError(f"ptb: --data must be {wanted}, and {given} is not; name that folder")
    texts = {part: _read(folder / name) for part, name in names.items()}
    words = {part: _words(text) for part, text in texts.items()}
    return _splits("ptb", "penn-treebank", words, texts, folder, "words")


def load_text(request: DataRequest) -> TextSplits:
    """Any text, by characters.

    Raises:
        UserError: no file is named, or it is missing, not text, or too short.
    """
    path = _given(request, "text needs a file, or a folder with train.txt, valid.txt and test.txt")
    if path.is_dir():
        texts = {part: _read(path / f"{part}.txt") for part in _PARTS}
    else:
        whole = _read(path)
        starts = [0, *(int(share * len(whole)) for share in _SHARES), len(whole)]
        pieces = zip(_PARTS, starts, starts[1:], strict=False)
        texts = {part: whole[start:stop] for part, start, stop in pieces}
    return _splits("text", "text", texts, texts, path, "characters")


def _given(request: DataRequest, wanted: str) -> Path:
    if request.folder is None:
        raise UserError(f"{wanted}: name it with --data")
    return request.folder.expanduser()


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the text {path}: {error.strerror or error}") from None
    try:
        text = decode(data)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is a text of unknown encoding: UTF-8 is wanted (or UTF-16 with a byte order "
            f"mark), and byte {error.start} is neither; convert it, for instance with: "
            f"iconv -f latin1 -t utf-8 {path.name}"
        ) from None
    if "\0" in text:
        raise UserError(f"{path} is no text: it has zero bytes; UTF-8 text is wanted")
    return text.replace("\r\n", "\n")


def _words(text: str) -> list[str]:
    return [word for line in text.splitlines() for word in (*line.split(), END)]


def _splits(
    name: str,
    trained_on: str,
    texts: Mapping[str, Sequence[str]],
    sources: Mapping[str, str],
    path: Path,
    unit: str,
) -> TextSplits:
    """Number the tokens of the training text; others are one unknown one."""
    vocabulary = sorted(set(texts["train"]))
    known = set(vocabulary)
    num_unknown = sum(token not in known for part in _PARTS[1:] for token in texts[part])
    if num_unknown and UNKNOWN not in known:
        vocabulary.append(UNKNOWN)
    index = {token: place for place, token in enumerate(vocabulary)}

    def numbers(tokens: Iterable[str]) -> torch.Tensor:
        rare = index.get(UNKNOWN, 0)
        return torch.tensor([index.get(token, rare) for token in tokens], dtype=torch.long)

    digest = hashlib.sha256("\0".join(sources[part] for part in _PARTS).encode()).hexdigest()
    counts = ", ".join(f"{len(texts[part])} to {part}" for part in _PARTS)
    return TextSplits(
        name=name,
        vocabulary=tuple(vocabulary),
        train_tokens=numbers(texts["train"]),
        valid_tokens=numbers(texts["valid"]),
        test_tokens=numbers(texts["test"]),
        window=WINDOW,
        trained_on=trained_on,
        description={
            "source": path.name,
            "split": f"{counts} {unit}, {len(vocabulary)} different ones; {num_unknown} unknown",
            "sha256": digest,
        },
    )
