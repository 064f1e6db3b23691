"""What architectures are counted by, by hand; and the names of choices."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from kshot_core.drawing import Block, Edge, Graph, Row
from kshot_core.evaluation.traits import depth, traits, width
from kshot_core.space import Named
from kshot_core.spaces import DARTS, DARTSPTB, SPACES, NASBench101, NASBench201, Proxyless


def test_a_graph_by_hand() -> None:
    edges = (
        Edge(0, 1, kind=1), Edge(1, 2, kind=1), Edge(0, 2, kind=0), Edge(2, 3, kind=2),
        Edge(0, 3, kind=1, is_there=False), Edge(1, 3, kind=1, is_live=False),
    )  # fmt: skip
    graph = Graph(("in", "1", "2", "out"), edges)
    assert depth((graph,)) == 3
    assert width((graph,)) == 2
    assert depth((graph, graph)) == 6
    nodes = Graph(("in", "a", "b", "out"), (Edge(0, 1), Edge(0, 2), Edge(2, 3)), (0, 1, 1, 0))
    assert depth((nodes,)) == 1
    row = Row(
        (Block("stem", "", 0, 1.0, ""), Block("1", "", 2, 0.5, "", width=0.5),
         Block("2", "", 0, 0.0, ""), Block("3", "", 1, 1.0, "")), (),
    )  # fmt: skip
    assert (depth(row), width(row)) == (2, 1.25)


def test_traits_of_cells_by_hand() -> None:
    space = NASBench201()
    texts = [
        "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|",
        "|avg_pool_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|",
    ]
    archs = [space.from_string(text) for text in texts]
    found = traits(space, archs)
    assert found["depth"].tolist() == [3, 1]
    assert found["width"].tolist() == [2, 1]
    assert found["convolutions"].tolist() == [3, 1]
    assert found["parameters"].tolist() == [space.live_params(arch) for arch in archs]
    assert found["FLOPs"].tolist() == [space.live_flops(arch) for arch in archs]
    assert found["number of nor_conv_3x3"].tolist() == [2, 0]
    # The pooling leads nowhere, in one as in the other: there is nothing to tell them apart.
    assert "number of avg_pool_3x3" not in found


def test_vertices_that_no_edge_leads_to_have_no_operation() -> None:
    space = NASBench101()
    texts = ["maxpool3x3~0|output~1", "conv3x3~0|conv1x1~1|output~2"]
    found = traits(space, [space.from_string(text) for text in texts])
    assert found["number of conv3x3"].tolist() == [0, 1]
    assert found["number of maxpool3x3"].tolist() == [1, 0]
    assert found["depth"].tolist() == [1, 2]


def test_recurrent_cells_have_no_costs_that_differ() -> None:
    space = DARTSPTB()
    chain = space.from_string("|" + "".join(f"tanh~{step}|" for step in range(8)))
    star = space.from_string("|" + "relu~0|" * 8)
    found = traits(space, [chain, star])
    assert "parameters" not in found
    assert found["depth"].tolist() == [8, 1]
    assert found["width"].tolist() == [1, 8]
    assert found["number of tanh"].tolist() == [8, 0]


def test_layers_are_counted_with_their_expansion() -> None:
    space = Proxyless()
    least, most = space.extremes()
    found = traits(space, [least, most])
    assert found["depth"].tolist() == [6, 21]
    assert found["width"][0] < found["width"][1]


@pytest.mark.parametrize("name", SPACES)
def test_every_choice_of_every_space_has_a_name(name: str) -> None:
    space = SPACES[name]()
    assert isinstance(space, Named)
    sites = space.sites()
    assert tuple(len(site.choices) for site in sites) == space.num_choices
    assert all(len(set(site.choices)) == len(site.choices) for site in sites)
    assert len({site.name for site in sites}) == len(sites)
    generator = Random(0)
    archs = [space.sample(generator) for _ in range(30)]
    for site, numbers in zip(sites, np.transpose(archs), strict=True):
        assert all(0 <= choice < len(site.choices) for choice in numbers)
    found = traits(space, archs)
    assert {"depth", "width"} <= found.keys()
    assert all(one.shape == (30,) for one in found.values())
    operations = {choice for site in sites if site.is_operation for choice in site.choices}
    assert {name for name in found if name.startswith("number of ")} <= {
        f"number of {operation}" for operation in operations
    }


def test_a_genotypes_sites_are_its_cells_edges() -> None:
    space = DARTS(zero=False)
    arch = space.sample(Random(1))
    cells = space.cells(arch)
    chosen = {
        site.name: site.choices[choice] for site, choice in zip(space.sites(), arch, strict=True)
    }
    for name, cell in zip(("normal", "reduce"), cells, strict=True):
        for node, ((first, one), (second, other)) in zip(range(2, 6), cell, strict=True):
            operations = space.sites()[0].choices
            assert chosen[f"{name} {node} a"] == operations[one]
            assert chosen[f"{name} {node} b"] == operations[other]
            if node > 2:
                assert chosen[f"{name} {node} reads"] == f"{first} {second}"
