"""A study's page: question, answer, tables, figures, and how to make it again."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmark.records.origins import disagreements
from benchmark.study.definition import Study, StudyData
from benchmark.study.render import to_markdown
from benchmark.views.values import MISSING, text

WIDTH = 100


def page(data: StudyData, tables: Mapping[str, pd.DataFrame], figures: Mapping[str, str]) -> str:
    """The page as Markdown.

    Args:
        data: the study's.
        tables: the built tables by name.
        figures: name -> empty where it was drawn, else why it was not.
    """
    study = data.study
    parts = [
        f"# {study.title}",
        f"**Question.** {study.question}",
        f"**Answer, at scale `{data.scale}`.** {data.answer}",
        f"```sh\n{command(study, data.scale)}\n```",
        *about_lines(data),
    ]
    for number, table in enumerate(study.tables):
        above = common_text(data.common) if number == 0 else ""
        parts.append(to_markdown(table, tables[table.name], above, level=2).rstrip("\n"))
    for one in study.figures:
        reason = figures[one.name]
        parts.append(
            f"{one.caption} Not drawn: {reason}."
            if reason
            else f"![{one.caption}]({one.name}.png)\n\n{one.caption}"
        )
    return "\n\n".join(parts) + "\n"


def command(study: Study, scale: str) -> str:
    """The command that makes a study again."""
    return f"python -m benchmark.study {study.name} --scale {scale}"


def about_lines(data: StudyData) -> list[str]:
    """Seeds, hardware and commit, what records disagree in, and what diverged, a line each."""
    facts = facts_of(data)
    lines = [f"Seeds: {facts['seeds']}. Hardware: {facts['hardware']}. Commit: {facts['commit']}."]
    return lines + warning_lines(data)


def warning_lines(data: StudyData) -> list[str]:
    """What a reader of the tables has to know: records that disagree, jobs that diverged."""
    lines = []
    differ = disagreements([data.runs, data.supernets, data.searches, data.retrained])
    if differ:
        lines.append(f"**Records disagree in** {'; '.join(differ)}.")
    if data.diverged:
        seeds: dict[str, list[str]] = {}
        for row, seed in data.diverged:
            seeds.setdefault(row, []).append(str(seed))
        told = ", ".join(f"{row} (seed {', '.join(own)})" for row, own in seeds.items())
        lines.append(f"**Diverged, and in no mean:** {len(data.diverged)} jobs: {told}.")
    return lines


def facts_of(data: StudyData) -> dict[str, str]:
    """``seeds``, ``hardware`` and ``commit`` of a study's records, each as text."""
    frames = [data.runs, data.searches, data.retrained]
    return {
        "seeds": _values(frames, "seed") or MISSING,
        "hardware": _values(frames, "environment.processor") or MISSING,
        "commit": _values(frames, "environment.commit") or MISSING,
    }


def common_text(common: Mapping[str, Any]) -> str:
    """A sentence on what all runs have in common, in lines of at most 100 characters."""
    if not common:
        return ""
    told = ", ".join(f"{_name(name)} {text(value)}" for name, value in common.items())
    return textwrap.fill(f"All runs: {told}.", WIDTH)


def _name(setting: str) -> str:
    return setting.replace("_", " ")


def _values(frames: Sequence[pd.DataFrame], column: str) -> str:
    found = [
        text(value)
        for frame in frames
        if column in frame.columns
        for value in sorted(frame[column].dropna().unique())
    ]
    return ", ".join(dict.fromkeys(found))
