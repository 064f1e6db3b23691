"""Pages for a browser: functions of records, self-contained, linked, true to what was scored."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shlex
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import truth_values, write_run
from synthetic_searches import change, write_retrained, write_search

from benchmark.cli.errors import UserError
from benchmark.config.run import RunConfig
from benchmark.config.search import SearchConfig, search_config
from benchmark.records.load import PREDICTION, load_predictions
from benchmark.report import command as report
from benchmark.run import command as run_program
from benchmark.search import command as search_program
from benchmark.study.common import effective
from benchmark.study.file import write_study
from benchmark.study.jobs import jobs_of
from benchmark.study.site.again import run_command, search_command
from benchmark.study.site.archs import ranks
from benchmark.study.site.write import write_site
from benchmark.study.studies import STUDIES
from benchmark.views.sketch import sketches
from benchmark.views.style import KINDS
from kshot_core.spaces import SPACES, NASBench201

LIMIT = 5_000_000


class Links(HTMLParser):
    """Everything that a page points at, and its ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src"):
                self.targets.append(value or "")
            if name == "id":
                self.ids.append(value or "")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of rankings with a figure, a run of none, a search and what it found."""
    results = tmp_path_factory.mktemp("site") / "results"
    study = STUDIES["table9"]
    for job in jobs_of(study, "tiny"):
        if job.row in ("K1", "K2"):
            write_run(results, job.config.flat())
    path = write_study(results, study, "tiny")
    (path.parent / "scatter.png").write_bytes(b"drawn elsewhere")
    write_run(results, {"K": 8, "seed": 3})
    search = write_search(results, K=2)
    write_retrained(results, search, 77.5)
    write_search(results, K=4, ensemble="max", space="nasbench201", channels=4, cells=1)
    write_site(results)
    return results


def pages(results: Path) -> list[Path]:
    return sorted((results / "site").rglob("*.html"))


def columns(page: Path) -> dict[str, Any]:
    """The columns of a page's architectures, as bokeh's JSON holds them."""
    text = page.read_text(encoding="utf-8")
    (found,) = re.findall(r'data-plot="scatter">(.*?)</script>', text, re.DOTALL)
    for one in every(json.loads(found)):
        if one.get("name") == "ColumnDataSource" and one["attributes"].get("name") == "archs":
            entries = one["attributes"]["data"]["entries"]
            return {name: values(column) for name, column in entries}
    raise AssertionError("no architectures")


def every(value: Any) -> list[dict[str, Any]]:
    """All objects inside a JSON value."""
    inner = list(value.values()) if isinstance(value, dict) else value
    own = [value] if isinstance(value, dict) else []
    return own + [o for part in inner if isinstance(part, (dict, list)) for o in every(part)]


def values(column: Any) -> Any:
    if isinstance(column, list):
        return column
    data = column["array"]["data"]
    return np.frombuffer(gzip.decompress(base64.b64decode(data)), column["dtype"])


def test_each_study_run_and_search_has_its_page(results: Path) -> None:
    names = [page.relative_to(results / "site").as_posix() for page in pages(results)]
    counts = {kind: sum(name.startswith(kind) for name in names) for kind in
              ("index", "studies/", "runs/", "searches/")}  # fmt: skip
    assert counts == {"index": 1, "studies/": 1, "runs/": 3, "searches/": 2}
    assert all(page.stat().st_size < LIMIT for page in pages(results))


def test_every_link_leads_somewhere_on_disk(results: Path) -> None:
    for page in pages(results):
        links = Links(page.read_text(encoding="utf-8"))
        assert links.targets
        assert len(links.ids) == len(set(links.ids))
        for target in links.targets:
            if target == "data:,":
                continue
            assert not re.match(r"[a-z]+:|//", target), f"{target} needs a network"
            name, _, anchor = target.partition("#")
            assert not name or (page.parent / name).is_file(), f"{page.name}: {target}"
            assert not anchor or anchor in links.ids


def test_study_page_says_what_the_study_does(results: Path) -> None:
    text = (results / "site/studies/table9-tiny.html").read_text(encoding="utf-8")
    study = STUDIES["table9"]
    assert study.question in unescape(text)
    assert text.count("<table") == len(study.tables) + 1
    assert "../figures/table9-tiny/scatter.png" in text
    assert (results / "site/figures/table9-tiny/scatter.png").read_bytes() == (
        results / "studies/table9-tiny/scatter.png"
    ).read_bytes()


def test_run_page_has_each_arch_with_its_scores_and_ranks(results: Path) -> None:
    (page,) = (results / "site" / "runs").glob("*simplex-K8--seed3-*")
    (run,) = (results / "records").glob("digits/nasbench201/simplex-K8/seed3-*")
    found, scores, space = columns(page), load_predictions(run), NASBench201()
    archs = [space.from_index(int(index)) for index in scores["index"]]
    assert found["arch"] == [space.to_string(arch) for arch in archs]
    np.testing.assert_array_equal(found["true"], truth_values().astype(np.float32))
    np.testing.assert_array_equal(found["minus_loss"], -scores["loss"])
    # Of the rank's meaning, one by one: how many are better.
    better = (scores["accuracy"][None] > scores["accuracy"][:, None]).sum(1)
    np.testing.assert_array_equal(found["rank_accuracy"], 1 + better)
    assert found["mflops"][5] == pytest.approx(space.live_flops(archs[5]) / 1e6)
    assert found["convolutions"].tolist() == [space.num_convolutions(arch) for arch in archs]
    assert found["letters"] == list(sketches(space, archs).letters)


def test_ranks_share_ties_and_leave_out_the_unknown() -> None:
    assert ranks([3.0, 5.0, 5.0, 1.0])[:3].tolist() == [3, 1, 1]
    np.testing.assert_array_equal(ranks([np.nan, 2.0]), [np.nan, 1.0])


def test_search_page_draws_the_front(results: Path) -> None:
    (page,) = (results / "site" / "searches").glob("*simplex-K2*")
    (search,) = (results / "searches").glob("digits/mobilenetv2/simplex-K2/*")
    front = pd.read_csv(search / "front.csv")
    text = page.read_text(encoding="utf-8").partition('id="front"')[2]
    assert text.count("<svg") == len(front)
    assert all(f'aria-label="{arch}"' in text for arch in front["arch"])
    assert "77.50" in text
    assert len(columns(page)["arch"]) == 60


def test_pages_are_functions_of_records(results: Path, tmp_path: Path) -> None:
    before = {page: page.read_bytes() for page in pages(results)}
    times = {page: page.stat().st_mtime_ns for page in before}
    write_site(results)
    kept = [page for page in before if page.name != "index.html"]
    assert {page: page.stat().st_mtime_ns for page in kept} == {page: times[page] for page in kept}
    (results / "site" / "pages.json").write_text("damaged", encoding="utf-8")
    write_site(results)
    assert {page: page.read_bytes() for page in pages(results)} == before


def test_a_changed_record_changes_its_page_alone(tmp_path: Path) -> None:
    run, other = write_run(tmp_path, {"K": 2}), write_run(tmp_path, {"K": 4})
    write_site(tmp_path)
    made = {page.name: page.read_text(encoding="utf-8") for page in pages(tmp_path)}
    change(run, environment={"processor": "another <one>"})
    write_site(tmp_path)
    now = {page.name: page.read_text(encoding="utf-8") for page in pages(tmp_path)}
    differing = [name for name in made if made[name] != now[name]]
    assert len(differing) == 1
    assert "another &lt;one&gt;" in now[differing[0]]
    (other / "record.json").unlink()
    write_site(tmp_path)
    assert len(pages(tmp_path)) == len(now) - 1


def test_a_record_of_a_strategy_that_is_not_here_has_its_page(tmp_path: Path) -> None:
    write_run(tmp_path, {"K": 2, "sharing": "of-a-student"})
    write_site(tmp_path)
    (page,) = (tmp_path / "site" / "runs").iterdir()
    assert "not by this version: --sharing is one of" in unescape(page.read_text(encoding="utf-8"))


def test_all_of_nasbench201_is_a_page_of_moderate_size(tmp_path: Path) -> None:
    run = write_run(tmp_path, {"K": 8})
    scores = np.zeros(15625, dtype=PREDICTION)
    scores["index"] = np.arange(15625)
    draws = np.random.default_rng(0)
    scores["accuracy"], scores["true"] = draws.uniform(0, 100, (2, 15625))
    np.save(run / "predictions.npy", scores)
    write_site(tmp_path)
    (page,) = (tmp_path / "site" / "runs").iterdir()
    assert len(columns(page)["arch"]) == 15625
    assert page.stat().st_size < LIMIT


def test_damage_is_said_in_a_line_and_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no record and no study found"):
        write_site(tmp_path)
    run = write_run(tmp_path, {"K": 2})
    (run / "predictions.npy").write_bytes(b"cut short")
    with pytest.raises(UserError, match=r"predictions.npy is damaged or cut short"):
        write_site(tmp_path)


def test_report_makes_pages_and_opens_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results, opened = tmp_path, list[str]()
    write_run(results, {"K": 2})
    monkeypatch.setattr(report.webbrowser, "open", lambda url: opened.append(url) or True)
    report.main(["--results", str(results), "--open"])
    assert opened == [(results / "site" / "index.html").resolve().as_uri()]
    assert "index.html" in capsys.readouterr().out.replace("\n", "")
    monkeypatch.setattr(report.webbrowser, "open", lambda url: False)
    with pytest.raises(UserError, match="no browser was found"):
        report.main(["--results", str(results), "--open"])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"K": 1, "sharing": "one-shot", "seed": 7},
        {"K": 4, "sharing": "few-shot", "epochs": 2, "warmup_epochs": 0, "nesterov": False},
        {"dataset": "cifar10", "preset": "proxy", "epochs": 3, "warmup_epochs": 3, "affine": True},
    ],
)
def test_command_makes_the_same_run_again(changes: dict[str, Any]) -> None:
    config = RunConfig.of(**changes)
    program, *words = shlex.split(run_command(config.to_dict()))[2:]
    assert program == "benchmark.run"
    (again,) = run_program.parse(words).configs
    assert effective(again) == effective(config)
    assert (again.seed, again.preset) == (config.seed, config.preset)


@pytest.mark.parametrize("ensemble", ["", "average"])
def test_command_makes_the_same_search_again(ensemble: str) -> None:
    settings = {"K": 3, "epochs": 7, "seed": 2, "population": 14, "ensemble": ensemble}
    config = search_config("small", "digits", settings)
    assert isinstance(config, SearchConfig)
    program, *words = shlex.split(search_command(config.to_dict()))[2:]
    assert program == "benchmark.search"
    assert search_program.parse(words).config == config


@pytest.mark.parametrize("name", SPACES)
def test_every_space_has_sketches(name: str) -> None:
    space = SPACES[name]()
    generator = Random(0)
    archs = list(dict.fromkeys(space.sample(generator) for _ in range(6)))
    drawn = sketches(space, archs)
    assert len({drawn.svg(at, "") for at in range(len(archs))}) == len(archs)
    assert "&lt;arch&gt;" in drawn.svg(0, "<arch>")
    assert len(drawn.fragments) < sum(map(len, drawn.letters))


def test_sketch_tells_operations_and_dead_edges_apart() -> None:
    space = NASBench201()
    # Node 1 has no input, so that what follows it is not live.
    dead = space.from_string("|none~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|none~1|none~2|")
    drawn = sketches(space, [dead, space.extremes()[1]])
    colour = KINDS[space.drawing(space.extremes()[1])[0].edges[0].kind - 1]
    assert "3×3" in drawn.svg(0, "")
    assert colour not in drawn.svg(0, "")
    assert drawn.svg(1, "").count(colour) == 18


def test_a_space_without_a_drawing_is_boxes() -> None:
    drawn = sketches(Undrawn(NASBench201()), [(0, 1, 2, 3, 4, 0)])
    assert re.findall(r">(\d)</text>", drawn.svg(0, "")) == list("012340")


class Undrawn:
    """A space that nobody has said how to draw."""

    def __init__(self, space: Any) -> None:
        self.num_choices = space.num_choices
