"""What ``python -m benchmark.run`` gives over seeds."""

from __future__ import annotations

from benchmark.study.definition import Row, Size, Study, StudyData
from benchmark.study.figures import epochs, high_low, rows, scatter
from benchmark.study.paired import Difference
from benchmark.study.ranked import groups
from benchmark.study.tables import differences, ranking
from benchmark.views.ranks import best_control


def _answer(data: StudyData) -> str:
    """How far each row is above what ranks best without training, then K = 8 less K = 1."""
    said = []
    for row, own in groups(data, "digits"):
        counted = best_control(own)
        if counted is not None:
            name, tau = counted
            taus = 100 * (differences.by_seed(own) - tau)
            less = {score: Difference.of(taus[score], 0.0).brief for score in differences.SCORES}
            said.append(
                f"{row.label} less counting {name}: by −loss {less['loss']}, by accuracy "
                f"{less['accuracy']}."
            )
    return " ".join([*said, differences.answer(data)])


STUDY = Study(
    name="default",
    title="What the default on the embedded data ranks to",
    question="Does python -m benchmark.run rank better than counting, with one copy of the weights "
    "or with eight, over seeds?",
    kind="rank",
    rows=(Row("K1", "K = 1", {"K": 1}), Row("K8", "K = 8", {"K": 8})),
    # The preset as it is: these are the runs of README's first line.
    sizes={"cpu": Size("quick", "digits", {}, seeds=(0, 1, 2, 3, 4))},
    answer=_answer,
    tables=(
        ranking.tau_table("default", "Tau-b of the default on the embedded data"),
        differences.differences_from("K = 1"),
    ),
    figures=(
        rows.PICTURE,
        epochs.PICTURE,
        high_low.PICTURE,
        scatter.PICTURE,
    ),
)
"""Five runs a row, five to seven minutes each on a core."""
