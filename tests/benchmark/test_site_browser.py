"""The pages in a real browser, headless Chromium; skipped with the reason where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import write_run
from synthetic_searches import write_retrained, write_search

from benchmark.records.load import PREDICTION, load_predictions
from benchmark.study.file import write_study
from benchmark.study.jobs import jobs_of
from benchmark.study.site.write import write_site
from benchmark.study.studies import STUDIES
from kshot_core.spaces import NASBench201

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FOUND = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(FOUND is None, reason=f"none of {', '.join(NAMES)} is installed")
SPACE = NASBench201()
TIMEOUT = 120_000
SELECTED = 'one.get_model_by_name("archs")?.selected.indices.length'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with two runs, one of them of all architectures, and a search."""
    results = tmp_path_factory.mktemp("browser") / "results"
    study = STUDIES["table9"]
    for job in jobs_of(study, "tiny"):
        if job.row in ("K1", "K2"):
            write_run(results, job.config.flat())
    write_study(results, study, "tiny")
    run = write_run(results, {"K": 8, "seed": 3})
    scores, draws = np.zeros(15625, dtype=PREDICTION), np.random.default_rng(0)
    scores["index"] = np.arange(15625)
    scores["accuracy"], scores["true"] = draws.normal(60, 10, (2, 15625))
    scores["loss"] = 3 - scores["accuracy"] / 40
    np.save(run / "predictions.npy", scores)
    search = write_search(results, K=2)
    write_retrained(results, search, 77.5)
    return write_site(results).parent


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        # A container's root has no sandbox.
        launched = playwright.chromium.launch(executable_path=FOUND, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab without a network, in which no console error passes."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, offline=True)
    opened, errors = context.new_page(), list[str]()
    opened.set_default_timeout(TIMEOUT)
    opened.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert errors == []


def show(page: Any, path: Path) -> None:
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")


def one(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def place_of(page: Any, at: int) -> dict[str, float]:
    """Where an architecture's point is in the window."""
    place: dict[str, float] = page.evaluate(
        """async (at) => {
          const views = Bokeh.index.roots ?? Object.values(Bokeh.index);
          const view = [...views].find((one) => one.model.document.get_model_by_name("archs"));
          const data = view.model.document.get_model_by_name("archs").data;
          const renderer = view.model.renderers.find((one) => one.name === "points");
          const [x, y] = [renderer.glyph.x.field, renderer.glyph.y.field];
          const canvas = (view.canvas_view ?? view.canvas).el.getBoundingClientRect();
          return {x: canvas.x + view.frame.x_scale.compute(data[x][at]),
                  y: canvas.y + view.frame.y_scale.compute(data[y][at])};
        }""",
        at,
    )
    return place


def test_hovering_shows_the_architecture_its_drawing_and_ranks(site: Path, page: Any) -> None:
    show(page, one(site / "runs", "*one-shot-K1*"))
    run = one(site.parent / "records", "digits/nasbench201/one-shot-K1/*")
    scores = load_predictions(run)
    # The best and the worst are alone at their places.
    for at in (int(scores["accuracy"].argmax()), int(scores["accuracy"].argmin())):
        place = place_of(page, at)
        page.mouse.move(place["x"] + 40, place["y"] + 40)
        page.mouse.move(place["x"], place["y"])
        arch = SPACE.to_string(SPACE.from_index(int(scores["index"][at])))
        tip = page.locator(".tip").filter(has_text=arch)
        tip.wait_for()
        rank = 1 + int((scores["accuracy"] > scores["accuracy"][at]).sum())
        true = 1 + int((scores["true"] > scores["true"][at]).sum())
        assert f"predicted rank: {rank:,} of 400" in tip.inner_text()
        assert f"true rank: {true:,}" in tip.inner_text()
        drawing = tip.locator("img")
        assert drawing.evaluate("image => image.complete && image.naturalWidth > 0")
        page.locator("#chosen").filter(has_text=arch).wait_for()
        assert page.locator("#chosen svg").count() == 1


def test_sorting_sorts_by_value_with_the_keyboard_too(site: Path, page: Any) -> None:
    show(page, site / "studies" / "table9-tiny.html")
    table = page.locator("table.sortable").first

    def taus() -> list[float]:
        return [
            float(value)
            for value in table.locator("tbody tr td:nth-child(2)").evaluate_all(
                "cells => cells.map((cell) => cell.dataset.value)"
            )
            if value not in (None, "nan")
        ]

    unsorted = taus()
    assert len(unsorted) > 3
    assert unsorted != sorted(unsorted)
    button = table.locator("thead button").nth(1)
    button.click()
    assert taus() == sorted(unsorted)
    button.focus()
    page.keyboard.press("Enter")
    assert taus() == sorted(unsorted, reverse=True)
    assert table.locator("th").nth(1).get_attribute("aria-sort") == "descending"
    # Rows without a run have no value, and stay below.
    assert "no run" in table.locator("tbody tr").last.inner_text()


def test_every_page_is_reached_from_the_list_and_loads(site: Path, page: Any) -> None:
    show(page, site / "index.html")
    links = page.locator("main a").evaluate_all("links => links.map((link) => link.href)")
    assert len({*links}) == 1 + 3 + 1
    for link in dict.fromkeys(links):
        page.goto(link)
        page.wait_for_selector("html[data-ready]", state="attached")
        # What is wide scrolls inside itself, on a telephone as well.
        page.set_viewport_size({"width": 390, "height": 800})
        page.wait_for_function("document.documentElement.scrollWidth <= 390")
        page.set_viewport_size({"width": 1200, "height": 900})
    page.locator("header a").click()
    assert page.url == (site / "index.html").as_uri()


def test_score_rank_and_brush_of_all_architectures(site: Path, page: Any) -> None:
    show(page, one(site / "runs", "*simplex-K8--seed3*"))
    scores = load_predictions(one(site.parent / "records", "digits/nasbench201/simplex-K8/seed3*"))
    best = SPACE.to_string(SPACE.from_index(int(scores["accuracy"].argmax())))
    page.locator("#rank").focus()
    page.keyboard.type("1")
    assert best in page.locator("#chosen").inner_text()
    before = place_of(page, int(scores["loss"].argmin()))
    page.locator("#score").select_option("minus_loss")
    page.locator("#clear").click()
    assert "Point at" in page.locator("#chosen").inner_text()
    # The same order, so that the axis in the end shows the point where it was.
    page.wait_for_timeout(500)
    top = place_of(page, int(scores["loss"].argmin()))
    assert abs(top["x"] - before["x"]) < 20
    # A box around the best.
    page.mouse.move(top["x"] - 200, top["y"] + 60)
    page.mouse.down()
    page.mouse.move(top["x"] + 6, top["y"] - 60, steps=4)
    page.mouse.up()
    page.wait_for_function(f"Bokeh.documents.some((one) => {SELECTED} > 1)")
    page.wait_for_function(
        "document.getElementById('chosen').textContent.includes('architectures')"
    )
    assert best in page.locator("#chosen").inner_text()
    # Drawn anew in a moment: pointing and panning stay smooth.
    milliseconds = page.evaluate(
        """() => {
          const source = Bokeh.documents.map((one) => one.get_model_by_name("archs")).find(Boolean);
          const begin = performance.now();
          source.selected.indices = [];
          return performance.now() - begin;
        }"""
    )
    assert milliseconds < 2000


def test_front_has_each_points_drawing(site: Path, page: Any) -> None:
    show(page, one(site / "searches", "*"))
    rows = page.locator("#front ~ .wide").first.locator("tbody tr")
    assert rows.count() > 1
    assert rows.locator("svg").count() == rows.count()
    assert page.get_by_text("chosen", exact=True).count() >= 1
