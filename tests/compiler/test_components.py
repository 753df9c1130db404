"""Strongly connected components: networkx finds the same."""

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from compiler.language.components import components

EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20)


@given(EDGES)
def test_components_are_those_of_networkx(edges: list[tuple[int, int]]) -> None:
    """The same sets in the same order, which is the least one in which no edge leads back."""
    after: list[dict[int, None]] = [{} for _ in range(8)]
    for a, b in edges:
        after[a][b] = None
    graph = nx.DiGraph()
    graph.add_nodes_from(range(8))
    graph.add_edges_from(edges)
    coarse = nx.condensation(graph)
    parts = {k: sorted(coarse.nodes[k]["members"]) for k in coarse}
    order = nx.lexicographical_topological_sort(coarse, key=lambda k: parts[k][0])
    assert components(after) == [parts[k] for k in order]


def test_long_chains_and_cycles_are_no_problem() -> None:
    """Nothing is recursive: a chain of 5000 has 5000 sets, closed to a ring it has one."""
    chain = [[k + 1] for k in range(4999)]
    assert components([*chain, []]) == [[k] for k in range(5000)]
    assert components([*chain, [0]]) == [list(range(5000))]
