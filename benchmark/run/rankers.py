"""Scores that need no ranking of one's own: ``python -m benchmark.run.rankers --ranker naswot``.

Writes a table of architectures and scores, which ``python -m benchmark.run --scores FILE`` compares
with the truth. All other options are those of ``python -m benchmark.run``: data set, space with its
sizes, truth, ``--archs``; for ``angle`` also how the supernet is trained, which is trained first
where it is not there yet. Networks are drawn with ``--seed``'s initial weights, one an
architecture, and see the first images that others are scored on.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from benchmark.cli.errors import UserError, exit_with
from benchmark.cli.parser import Parser
from benchmark.config.run import RunConfig
from benchmark.records.files import check_writable, write_atomically
from benchmark.run.command import Request, parse
from benchmark.train.setup import build_supernet, load_images, load_target, ranked_space
from benchmark.train.supernet import trained_supernet
from kshot_core.evaluation.angle import weights_angle
from kshot_core.evaluation.training_free import TRAINING_FREE
from kshot_core.retraining.standalone import build_standalone
from kshot_core.space import Arch, Priced, Space
from kshot_core.tasks import task_of

COSTS = ("params", "flops")
RANKERS = (*COSTS, *TRAINING_FREE, "angle")
"""What there is to rank with; ``angle`` alone needs a trained supernet."""
_FEW = 2
"""Images that show which weights run and how deep a network is."""


def main(argv: Sequence[str] | None = None) -> Path:
    """Run the program; returns the table that it wrote.

    Raises:
        UserError: settings that cannot work, or a space whose networks take no images.
    """
    options, rest = _parser().parse_known_args(argv)
    if options.images < 2:
        raise UserError(f"--ranker-images must be at least 2, got {options.images}")
    request = parse(rest)
    config, places = request.configs[0], request.places
    if options.ranker == "angle" and len(request.configs) > 1:
        raise UserError(
            f"--ranker angle is of one supernet, got {len(request.configs)} runs: give one --K, "
            "one --sharing and --seeds 1"
        )
    target = load_target(config, places)
    data = load_images(config, places)
    space = ranked_space(config, data)
    to = options.to or places.results / "rankers" / space.name / f"{options.ranker}.csv"
    check_writable(to.parent)
    batches = data.validation(torch.device("cpu")).scoring_batches(options.images, options.images)
    images: Tensor = batches[0][0]
    if options.ranker == "angle":
        scores = list(_angles(config, space, target.archs, images[:_FEW], request))
        if len(set(scores)) == 1:
            raise UserError(
                f"all paths of {space.name} use the same weights of one copy, so that their angle "
                f"is the same; give more copies than --K {config.K}"
            )
    elif not images.is_floating_point() or images.ndim != 4:
        raise UserError(
            f"{options.ranker} looks at images, and networks of {space.name} take none; angle and "
            f"supernets rank them"
        )
    else:
        scores = [_untrained(options.ranker, space, a, images, config.seed) for a in target.archs]
    text = "arch,score\n" + "".join(
        f'"{space.to_string(arch)}",{score!r}\n'
        for arch, score in zip(target.archs, _finite(scores), strict=True)
    )
    write_atomically(to, lambda path: path.write_bytes(text.encode()))
    Console().print(
        f"wrote {to}: {len(scores):,} archs; compare them with the truth by: "
        f"python -m benchmark.run --scores {to} --space {space.name}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return Path(to)


def _untrained(ranker: str, space: Space, arch: Arch, images: Tensor, seed: int) -> float:
    if ranker in COSTS:
        if not isinstance(space, Priced):
            raise UserError(f"{space.name} does not say what its architectures cost")
        live = space.canonical(arch)
        return float(space.params(live) if ranker == "params" else space.flops(live))
    network = build_standalone(space, arch, seed).train()
    return TRAINING_FREE[ranker](network, images[:_FEW] if ranker == "depth" else images)


def _angles(
    config: RunConfig, space: Space, archs: Sequence[Arch], images: Tensor, request: Request
) -> Iterator[float]:
    data = load_images(config, request.places)
    trained = trained_supernet(
        config, data, request.places, request.device, _silent, request.checkpoint_seconds
    )
    drawn, sharing = build_supernet(config, space, torch.device("cpu"))
    after, learnt = trained.shared.to("cpu"), trained.sharing.to("cpu")
    with torch.no_grad():
        codes = zip(sharing(archs), learnt(archs), strict=True)
    inputs = (images, None) if task_of(space).carries else images
    for arch, pair in zip(archs, codes, strict=True):
        yield weights_angle(drawn, after, arch, pair, inputs)


def _silent(step: str, done: int, total: int) -> None:
    """Progress nobody is shown."""


def _finite(scores: Sequence[float]) -> list[float]:
    """The scores in 32 bits, as records hold them, -inf being one below the least."""
    least = min((score for score in scores if math.isfinite(score)), default=0.0)
    return [float(np.float32(score if math.isfinite(score) else least - 1)) for score in scores]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m benchmark.run.rankers",
        description="Score architectures without ranking them by a supernet's accuracy. Other "
        "options are those of python -m benchmark.run.",
    )
    parser.add_argument("--ranker", required=True, choices=RANKERS, help="the score")
    parser.add_argument("--to", type=Path, metavar="FILE", help="the table to write, .csv")
    parser.add_argument(
        "--ranker-images",
        dest="images",
        type=int,
        default=64,
        metavar="B",
        help="images that a network sees (64)",
    )
    return parser


if __name__ == "__main__":
    exit_with(main)
