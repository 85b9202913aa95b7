"""A topology in words and as a Mermaid diagram. Pure."""

from collections.abc import Iterator

from mainspring.dataflow._topology import NetworkCxn, NetworkMode, Runner, Stage, Topology, name_of


def describe_as_text(name: str, topology: Topology) -> str:
    """Return one line for each stage and for each edge between two."""
    lines = [name]
    for level, stage in enumerate(topology.stages):
        if level:
            lines.append(f"  | {_edge(stage)}")
        lines.append(f"  {level} {stage.label}: {_workers(stage, level)}")
        if not isinstance(stage, Runner):
            lines += [f"      {level}.{index} {_network(one)}" for index, one in enumerate(stage.networks)]
    return "\n".join(lines)


def describe_as_mermaid(topology: Topology) -> str:
    """Return a Mermaid flowchart: stages as boxes, networks with the clients beyond them."""
    return "\n".join(["flowchart LR", *_mermaid_lines(topology)])


def _mermaid_lines(topology: Topology) -> Iterator[str]:
    for level, stage in enumerate(topology.stages):
        yield f'    s{level}["{level} {_quoted(stage.label)}<br/>{_workers(stage, level)}"]'
        if level:
            yield f'    s{level - 1} -->|"{_quoted(_edge(stage))}"| s{level}'
        if isinstance(stage, Runner):
            continue
        for index, one in enumerate(stage.networks):
            node = f"n{level}_{index}"
            arrow = f"{node} --> s{level}" if level == 0 else f"s{level} --> {node}"
            yield f'    {node}(["{_quoted(_network(one))}"])'
            yield f"    {arrow}"


def _workers(stage: Stage, level: int) -> str:
    count = f"{stage.width} worker{'s' if stage.width > 1 else ''}"
    if not isinstance(stage, Runner):
        return count
    if stage.read_pipes is not None:
        return f"{count}, each reads a pipe"
    return f"{count}, source" if level == 0 else count


def _edge(stage: Stage) -> str:
    edge = stage.edge
    route = stage.route if edge.key is None else f"by {name_of(edge.key)}"
    filtered = stage.filter is not None if isinstance(stage, Runner) else any(one.filter for one in stage.networks)
    via = "" if edge.via is None else f"over the NATS stream {edge.via.stream}"
    words = [route, edge.overflow if edge.overflow != "block" else "", "filtered" if filtered else "", via]
    return ", ".join(word for word in words if word)


def _network(network: NetworkCxn) -> str:
    verb = "listens on" if network.mode == NetworkMode.LISTEN else "connects to"
    return f"{verb} {network.url}"


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")
