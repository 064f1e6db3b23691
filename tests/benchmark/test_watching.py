"""What a run looks at besides its ranking: tracked scores, gradients, names of architectures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from runs import run_tiny, tiny, write_truth

from benchmark.cli.errors import UserError
from benchmark.records.load import load_log, load_predictions, load_records
from benchmark.records.load_details import (
    GRADIENTS,
    load_archs,
    load_gradients,
    load_tracked,
    write_archs,
)
from benchmark.run.watching import spaced
from benchmark.study.definition import Row, StudyData
from benchmark.study.scored import of_runs
from benchmark.study.site.archs import archs_of_run
from benchmark.study.studies import STUDIES
from benchmark.truth.table import TruthTable
from kshot_core.metrics.correlation import kendall_tau_b
from kshot_core.spaces import NASBench101, NASBench201

SPACE_101 = NASBench101()
WATCHED = {"track_every": 1, "gradient_archs": 5}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of a run that tracks every epoch and compares gradients."""
    folder = tmp_path_factory.mktemp("results")
    truth = write_truth(folder / "truth.csv")
    with pytest.MonkeyPatch.context() as patch:
        # As many images as architectures are ranked on here.
        patch.setattr("benchmark.run.watching.TRACK_IMAGES", 100)
        for seed in (0, 1):
            run_tiny(tiny(**WATCHED, seed=seed), folder, truth)
    return folder


def _folders(results: Path) -> list[Path]:
    return sorted(results.glob("records/*/*/*/seed*"))


def test_tracked_scores_are_kept_and_give_the_logs_tau(results: Path) -> None:
    for folder in _folders(results):
        scores, true = load_tracked(folder), load_predictions(folder)
        log = load_log(folder).set_index("epoch")
        assert scores is not None
        assert scores.shape == (3, 4)
        assert scores["epoch"][:, 0].tolist() == [1, 2, 3]
        assert scores["place"].tolist() == 3 * [[0, 3, 6, 9]]
        for row in scores:
            tau = kendall_tau_b(row["accuracy"], true["true"][row["place"]])
            assert log.loc[row["epoch"][0], "kendall_tau_b"] == pytest.approx(tau)
        # After the last epoch they are those of the ranking, on the same images.
        final = true[scores["place"][-1]]
        assert scores["loss"][-1].tolist() == final["loss"].tolist()
        assert scores["loss"][0].tolist() != final["loss"].tolist()


def test_gradients_are_of_places_in_the_predictions(results: Path) -> None:
    pairs = load_gradients(_folders(results)[0])
    assert pairs is not None
    places = spaced(5, 12)
    assert places == [0, 2, 4, 7, 9]
    assert {(a, b) for a, b in pairs[["first", "second"]].tolist()} == {
        (a, b) for at, a in enumerate(places) for b in places[at + 1 :]
    }
    known = np.isfinite(pairs["cosine"])
    assert known.any()
    assert (np.abs(pairs["cosine"][known]) <= 1.0001).all()
    assert ((pairs["in_common"] > 0) | ~known).all()


def test_watching_changes_no_prediction(results: Path, tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "truth.csv")
    run_tiny(tiny(track_every=0), tmp_path, truth)
    (plain,) = _folders(tmp_path)
    assert load_tracked(plain) is None
    assert load_gradients(plain) is None
    assert np.array_equal(load_predictions(plain), load_predictions(_folders(results)[0]))


def _data(runs: pd.DataFrame) -> StudyData:
    return StudyData(STUDIES["table9"], "cpu", Path(), {}, runs, runs, runs, runs)


def test_a_study_reads_them_seed_by_seed(results: Path) -> None:
    runs = load_records(results).assign(seed=[0, 1])
    found = of_runs(_data(runs), Row("K3", "K = 3"), "digits", runs)
    assert found is not None
    assert found.predicted.shape == (2, 12)
    assert found.archs[0] in NASBench201().archs()
    assert {"parameters", "depth", "number of nor_conv_3x3"} <= found.traits.keys()
    tracked = found.tracked()
    assert tracked is not None
    epochs, merit, places = tracked
    assert epochs.tolist() == [1, 2, 3]
    assert merit.shape == (2, 3, 4)
    assert places.tolist() == [0, 3, 6, 9]
    first = load_tracked(found.paths[0])
    assert first is not None
    assert merit[0].tolist() == (-first["loss"].astype(float)).tolist()


def test_architectures_of_a_space_without_order_are_named(tmp_path: Path) -> None:
    texts = [
        "conv3x3~0|output~1", "maxpool3x3~0|output~1", "conv1x1~0|output~1", "output~0",
        "conv3x3~0|conv1x1~1|output~2", "conv3x3~0|conv3x3~0|output~1+2",
    ]  # fmt: skip
    values = [80.0, 60.0, 70.0, 50.0, 85.0, 82.0]
    table = TruthTable.load(_table(tmp_path / "truth.csv", texts, values), SPACE_101)
    assert table.path is not None
    config = tiny(
        space="nasbench101", channels=6, cells=1, archs=0, track_every=3, gradient_archs=3
    )
    run_tiny(config, tmp_path, table.path)
    (folder,) = _folders(tmp_path)
    names = load_archs(folder)
    assert names == [SPACE_101.to_string(arch) for arch in table.archs()]
    runs = load_records(tmp_path).assign(seed=0)
    found = of_runs(_data(runs), Row("K3", "K = 3"), "digits", runs)
    assert found is not None
    assert [SPACE_101.to_string(arch) for arch in found.archs] == names
    assert found.true.tolist() == [values[texts.index(name)] for name in names]
    # The pages name them too.
    shown = archs_of_run({str(key): value for key, value in runs.iloc[0].items()})
    assert shown.frame["arch"].tolist() == names
    assert shown.sketches is not None
    # A record from before has no such file.
    record = json.loads((folder / "record.json").read_text())
    assert "archs.csv" in record["files"]
    (folder / "archs.csv").unlink()
    assert of_runs(_data(runs), Row("K3", "K = 3"), "digits", runs) is None


def _table(path: Path, texts: list[str], values: list[float]) -> Path:
    lines = ["arch,digits/valid/1ep/mean"]
    lines += [f"{text},{value}" for text, value in zip(texts, values, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_damaged_files_are_one_line_each(results: Path, tmp_path: Path) -> None:
    folder = _folders(results)[1]
    for name, load in (("tracked.npy", load_tracked), ("gradients.npy", load_gradients)):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-5])
        with pytest.raises(UserError, match="delete its folder and run again"):
            load(folder)
        (folder / name).write_bytes(whole)
    (tmp_path / "record.json").write_text('{"schema": 1}')
    np.save(tmp_path / "tracked.npy", np.zeros(3, GRADIENTS))
    with pytest.raises(UserError, match=r"should hold epoch, place, accuracy, loss in 2 dim"):
        load_tracked(tmp_path)
    (tmp_path / "archs.csv").write_text("name,other\n1,2\n")
    with pytest.raises(UserError, match="one column, arch"):
        load_archs(tmp_path)


def test_names_with_commas_are_read_as_they_were_written(tmp_path: Path) -> None:
    names = ["k3e6,id,k7e3", 'Genotype(normal=["a",0])', "|tanh~0|"]
    (tmp_path / "record.json").write_text('{"schema": 1}')
    write_archs(tmp_path, names)
    assert load_archs(tmp_path) == names


def test_one_architecture_is_no_pair() -> None:
    with pytest.raises(UserError, match=r"--gradient-archs must be 0 .* make a pair, got 1"):
        tiny(gradient_archs=1)
