"""A topology as plain data, which says what its statistics say when it runs; in words; as a Mermaid diagram. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mainspring.dataflow._statistics import DataflowStats, EdgeStats, StageStats
from mainspring.dataflow._topology import NetworkCxn, NetworkMode, Overflow, Runner, Stage, Topology, name_of, sink_name

StageKind: TypeAlias = Literal["source", "pipes", "workers", "networks"]
"""Where a stage's messages come from: itself, descriptors, the stage before; or it has networks beside that."""


@dataclass(frozen=True, slots=True)
class StageNode:
    """A stage, as it is drawn.

    Attributes:
        level: its number, from 0.
        label: what it is called.
        kind: where its messages come from.
        worker_count: how many workers it has, here or elsewhere.
        networks: what each worker of a border does, in words.
        sink: what its sink is called; None when it has none.
        stats: what it has done so far; None while it does not run.
    """

    level: int
    label: str
    kind: StageKind
    worker_count: int
    networks: tuple[str, ...]
    sink: str | None
    stats: StageStats | None


@dataclass(frozen=True, slots=True)
class EdgeLine:
    """The way from one stage to the next, as it is drawn.

    Attributes:
        before, after: the numbers of both stages.
        route: who gets a message, or "by" and the name of the function that gives its key.
        overflow: what happens when a worker does not keep up.
        is_filtered: whether a filter is asked before a message travels.
        stream: of the NATS server that carries it; None between local processes.
        stats: what it has carried so far; None while it does not run.
    """

    before: int
    after: int
    route: str
    overflow: Overflow
    is_filtered: bool
    stream: str | None
    stats: EdgeStats | None


@dataclass(frozen=True, slots=True)
class FlowGraph:
    """A dataflow as plain data: `mainspring flow --draw json` shows it, and a page may draw it."""

    name: str
    stages: tuple[StageNode, ...]
    edges: tuple[EdgeLine, ...]


def graph_of(name: str, topology: Topology, stats: DataflowStats | None = None) -> FlowGraph:
    """Return a topology as plain data, with what it has done so far."""
    stages = topology.stages
    stage_stats, edge_stats = ((), ()) if stats is None else (stats.stages, stats.edges)
    return FlowGraph(
        name=name,
        stages=tuple(
            StageNode(
                level=level,
                label=stage.label,
                kind=_kind(stage, level),
                worker_count=stage.width,
                networks=() if isinstance(stage, Runner) else tuple(map(_network, stage.networks)),
                sink=sink_name(stage),
                stats=stage_stats[level] if stage_stats else None,
            )
            for level, stage in enumerate(stages)
        ),
        edges=tuple(
            EdgeLine(
                before=level - 1,
                after=level,
                route=stage.route if stage.edge.key is None else f"by {name_of(stage.edge.key)}",
                overflow=stage.edge.overflow,
                is_filtered=_is_filtered(stage),
                stream=None if stage.edge.via is None else stage.edge.via.stream,
                stats=edge_stats[level - 1] if edge_stats else None,
            )
            for level, stage in enumerate(stages)
            if level
        ),
    )


def describe_as_text(graph: FlowGraph) -> str:
    """Return one line for each stage and for each edge between two."""
    lines = [graph.name]
    for stage in graph.stages:
        if stage.level:
            lines.append(f"  | {_edge(graph.edges[stage.level - 1])}")
        lines.append(f"  {stage.level} {stage.label}: {_workers(stage)}")
        lines += [f"      {stage.level}.{index} {network}" for index, network in enumerate(stage.networks)]
    return "\n".join(lines)


def describe_as_mermaid(graph: FlowGraph) -> str:
    """Return a Mermaid flowchart: stages as boxes, networks with the clients beyond them."""
    return "\n".join(["flowchart LR", *_mermaid_lines(graph)])


def _mermaid_lines(graph: FlowGraph) -> Iterator[str]:
    for stage in graph.stages:
        level = stage.level
        yield f'    s{level}["{level} {_quoted(stage.label)}<br/>{_workers(stage)}"]'
        if level:
            yield f'    s{level - 1} -->|"{_quoted(_edge(graph.edges[level - 1]))}"| s{level}'
        for index, network in enumerate(stage.networks):
            node = f"n{level}_{index}"
            arrow = f"{node} --> s{level}" if level == 0 else f"s{level} --> {node}"
            yield f'    {node}(["{_quoted(network)}"])'
            yield f"    {arrow}"


def _kind(stage: Stage, level: int) -> StageKind:
    if not isinstance(stage, Runner):
        return "networks"
    if stage.read_pipes is not None:
        return "pipes"
    return "workers" if level else "source"


def _is_filtered(stage: Stage) -> bool:
    filters = [stage.filter] if isinstance(stage, Runner) else [one.filter for one in stage.networks]
    return any(one is not None for one in filters)


def _workers(stage: StageNode) -> str:
    count = f"{stage.worker_count} worker{'s' if stage.worker_count > 1 else ''}"
    sink = "" if stage.sink is None else f", into {stage.sink}"
    return count + {"source": ", source", "pipes": ", each reads a pipe"}.get(stage.kind, "") + sink


def _edge(edge: EdgeLine) -> str:
    words = [
        edge.route,
        edge.overflow if edge.overflow != "block" else "",
        "filtered" if edge.is_filtered else "",
        f"over the NATS stream {edge.stream}" if edge.stream is not None else "",
    ]
    return ", ".join(word for word in words if word)


def _network(network: NetworkCxn) -> str:
    verb = "listens on" if network.mode == NetworkMode.LISTEN else "connects to"
    return f"{verb} {network.url}"


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")
