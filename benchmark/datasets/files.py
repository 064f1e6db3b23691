"""Finding, checking and fetching the published files of a data set.

Folders are looked through in the order ``--data``, ``$KSHOT_DATA``, cache. A data set's files
may lie in the folder itself, in a subfolder of their published name, or packed in the published
archive, which is read where it lies and never unpacked to disk.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import textwrap
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pooch  # type: ignore[import-untyped]
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from benchmark.cli.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmark.datasets.splits import DataRequest

DATA_VARIABLE = "KSHOT_DATA"
_BLOCK_BYTES = 1 << 20
# Ten times the largest file of a published archive.
_MOST_BYTES = 1 << 31


@dataclass(frozen=True)
class Layout:
    """One published form of a data set.

    Args:
        folder: name of the folder the files are published in.
        files: the files needed, and their published MD5; None where none is published.
        extra: files that are read if they are there, likewise.
        archive: name of the published ``.tar.gz`` of that folder, if there is one.
        archive_md5: the archive's published MD5.
    """

    folder: str
    files: Mapping[str, str | None]
    archive: str | None = None
    archive_md5: str | None = None
    extra: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Located:
    """A layout found on disk: ``path`` is its folder, or its archive when ``packed``."""

    path: Path
    layout: Layout
    packed: bool


@dataclass(frozen=True)
class DataFile:
    """One file's content, checksum verified where one is published.

    ``where`` is its full name and ``remedy`` what to do with a bad one, both for errors.
    """

    name: str
    where: str
    content: bytes
    md5: str
    remedy: str

    def error(self, text: str) -> UserError:
        """What to raise when the content is not as wanted."""
        return UserError(f"{self.where}: {text}; {self.remedy}")


def cache_folder() -> Path:
    """Where downloads are kept: the system's cache folder for this program."""
    return Path(pooch.os_cache("kshot-nas"))


def search_folders(request: DataRequest) -> dict[str, Path]:
    """The folders to look through, in order, under the names a user knows them by.

    Raises:
        UserError: ``--data`` or ``$KSHOT_DATA`` is not a folder.
    """
    folders: dict[str, Path] = {}
    if request.folder is not None:
        folders["--data"] = request.folder.expanduser()
    if os.environ.get(DATA_VARIABLE):
        folders[f"${DATA_VARIABLE}"] = Path(os.environ[DATA_VARIABLE]).expanduser()
    for option, folder in folders.items():
        if not folder.is_dir():
            came = "is a file" if folder.exists() else "does not exist"
            raise UserError(
                f"{option} must be a folder with the data set's files, but {folder} {came}; "
                f"give an existing folder or leave {option} out"
            )
    folders["cache"] = cache_folder()
    return folders


def locate(layouts: Sequence[Layout], folders: Mapping[str, Path]) -> Located | None:
    """The first complete layout: by folder first, then in the order of ``layouts``."""
    for folder in folders.values():
        for layout in layouts:
            for candidate in (folder / layout.folder, folder):
                if all(_is_file(candidate / name) for name in layout.files):
                    return Located(candidate, layout, packed=False)
            if layout.archive is not None and _is_file(folder / layout.archive):
                return Located(folder / layout.archive, layout, packed=True)
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise UserError(f"cannot look at {path}: {error.strerror}; allow it or move it") from None


def describe_absence(layouts: Sequence[Layout], folders: Mapping[str, Path]) -> str:
    """What was looked for, where, and which folders hold only a part of it."""
    names = [f"{layout.folder}/" for layout in layouts]
    names += [layout.archive for layout in layouts if layout.archive is not None]
    text = f"looked for {' or '.join(names)} in {describe_places(folders)}"
    for folder in folders.values():
        for layout in layouts:
            for candidate in (folder / layout.folder, folder):
                lacking = [name for name in layout.files if not _is_file(candidate / name)]
                if candidate.is_dir() and lacking and len(lacking) < len(layout.files):
                    text += f"; {candidate} lacks {', '.join(lacking)}"
    return text


def describe_places(folders: Mapping[str, Path]) -> str:
    """The folders looked through, under the names a user knows them by."""
    places = [f"{option} ({folder})" for option, folder in folders.items()]
    if f"${DATA_VARIABLE}" not in folders:
        places.append(f"${DATA_VARIABLE} (not set)")
    return ", ".join(places)


def read_files(located: Located, remedy: str) -> Iterator[DataFile]:
    """The layout's files, then its extra ones that are there, in the layout's order.

    They are read one at a time unless they are packed.

    Args:
        located: what :func:`locate` found.
        remedy: what an error tells the user to do with a damaged file.

    Raises:
        UserError: a file cannot be read, or its MD5 is not the published one.
    """
    layout = located.layout
    unpacked = _read_archive(located.path, layout, remedy) if located.packed else None
    for name, wanted in {**layout.files, **layout.extra}.items():
        where = str(located.path / name)
        there = _is_file(located.path / name) if unpacked is None else name in unpacked
        if name in layout.extra and not there:
            continue
        if unpacked is None:
            try:
                content = (located.path / name).read_bytes()
            except OSError as error:
                raise UserError(f"cannot read {where}: {error.strerror}; {remedy}") from None
        else:
            content = unpacked.pop(name)
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        _check_md5(where, wanted, md5, remedy)
        yield DataFile(name, where, content, md5, remedy)


def _read_archive(path: Path, layout: Layout, remedy: str) -> dict[str, bytes]:
    """The layout's files and its extra ones from its archive.

    In one pass: going back in a gzip file starts it anew.
    """
    contents: dict[str, bytes] = {}
    try:
        digest = hashlib.md5(usedforsecurity=False)
        with path.open("rb") as file:
            for block in iter(lambda: file.read(_BLOCK_BYTES), b""):
                digest.update(block)
        _check_md5(str(path), layout.archive_md5, digest.hexdigest(), remedy)
        members = {f"{layout.folder}/{name}": name for name in (*layout.files, *layout.extra)}
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                opened = archive.extractfile(member) if member.name in members else None
                if opened is not None and member.size > _MOST_BYTES:
                    raise tarfile.TarError(f"{member.name} says it has {member.size} bytes")
                if opened is not None:
                    contents[members[member.name]] = opened.read()
                if len(contents) == len(members):
                    break
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise UserError(f"cannot read {path} ({error}); {remedy}") from None
    lacking = [name for name in layout.files if name not in contents]
    if lacking:
        raise UserError(f"{path} lacks {layout.folder}/{', '.join(lacking)}; {remedy}")
    return contents


def _check_md5(where: str, wanted: str | None, came: str, remedy: str) -> None:
    if wanted is not None and came != wanted:
        raise UserError(
            f"{where}: wrong checksum, wanted the published MD5 {wanted}, got {came}; "
            f"the file is damaged or altered: {remedy}"
        )


def download(url: str, md5: str) -> Path:
    """Download ``url`` into the cache folder, with a progress bar on a terminal; its path.

    The file appears under its name only when it is whole and its MD5 is right.

    Raises:
        UserError: the download failed; the message says how to get the file by hand.
    """
    name = url.rsplit("/", 1)[-1]
    folder = cache_folder()
    try:
        with _Bar(name) as bar:
            fetch = pooch.HTTPDownloader(progressbar=bar, chunk_size=_BLOCK_BYTES // 4)
            path = pooch.retrieve(url, f"md5:{md5}", name, folder, downloader=fetch)
    # requests' errors are OSErrors; pooch reports a wrong checksum as ValueError.
    except (OSError, ValueError) as error:
        reason = textwrap.shorten(str(error), 200, placeholder=" ...")
        raise UserError(
            f"cannot download {url} ({reason}); get this file by hand (MD5 {md5}) and put it, "
            f"not unpacked, into {folder}, or into a folder given by --data or ${DATA_VARIABLE}"
        ) from None
    return Path(path)


class _Bar:
    """A rich progress bar as pooch wants it: ``total``, ``update``, ``reset``, ``close``."""

    def __init__(self, name: str) -> None:
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        # A log file gets pooch's one line about the download, not a bar per refresh.
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._progress.add_task(name, total=None)
        self.total = 0

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, num_bytes: int) -> None:
        """``num_bytes`` more have arrived."""
        self._progress.update(self._task, advance=num_bytes, total=self.total or None)

    def reset(self) -> None:
        """Start again at zero; pooch does so before it sets the bar to its end."""
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()
