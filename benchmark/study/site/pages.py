"""The pages: HTML of the list of studies, a study, a run and a search, from their records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from benchmark.records.load import load_codes, load_log
from benchmark.records.load_searches import load_front
from benchmark.study.definition import StudyData
from benchmark.study.page import command, common_text, facts_of
from benchmark.study.site import plots
from benchmark.study.site.again import or_why_not, run_command, search_command
from benchmark.study.site.archs import Archs, archs_of_run, archs_of_search
from benchmark.study.site.cells import Cell, Grid, facts, number, table_grid
from benchmark.study.site.grids import (
    Mention,
    retrained_grid,
    run_title,
    runs_grid,
    search_title,
    searches_grid,
)
from benchmark.views.ranks import AGREEMENT, CONTROLS
from benchmark.views.values import MISSING, text

Row = Mapping[str, Any]
_METRICS = (
    ("kendall_tau_b", "tau-b (%)", 100.0),
    ("kendall_tau_a", "tau-a (%)", 100.0),
    ("spearman", "Spearman (%)", 100.0),
    ("pearson", "Pearson (%)", 100.0),
    ("tau_top.0.1", "tau of the true top 10 % (%)", 100.0),
    ("p_at_top.0.05", "P@top 5 % (%)", 100.0),
    ("regret", "regret (points)", 1.0),
)
_LOSSES = {"weight_loss": "weights", "simplex_loss": "simplex-net", "loss": "loss"}


def study_file(data: StudyData) -> str:
    """The file name of a study's page."""
    return f"{data.study.name}-{data.scale}.html"


def index_page(
    studies: Sequence[StudyData],
    runs: pd.DataFrame,
    searches: pd.DataFrame,
    mentions: Mapping[str, Sequence[Mention]],
) -> str:
    """All studies with question and answer, and all runs and searches in tables.

    Args:
        studies: their data.
        runs: all of them, with ``folder``.
        searches: likewise.
        mentions: where a record stands in studies, by its folder.
    """
    cards = [
        {
            "title": data.study.title,
            "scale": data.scale,
            "link": f"studies/{study_file(data)}",
            "question": data.study.question,
            "answer": data.answer,
            "command": command(data.study, data.scale),
        }
        for data in studies
    ]
    return _render(
        "index.html", root="", title="Results", cards=cards,
        runs=runs_grid(runs, "", mentions=mentions),
        searches=searches_grid(searches, "", mentions=mentions),
    )  # fmt: skip


def study_page(data: StudyData, figures: Sequence[tuple[str, str]]) -> str:
    """A study: question, answer, tables, figures, and its records.

    Args:
        data: the study's.
        figures: the picture's path from this page, and its caption, each.
    """
    labels = {row.name: row.label for row in data.rows}
    return _render(
        "study.html",
        root="../",
        title=data.study.title,
        data=data,
        answer=data.answer,
        command=command(data.study, data.scale),
        facts=facts_of(data),
        common=common_text(data.common),
        grids=[table_grid(table, data.values_of(table)) for table in data.study.tables],
        figures=figures,
        runs=runs_grid(data.runs, "../", labels),
        searches=searches_grid(data.searches, "../", labels),
        retrained=retrained_grid(data.retrained, labels),
    )


def run_page(row: Row, mentions: Sequence[Mention]) -> str:
    """A run: its scatter, tau over epochs, codes, config, environment, and how to run it again.

    Raises:
        UserError: a file of its folder is damaged.
    """
    path, archs = Path(row["path"]), archs_of_run(row)
    config = _part(row, "config")
    return _render(
        "run.html",
        root="../",
        title=run_title(row),
        mentions=_mention_links(mentions),
        row=row,
        num=len(archs.frame),
        has_loss=bool(archs.frame["minus_loss"].notna().all()),
        archs=archs,
        sketch=_sketch_json(archs),
        scatter=plots.scatter(archs),
        metrics=_metrics_grid(row),
        curves=_curves(path),
        codes=_codes(path),
        config=facts("Config", config),
        environment=facts("Environment", _part(row, "environment")),
        times=facts("Seconds and steps", _part(row, "seconds") | _steps(row)),
        command=or_why_not(run_command, config),
        commit=row.get("environment.commit"),
    )


def search_page(row: Row, retrained: pd.DataFrame, mentions: Sequence[Mention]) -> str:
    """A search: all it scored, the front with each one's drawing, config, and how to run it again.

    Args:
        row: of a frame of ``benchmark.records.load_searches``.
        retrained: what it found, trained by itself.
        mentions: the studies it is of.

    Raises:
        UserError: a file of its folder is damaged.
    """
    path, archs, config = Path(row["path"]), archs_of_search(row), _part(row, "config")
    places = {text: at for at, text in reversed([*enumerate(archs.frame["arch"])])}
    members = [places[text] for text in load_front(path)["arch"]]
    limits = [float(config[name]) / 1e6 for name in ("max_flops", "min_flops") if config.get(name)]
    best = places[row["best.arch"]]
    return _render(
        "search.html",
        root="../",
        title=search_title(row),
        mentions=_mention_links(mentions),
        row=row,
        num=len(archs.frame),
        has_loss=True,
        archs=archs,
        sketch=_sketch_json(archs),
        scatter=plots.front(archs, members, best, limits),
        front=_front_grid(archs, members, best),
        retrained=retrained_grid(retrained, {}),
        codes=_codes(path),
        config=facts("Config", config),
        environment=facts("Environment", _part(row, "environment")),
        times=facts("Seconds", _part(row, "seconds")),
        command=or_why_not(search_command, config),
        commit=row.get("environment.commit"),
    )


def _metrics_grid(row: Row) -> Grid:
    lines = [("this run", "metrics")]
    lines += [(name, f"controls.{key}") for key, name in CONTROLS.items()]
    lines += [(AGREEMENT, "ceiling")]
    known = [(name, at) for name, at in lines if f"{at}.kendall_tau_b" in row]
    rows = [
        [Cell(name), *(number(row.get(f"{at}.{key}"), 1, by) for key, _, by in _METRICS)]
        for name, at in known
    ]
    notes = (
        "Tau-b by accuracy. The rows below this run train nothing: they count.",
        "Seed agreement: two training seeds of the truth against each other.",
    )
    headings = ["", *(label for _, label, _ in _METRICS)]
    return Grid(f"Against {row['truth.column']}", headings, rows, notes)


def _front_grid(archs: Archs, members: Sequence[int], best: int) -> Grid:
    assert archs.sketches is not None, "a search says which architectures it scored"
    rows = []
    for at in members:
        one = archs.frame.iloc[at]
        text = str(one["arch"])
        rows.append(
            [
                Cell("chosen" if at == best else "", float(at != best)),
                number(one["accuracy"], 2),
                number(one["mflops"], 3),
                number(one["mparams"], 4),
                number(one["true"], 2),
                Cell(text, drawing=archs.sketches.svg(at, text)),
            ]
        )
    headings = ["", "accuracy (%)", "M multiply-adds", "M parameters", "stand-alone (%)", "arch"]
    return Grid("The front: what nothing else scored beats in both", headings, rows)


def _curves(path: Path) -> list[tuple[str, str]]:
    """A heading and a plot of tau, and of the losses, where the log has them."""
    if not (path / "log.jsonl").is_file():
        return []
    log = load_log(path).drop_duplicates("epoch", keep="last").set_index("epoch")
    found = []
    if "kendall_tau_b" in log:
        taus = 100 * pd.to_numeric(log["kendall_tau_b"]).astype(float)
        if taus.notna().any():
            lines = taus.rename("tau-b").to_frame()
            found.append(("Tau over epochs", plots.epochs(lines, "tau-b on a sample (%)")))
    losses = {
        label: pd.to_numeric(log[name]).astype(float)
        for name, label in _LOSSES.items()
        if name in log and log[name].notna().any()
    }
    if losses:
        found.append(("Losses over epochs", plots.epochs(pd.DataFrame(losses), "training loss")))
    return found


def _codes(path: Path) -> str:
    """A plot of the codes of several copies; empty where there are none."""
    if not (path / "codes.npy").is_file():
        return ""
    values = load_codes(path)
    return plots.codes(values) if values.shape[1] > 1 else ""


def _mention_links(mentions: Sequence[Mention]) -> list[tuple[str, str]]:
    """Where a record's studies are, and what to call them."""
    return [
        (f"../studies/{study_file(one.data)}",
         f"{one.data.study.name} ({one.data.scale}), row {one.label}")
        for one in mentions
    ]  # fmt: skip


def _part(row: Row, name: str) -> dict[str, Any]:
    """The entries of a record below a key, missing ones left away."""
    head = f"{name}."
    return {
        key.removeprefix(head): _whole(value)
        for key, value in row.items()
        if key.startswith(head) and text(value) != MISSING
    }


def _whole(value: Any) -> Any:
    """Python's own number: a frame's column has numpy's, and floats where a row has a gap."""
    return value.item() if isinstance(value, np.generic) else value


def _steps(row: Row) -> dict[str, Any]:
    names = {"num_weight_steps": "weight steps", "num_simplex_steps": "simplex steps"}
    return {label: row[name] for name, label in names.items() if name in row}


def _sketch_json(archs: Archs) -> str:
    return json.dumps(archs.sketches.to_dict() if archs.sketches else None, sort_keys=True)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("benchmark.study.site"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Inside a script element nothing may close it.
    environment.filters["inert"] = lambda text: text.replace("<", "\\u003c")
    return environment


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values) + "\n"
