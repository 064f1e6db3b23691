"""Names and links in what a program reads or removes lead nowhere out of where it looks."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from runs import TINY

from benchmark.cli.errors import UserError
from benchmark.config.run import RunConfig
from benchmark.datasets.files import Layout, Located, read_files
from benchmark.train.kept import clear, kept_supernets

SECRET = b"something else"


@pytest.mark.parametrize("part", ["dataset", "space", "sharing", "sampler"])
@pytest.mark.parametrize("name", ["../../elsewhere", "/etc", "digits/../..", "a\0b"])
def test_a_config_names_no_folder(part: str, name: str) -> None:
    values = TINY.to_dict()
    values[part] = {**values[part], "name": name}
    with pytest.raises(UserError) as refused:
        RunConfig.from_dict(values)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_in_an_archive_is_not_followed(kind: bytes, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(SECRET)
    path = tmp_path / "data.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("data/batch")
        member.type, member.linkname = kind, str(outside)
        archive.addfile(member)
    layout = Layout("data", {"batch": None}, path.name)
    with pytest.raises(UserError, match=r"data\.tar\.gz") as refused:
        list(read_files(Located(path, layout, packed=True), "fetch it again"))
    assert "\n" not in str(refused.value)


def test_an_archive_is_unpacked_nowhere_and_only_what_is_wanted_is_read(tmp_path: Path) -> None:
    path = tmp_path / "in" / "data.tar.gz"
    path.parent.mkdir()
    wanted = {"data/batch": b"content", "../batch": SECRET, "/data/batch": SECRET, "data/b": SECRET}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in reversed(wanted.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    before = sorted(tmp_path.rglob("*"))
    layout = Layout("data", {"batch": None}, path.name)
    (found,) = read_files(Located(path, layout, packed=True), "fetch it again")
    assert found.content == b"content"
    assert sorted(tmp_path.rglob("*")) == before


def test_weights_are_not_cleared_behind_a_link(tmp_path: Path) -> None:
    results, place = tmp_path / "results", Path("supernets", "digits", "nasbench201", "simplex-K8")
    (results / place).mkdir(parents=True)
    own, other = results / place / "seed0-a", tmp_path / "other" / place / "seed1-a"
    for folder in (own, other):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({}))
        for name in ("checkpoint.safetensors", "checkpoint-before.safetensors"):
            (folder / name).write_bytes(SECRET)
    (results / place / "seed1-a").symlink_to(other)
    assert len(kept_supernets(results)) == 2
    with pytest.raises(UserError, match=r"seed1-a.* leads out of .*; clear it there"):
        clear(results, ["all"])
    assert len(list(tmp_path.rglob("*.safetensors"))) == 4, "nothing was removed"
    (gone,) = clear(results, ["seed0-a"])
    assert (gone.path, gone.num_bytes) == (own, 2 * len(SECRET))
    assert not list(own.glob("*.safetensors"))
    # A whole disk for supernets is another matter.
    (results / "supernets").rename(tmp_path / "disk")
    (results / "supernets").symlink_to(tmp_path / "disk")
    (own / "checkpoint.safetensors").write_bytes(SECRET)
    assert len(clear(results, ["seed0-a"])) == 1
